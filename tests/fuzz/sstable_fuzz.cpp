// The SSTable's reader. Promises: nothing is read outside the file; no more is allocated than the file's bytes could unpack
// to; every walk ends; an error names the file; a walk backward meets what the walk forward met; a table in which the check of
// a whole table (CheckTable) finds nothing is walked without an error, and every key in it is found.
//   input := mode:u8 file      mode 1: from the footer on, every block that is reachable gets the checksum of its bytes
#include <algorithm>
#include <vector>

#include "base/coding.h"
#include "base/hash.h"
#include "engine/sstable/block_cache.h"
#include "engine/sstable/filter_block.h"
#include "engine/sstable/table.h"
#include "engine/sstable/table_check.h"
#include "engine/sstable/table_load.h"
#include "fuzz_support.h"

namespace lsmkv {
namespace {

using fuzz::StringFile;

constexpr std::string_view kName = "t.sst";
constexpr std::size_t kMostEntries = 20'000;   // of one walk; a block that unpacks to much would make a run slow
constexpr std::size_t kMostBlocks = 200;       // that get a checksum

/// Kind and checksum of the block at `handle`, as a writer would have them; its compression stays.
void PutRight(std::string* file, BlockHandle handle, BlockKind kind) {
  if (!HandleFits(handle, file->size())) return;
  const auto type = static_cast<std::uint8_t>((*file)[handle.offset + handle.size]);
  std::string block;
  AppendBlock(&block, std::string_view(*file).substr(handle.offset, handle.size), kind, static_cast<Compression>(type & 15), handle.offset);
  file->replace(handle.offset, block.size(), block);
}

template <typename Block>
std::shared_ptr<const Block> Load(const std::string& file, BlockHandle handle) {
  auto block = LoadBlock<Block>(StringFile(file), handle);
  return block ? *block : nullptr;
}

void PutIndexRight(std::string* file, BlockHandle handle, std::size_t* blocks) {
  PutRight(file, handle, BlockKind::kIndex);
  const auto index = Load<IndexBlock>(*file, handle);
  if (index == nullptr) return;
  for (std::size_t at = 0; at < index->size() && *blocks < kMostBlocks; ++at, ++*blocks) PutRight(file, index->entry(at).block, BlockKind::kData);
}

/// Blocks may lie over each other in what a fuzzer makes; the last one wins, which is as good as any.
void PutChecksumsRight(std::string* file) {
  if (file->size() < kTableFooterBytes) return;
  const char* const raw = file->data() + file->size() - kTableFooterBytes;
  const auto number = [raw](std::size_t at) { return DecodeFixed<std::uint64_t>(raw + 8 * at); };
  const TableFooter footer{{number(0), number(1)}, {number(2), number(3)}, file->size()};
  file->replace(file->size() - kTableFooterBytes, kTableFooterBytes, EncodeFooter(footer));
  PutRight(file, footer.properties, BlockKind::kProperties);
  PutRight(file, footer.top_index, BlockKind::kTopIndex);
  const auto top = Load<TopIndexBlock>(*file, footer.top_index);
  if (top == nullptr) return;
  std::size_t blocks = 0;
  for (std::size_t at = 0; at < top->size() && blocks < kMostBlocks; ++at, ++blocks) {
    PutRight(file, top->entry(at).filter, BlockKind::kFilter);
    PutIndexRight(file, top->entry(at).block, &blocks);
  }
}

void MustBeNamed(const Status& status) {
  if (status.ok()) return;
  FUZZ_REQUIRE(status.code() == StatusCode::kCorruption || status.code() == StatusCode::kUnsupported, "it is damage or a newer format");
  FUZZ_REQUIRE(status.message().starts_with(kName), "an error names the file");
}

struct Walk {
  std::vector<std::string> keys;
  bool ended = false;    // at an end, without an error
};

Walk WalkOver(const Table& table, const IteratorOptions& options, bool forward) {
  Walk walk;
  const auto it = table.NewIterator(options);
  forward ? it->SeekToFirst() : it->SeekToLast();
  for (; it->Valid() && walk.keys.size() < kMostEntries; forward ? it->Next() : it->Prev()) {
    const EntryView& entry = it->entry();
    static_cast<void>(Hash(entry.value));    // so that the address sanitizer looks at every byte
    walk.keys.emplace_back(entry.key);
  }
  MustBeNamed(it->status());
  walk.ended = it->status().ok() && !it->Valid();
  return walk;
}

void Ask(const Table& table, std::string_view key) {
  TableGetResult result;
  const Status status = table.Get(key, Hash(key), {}, &result);
  MustBeNamed(status);
  if (status.ok() && result.found) static_cast<void>(Hash(result.entry.value));
  for (const bool memory_only : {true, false}) static_cast<void>(table.WillRead(key, Hash(key), {.memory_only = memory_only}));
  const auto it = table.NewIterator({});
  it->Seek(key);
  MustBeNamed(it->status());
  it->SeekForPrev(key);
  MustBeNamed(it->status());
  const auto sample = table.SampleKey(Hash(key), key, "");
  MustBeNamed(sample.status());
}

/// True: nothing is wrong with it.
bool Check(const std::string& file) {
  constexpr std::uint64_t kMostRead = 1 << 20;   // hostile indexes name a block again and again
  std::uint64_t read = 0;
  const FileCheckHooks hooks{.on_read = [&](std::uint64_t bytes) { return (read += bytes) <= kMostRead; }, .on_damage = &MustBeNamed};
  const FileCheckSummary summary = CheckTable(StringFile(file), std::string(kName), hooks);
  return summary.damage == 0 && !summary.stopped;
}

void TryTable(const std::string& file) {
  // Kept from input to input, since it is costly to make; numbers are never used again, so nothing is remembered.
  static BlockCache cache(1 << 20);
  static std::uint64_t number = 0;
  const auto table = Table::Open(std::make_unique<StringFile>(file), {std::string(kName), ++number, &cache, nullptr});
  MustBeNamed(table.status());
  if (!table) return;
  MustBeNamed((*table)->ReadProperties().status());
  FUZZ_REQUIRE((*table)->Sections().size() <= file.size(), "sections are in the file");
  const Walk forward = WalkOver(**table, {}, true);
  const Walk ahead = WalkOver(**table, {.fill_cache = false, .readahead_bytes = 4096}, true);
  Walk backward = WalkOver(**table, {}, false);
  FUZZ_REQUIRE(ahead.ended == forward.ended && ahead.keys == forward.keys, "reading ahead makes no difference");
  std::ranges::reverse(backward.keys);
  if (Check(file)) {
    FUZZ_REQUIRE(forward.ended || forward.keys.size() == kMostEntries, "a table that was checked can be read");
    FUZZ_REQUIRE(std::ranges::is_sorted(forward.keys), "in order");
    for (const std::string& key : forward.keys) {
      TableGetResult result;
      FUZZ_REQUIRE((*table)->Get(key, Hash(key), {}, &result).ok() && result.found, "and every key is found");
    }
  }
  if (forward.ended) FUZZ_REQUIRE(backward.ended && backward.keys == forward.keys, "backward is forward turned round");
  constexpr std::size_t kAsked = 32;
  for (std::size_t at = 0; at < std::min(kAsked, forward.keys.size()); ++at) Ask(**table, forward.keys[at]);
  for (const std::string_view key : {"", "a", "key:000", "\xff\xff"}) Ask(**table, key);
  cache.EraseTable(number);
}

}  // namespace
}  // namespace lsmkv

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lsmkv;
  fuzz::Input input(data, size);
  const std::uint8_t mode = input.Byte();
  std::string file(input.Rest());
  // compression.cpp: what a packed byte may stand for.
  constexpr std::size_t kMostRatio = 32768;
  constexpr std::size_t kFixedBytes = 4 << 20;
  const fuzz::AllocationBound bound(kFixedBytes + kMostRatio * size);
  if (mode & fuzz::kRightChecksums) PutChecksumsRight(&file);
  TryTable(file);
  return 0;
}
