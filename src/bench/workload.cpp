#include "bench/workload.h"

#include <algorithm>
#include <iterator>

namespace lsmkv::bench {
namespace {

constexpr Workload kWorkloads[] = {
    {.name = "fillseq", .operation = Operation::kPutInOrder, .fresh = true, .doc = "writes num entries in key order into an empty tree"},
    {.name = "fillrandom", .operation = Operation::kPutAtRandom, .fresh = true,
     .doc = "writes num entries at random keys of num into an empty tree"},
    {.name = "overwrite", .operation = Operation::kPutAtRandom, .doc = "the same into the tree as it is"},
    {.name = "compact", .operation = Operation::kCompact,
     .doc = "merges the whole tree; so what follows reads trees of one shape. Rate and CPU are per live entry"},
    {.name = "readrandom", .operation = Operation::kGet, .doc = "gets random keys of num; after fillrandom alone two of three are there"},
    {.name = "readmissing", .operation = Operation::kGetMissing, .doc = "gets keys that lie between those of the tree"},
    {.name = "seekrandom", .operation = Operation::kSeek, .doc = "makes an iterator, seeks a random key, reads seek-nexts entries more"},
    {.name = "readseq", .operation = Operation::kReadInOrder, .doc = "walks the tree from its first key on"},
    {.name = "readwhilewriting", .operation = Operation::kGet, .beside_writer = true,
     .doc = "readrandom, while one thread more writes at random keys"},
    {.name = "deleterandom", .operation = Operation::kDeleteAtRandom, .doc = "deletes random keys of num"},
    {.name = "fillsync", .operation = Operation::kPutAtRandom, .fresh = true, .synced = true, .divisor = 1000,
     .doc = "fillrandom of num / 1000 entries, each synced to the disk"},
};

}  // namespace

std::span<const Workload> Workloads() { return kWorkloads; }

const Workload* FindWorkload(std::string_view name) {
  const auto* const found = std::ranges::find_if(kWorkloads, [name](const Workload& w) { return name == w.name; });
  return found == std::end(kWorkloads) ? nullptr : found;
}

std::string WorkloadNames() {
  std::string names;
  for (const Workload& workload : kWorkloads) names += (names.empty() ? "" : ", ") + std::string(workload.name);
  return names;
}

}  // namespace lsmkv::bench
