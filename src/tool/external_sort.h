// Sorts more entries than fit in memory, by key; of entries with the same key the last one added stays.
//
//   Add ─► memory, until it is full ─► sorted, written as a run ─► … ─► Finish: the runs merged as one stream
//
// A run is a table of the engine's own format in a scratch directory, and the number of the run stands for the sequence number of
// its entries: so merging runs is the merge of a compaction, checksums and read-ahead included. More runs than kFanIn are
// merged into fewer first, so that reading needs a bounded number of files and buffers, however large the input is.
// Memory   `memory_bytes` while adding; about kFanIn read-ahead buffers (some 32 MiB) while merging.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/internal_iterator.h"
#include "engine/sstable/block_cache.h"
#include "engine/sstable/table.h"
#include "fs/file_system.h"

namespace lsmkv::tool {

class ExternalSort {
 public:
  static constexpr std::size_t kFanIn = 64;

  /// `scratch_dir` exists; files in it are removed again when the sort goes. `memory_bytes` is at least one entry.
  ExternalSort(FileSystem& fs, std::string scratch_dir, std::uint64_t memory_bytes);
  ~ExternalSort();
  ExternalSort(const ExternalSort&) = delete;
  ExternalSort& operator=(const ExternalSort&) = delete;

  /// Copies. Errors: the files'.
  Status Add(std::string_view key, std::string_view value, std::uint64_t expire_at_ms);
  /// Everything, each key once, ascending; not yet at the first. Lives no longer than this. Nothing may be added after it.
  Result<std::unique_ptr<InternalIterator>> Finish();

  std::uint64_t runs_written() const { return next_run_ - 1; }

 private:
  /// One entry in arena_: key, then value. Its place tells which was added first.
  struct Ref {
    std::uint64_t head;             // the key's first 8 bytes, big-endian, so that most comparisons touch nothing else
    std::uint64_t offset;
    std::uint32_t key_bytes;
    std::uint32_t value_bytes;
    std::uint64_t expire_at_ms;
  };
  struct Run {
    std::uint64_t number;
    std::unique_ptr<Table> table;
  };
  class MemoryIterator;

  std::string_view KeyOf(const Ref& ref) const { return std::string_view(arena_).substr(ref.offset, ref.key_bytes); }
  EntryView EntryOf(const Ref& ref, SequenceNumber sequence) const;
  void SortMemory();
  Status Spill();
  Result<Run> WriteRun(InternalIterator& entries);
  Result<Run> MergeRuns(std::size_t first, std::size_t count);
  std::unique_ptr<InternalIterator> Merged(std::size_t first, std::size_t count) const;
  std::string PathOf(std::uint64_t run) const;

  FileSystem& fs_;
  const std::string dir_;
  const std::uint64_t memory_bytes_;
  std::string arena_;
  std::vector<Ref> refs_;
  BlockCache cache_{0};              // tables want one; each block is read once
  std::vector<Run> runs_;            // oldest first
  std::uint64_t next_run_ = 1;
};

}  // namespace lsmkv::tool
