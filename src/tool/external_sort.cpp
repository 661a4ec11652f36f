#include "tool/external_sort.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/assert.h"
#include "engine/iterators/merging_iterator.h"
#include "engine/sstable/table_builder.h"

namespace lsmkv::tool {
namespace {

constexpr std::uint64_t kReadaheadBytes = 512u << 10;
constexpr std::uint64_t kRunBlockBytes = 64u << 10;

std::uint64_t HeadOf(std::string_view key) {
  std::uint64_t head = 0;
  std::memcpy(&head, key.data(), std::min(key.size(), sizeof(head)));
  return __builtin_bswap64(head);
}

}  // namespace

/// The sorted entries in memory.
class ExternalSort::MemoryIterator final : public InternalIterator {
 public:
  MemoryIterator(const ExternalSort& sort, SequenceNumber sequence) : sort_(sort), sequence_(sequence) {}
  bool Valid() const override { return at_ < sort_.refs_.size(); }
  void SeekToFirst() override { MoveTo(0); }
  void Seek(std::string_view target) override {
    const auto first = std::ranges::partition_point(sort_.refs_, [&](const Ref& ref) { return sort_.KeyOf(ref) < target; });
    MoveTo(static_cast<std::size_t>(first - sort_.refs_.begin()));
  }
  void SeekToLast() override { StepBackFrom(sort_.refs_.size()); }
  void SeekForPrev(std::string_view target) override {
    const auto first_after = std::ranges::partition_point(sort_.refs_, [&](const Ref& ref) { return sort_.KeyOf(ref) <= target; });
    StepBackFrom(static_cast<std::size_t>(first_after - sort_.refs_.begin()));
  }
  void Next() override { MoveTo(at_ + 1); }
  void Prev() override { StepBackFrom(at_); }
  const EntryView& entry() const override { return entry_; }
  Status status() const override { return {}; }

