#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace lsmkv {

/// What Engine::Scrub has read and found.
struct ScrubReport {
  std::uint64_t manifests = 0;
  std::uint64_t log_segments = 0;             ///< of the write-ahead log; the ones in use as far as they are known to be durable
  std::uint64_t log_records = 0;              ///< in these: a record holds a batch
  std::uint64_t aside_files = 0;              ///< batches beside the log
  std::uint64_t tables = 0;
  std::uint64_t blob_files = 0;
  std::uint64_t entries = 0;                  ///< of the tables
  std::uint64_t bytes = 0;                    ///< of all these files
  std::uint64_t gone = 0;                     ///< files that compaction or a flush removed before their turn came
  std::uint64_t damage = 0;                   ///< damaged blocks, records, manifests and files that are missing
  std::vector<std::string> messages;          ///< of the first kMostMessages of these: "<file>: offset N: what", of the log what was done about it too
  std::chrono::microseconds duration{0};

  static constexpr std::size_t kMostMessages = 100;
};

}  // namespace lsmkv
