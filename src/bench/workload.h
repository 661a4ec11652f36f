// The workloads, under the names db_bench gives them, as a table. What each does to an engine is in run_workload.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace lsmkv::bench {

enum class Operation : std::uint8_t { kPutInOrder, kPutAtRandom, kDeleteAtRandom, kGet, kGetMissing, kSeek, kReadInOrder, kCompact };

struct Workload {
  const char* name;
  Operation operation;
  bool fresh = false;             ///< begins with an empty data directory
  bool synced = false;            ///< every write is on the disk before it returns, whatever --wal-sync says
  std::uint64_t divisor = 1;      ///< one operation for so many of --num
  bool beside_writer = false;     ///< one thread more overwrites at random until the others are done
  const char* doc = "";

  bool writes() const {
    return operation == Operation::kPutInOrder || operation == Operation::kPutAtRandom || operation == Operation::kDeleteAtRandom;
  }
  /// Leaves work for flushes and compactions, or is such work.
  bool changes_tree() const { return writes() || beside_writer || operation == Operation::kCompact; }
  /// How much was written is the same for every engine, so what is found afterwards must be the same as well.
  bool deterministic() const { return !beside_writer; }
};

/// All of them, in the order of a run that names none.
std::span<const Workload> Workloads();
/// nullptr: there is none of this name.
const Workload* FindWorkload(std::string_view name);
/// "fillseq, fillrandom, …", for messages.
std::string WorkloadNames();

}  // namespace lsmkv::bench