 private:
  void MoveTo(std::size_t at) {
    at_ = at;
    if (Valid()) entry_ = sort_.EntryOf(sort_.refs_[at_], sequence_);
  }
  void StepBackFrom(std::size_t at) { MoveTo(at == 0 ? sort_.refs_.size() : at - 1); }
  const ExternalSort& sort_;
  const SequenceNumber sequence_;
  std::size_t at_ = 0;
  EntryView entry_;
};

ExternalSort::ExternalSort(FileSystem& fs, std::string scratch_dir, std::uint64_t memory_bytes)
    : fs_(fs), dir_(std::move(scratch_dir)), memory_bytes_(memory_bytes) {}

ExternalSort::~ExternalSort() {
  runs_.clear();
  for (std::uint64_t run = 1; run < next_run_; ++run) IgnoreError(fs_.RemoveFile(PathOf(run)), "a scratch file; it may be gone");
}

std::string ExternalSort::PathOf(std::uint64_t run) const { return fmt::format("{}/run_{:06}.sst", dir_, run); }

EntryView ExternalSort::EntryOf(const Ref& ref, SequenceNumber sequence) const {
  const std::string_view value = std::string_view(arena_).substr(ref.offset + ref.key_bytes, ref.value_bytes);
  return {KeyOf(ref), value, sequence, ref.expire_at_ms, ref.expire_at_ms == 0 ? EntryKind::kValue : EntryKind::kExpiringValue};
}

Status ExternalSort::Add(std::string_view key, std::string_view value, std::uint64_t expire_at_ms) {
  const std::uint64_t more = key.size() + value.size() + sizeof(Ref);
  if (!refs_.empty() && arena_.size() + refs_.size() * sizeof(Ref) + more > memory_bytes_)
    if (Status status = Spill(); !status.ok()) return status;
  if (refs_.empty()) {
    // Reserved once: growing by doubling would need twice the memory at its last step.
    arena_.reserve(std::max<std::uint64_t>(memory_bytes_, more));
  }
  refs_.push_back({HeadOf(key), arena_.size(), static_cast<std::uint32_t>(key.size()), static_cast<std::uint32_t>(value.size()), expire_at_ms});
  arena_.append(key);
  arena_.append(value);
  return {};
}

void ExternalSort::SortMemory() {
  std::ranges::sort(refs_, [this](const Ref& a, const Ref& b) {
    if (a.head != b.head) return a.head < b.head;
    const int order = KeyOf(a).compare(KeyOf(b));
    return order != 0 ? order < 0 : a.offset > b.offset;       // the last one first
  });
  const auto same_key = [this](const Ref& a, const Ref& b) { return a.head == b.head && KeyOf(a) == KeyOf(b); };
  const auto doubles = std::ranges::unique(refs_, same_key);
  refs_.erase(doubles.begin(), doubles.end());
}

Status ExternalSort::Spill() {
  SortMemory();
  MemoryIterator entries(*this, next_run_);
  Result<Run> run = WriteRun(entries);
  if (!run) return run.error();
  runs_.push_back(std::move(*run));
  refs_.clear();
  arena_.clear();
  return {};
}

Result<ExternalSort::Run> ExternalSort::WriteRun(InternalIterator& entries) {
  Run run{next_run_++, nullptr};
  const std::string path = PathOf(run.number);
  Result<std::unique_ptr<WritableFile>> file = fs_.NewWritableFile(path);
  if (!file) return file.error();
  TableBuilder builder(**file, {.block_bytes = kRunBlockBytes, .bloom_bits_per_key = 0});
  for (entries.SeekToFirst(); entries.Valid(); entries.Next())
    if (Status status = builder.Add(entries.entry()); !status.ok()) return status;
  if (Status status = entries.status(); !status.ok()) return status;
  if (Status status = builder.Finish(); !status.ok()) return status;
  if (Status status = (*file)->Close(); !status.ok()) return status;
  Result<std::unique_ptr<RandomAccessFile>> written = fs_.NewRandomAccessFile(path);
  if (!written) return written.error();
  Result<std::unique_ptr<Table>> table = Table::Open(std::move(*written), {path, run.number, &cache_, nullptr});
  if (!table) return table.error();
  run.table = std::move(*table);
  return run;
}

std::unique_ptr<InternalIterator> ExternalSort::Merged(std::size_t first, std::size_t count) const {
  std::vector<std::unique_ptr<InternalIterator>> sources;
  for (std::size_t i = first; i < first + count; ++i)
    sources.push_back(runs_[i].table->NewIterator({.fill_cache = false, .readahead_bytes = kReadaheadBytes}));
  return std::make_unique<MergingIterator>(std::move(sources));
}

/// The runs [first, first + count) into one, which takes their place.
Result<ExternalSort::Run> ExternalSort::MergeRuns(std::size_t first, std::size_t count) {
  const std::unique_ptr<InternalIterator> entries = Merged(first, count);
  return WriteRun(*entries);
}

Result<std::unique_ptr<InternalIterator>> ExternalSort::Finish() {
  if (runs_.empty()) {
    SortMemory();
    return std::make_unique<MemoryIterator>(*this, 1);
  }
  if (!refs_.empty())
    if (Status status = Spill(); !status.ok()) return status;
  refs_ = {};
  arena_ = {};
  while (runs_.size() > kFanIn) {
    // The oldest ones: entries keep their numbers, so the order of runs does not matter, and each entry is rewritten evenly often.
    Result<Run> merged = MergeRuns(0, kFanIn);
    if (!merged) return merged.error();
    for (std::size_t i = 0; i < kFanIn; ++i) {
      const std::string path = PathOf(runs_[i].number);
      runs_[i].table.reset();
      if (Status status = fs_.RemoveFile(path); !status.ok()) return status;
    }
    runs_.erase(runs_.begin(), runs_.begin() + kFanIn);
    runs_.push_back(std::move(*merged));
  }
  return Merged(0, runs_.size());
}

}  // namespace lsmkv::tool
