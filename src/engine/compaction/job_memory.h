// What one running flush or piece of a merge may use for its buffers: its part of `background_bytes`, which every job that may run at
// once shares equally. It is cut into one read-ahead window for each source of a merge and the buffers of the table being
// written; below the smallest useful sizes it is not cut, so a merge of hundreds of tables may exceed its part.
// Threads  made and destroyed by the job's thread; the sum is read by anyone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "engine/version/engine_context.h"

namespace lsmkv {

/// Pure: the sizes for a job of `sources` inputs of which `jobs` may run at once.
struct JobBuffers {
  static constexpr std::uint64_t kLeastReadahead = 16u << 10;
  static constexpr std::uint64_t kLeastWrite = 64u << 10;
  static constexpr std::uint64_t kMostOfEach = 512u << 10;
  /// Hashes, filter and index of the section being written, and the packed block (table_builder.h).
  static constexpr std::uint64_t kBuilderBytes = 384u << 10;

  JobBuffers(std::uint64_t background_bytes, std::uint64_t jobs, std::size_t sources) {
    const std::uint64_t part = background_bytes / jobs;
    write_bytes = std::clamp(part / 4, kLeastWrite, kMostOfEach);
    const std::uint64_t used = write_bytes + kBuilderBytes;
    const std::uint64_t left = part > used ? part - used : 0;
    if (sources > 0) readahead_bytes = std::clamp(left / sources, kLeastReadahead, kMostOfEach);
    sum_bytes = used + sources * readahead_bytes;
  }

  JobBuffers(const EngineContext& context, std::size_t sources)
      : JobBuffers(context.memory.background_bytes.load(std::memory_order_relaxed),
                   context.options.flush_workers + context.options.compaction_workers + 1, sources) {}

  std::uint64_t write_bytes = 0;       ///< of one write to the new table
  std::uint64_t readahead_bytes = 0;   ///< of one source; 0 without sources
  std::uint64_t sum_bytes = 0;
};

/// Counts a job's buffers into the engine's sum while it lives.
class JobMemory {
 public:
  /// @param sources      inputs that are read side by side; 0 for a flush.
  /// @param extra_bytes  what the job needs beside its buffers.
  JobMemory(EngineContext& context, std::size_t sources, std::uint64_t extra_bytes = 0)
      : context_(context), buffers_(context, sources), counted_bytes_(buffers_.sum_bytes + extra_bytes) {
    context_.background_bytes.fetch_add(counted_bytes_, std::memory_order_relaxed);
  }
  ~JobMemory() { context_.background_bytes.fetch_sub(counted_bytes_, std::memory_order_relaxed); }
  JobMemory(const JobMemory&) = delete;
  JobMemory& operator=(const JobMemory&) = delete;

  const JobBuffers& buffers() const { return buffers_; }

 private:
  EngineContext& context_;
  const JobBuffers buffers_;
  const std::uint64_t counted_bytes_;
};

}  // namespace lsmkv
