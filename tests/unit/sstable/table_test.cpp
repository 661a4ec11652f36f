#include "engine/sstable/table.h"

#include <set>

#include "engine/blob_pointer.h"
#include "random_walk.h"
#include "sstable_test_util.h"

using namespace lsmkv;
using namespace lsmkv::sstable_test;

namespace {

/// Counts what is read of a file.
struct ReadCount {
  std::uint64_t calls = 0;
  std::uint64_t bytes = 0;
};
class CountingFile final : public RandomAccessFile {
 public:
  CountingFile(std::unique_ptr<RandomAccessFile> file, ReadCount* count) : file_(std::move(file)), count_(count) {}
  Status Read(std::uint64_t offset, std::size_t size, char* buffer) const override {
    ++count_->calls;
    count_->bytes += size;
    return file_->Read(offset, size, buffer);
  }
  std::uint64_t size() const override { return file_->size(); }
  void WillNeed(std::uint64_t, std::uint64_t) const override {}

 private:
  const std::unique_ptr<RandomAccessFile> file_;
  ReadCount* const count_;
};

void CheckLookups(const TestTable& test, const Model& model, std::mt19937_64& random) {
  for (const auto& [key, version] : model) {
    TableGetResult result;
    REQUIRE(test.Get(key, &result).ok());
    REQUIRE(result.found);
    REQUIRE(result.entry.key == key);
    REQUIRE(VersionOf(result.entry) == version);
    for (std::string other : {key + '\0', key + "z", key.substr(0, key.size() / 2), RandomBytes(random, 5, 3)}) {
      REQUIRE(test.Get(other, &result).ok());
      REQUIRE(result.found == model.contains(other));
    }
  }
}

void CheckSeeks(const TestTable& test, const Model& model, const IteratorOptions& options, std::mt19937_64& random) {
  const auto iterator = test.table->NewIterator(options);
  iterator->SeekToFirst();
  REQUIRE(Collect(*iterator) == model);
  REQUIRE(iterator->status().ok());
  for (int i = 0; i < 200; ++i) {
    const std::string target = RandomBytes(random, random() % 8, random() % 2 == 0 ? 3 : 256);
    auto want = model.lower_bound(target);
    iterator->Seek(target);
    for (int steps = 0; steps < 5 && want != model.end(); ++steps, ++want) {
      REQUIRE(iterator->Valid());
      REQUIRE(iterator->entry().key == want->first);
      REQUIRE(VersionOf(iterator->entry()) == want->second);
      iterator->Next();
    }
    REQUIRE(iterator->Valid() == (want != model.end()));
    REQUIRE(iterator->status().ok());
  }
  test::RandomWalk(
      *iterator, model, random, 1000, [&] { return RandomBytes(random, random() % 8, random() % 2 == 0 ? 3 : 256); },
      [&](const auto& at) { return iterator->entry().key == at->first && VersionOf(iterator->entry()) == at->second; });
}

}  // namespace

TEST_CASE("a table reads like the std::map it was made from", "[sstable]") {
  const auto seed = GENERATE(range(0u, 24u));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  TableOptions options;
  options.compression = static_cast<Compression>(seed % 3);
  options.block_bytes = std::vector<std::uint64_t>{1, 128, 4096, 65536}[random() % 4];
  options.section_index_bytes = std::vector<std::uint64_t>{1, 64, 16384}[random() % 3];
  options.bloom_bits_per_key = std::vector<std::uint32_t>{0, 1, 10, 20}[random() % 4];
  options.write_bytes = random() % 2 == 0 ? 1 : 65536;
  CAPTURE(options.block_bytes, options.section_index_bytes, options.bloom_bits_per_key);
  const Model model = RandomModel(random, 1 + random() % 1500, 1 + random() % 30, random() % 200);
  const TestTable test(model, options, random() % 2 == 0 ? 0 : 1u << 20);
  CheckLookups(test, model, random);
  CheckSeeks(test, model, {true, 0}, random);
  CheckSeeks(test, model, {false, 0}, random);
  CheckSeeks(test, model, {false, 4096}, random);
  CheckSeeks(test, model, {true, 256u << 10}, random);
}

TEST_CASE("100,000 entries in many sections are all found and nothing else", "[sstable]") {
  Model model;
  for (std::uint64_t i = 0; i < 100'000; ++i)
    model[NumberedKey(2 * i)] = {"value " + std::to_string(i), i + 1, 0, EntryKind::kValue};
  const TestTable test(model);
  REQUIRE(test.properties.filter_bytes > 100'000);
  for (std::uint64_t i = 0; i < 200'000; ++i) {
    const std::string key = NumberedKey(i);
    TableGetResult result;
    if (!test.Get(key, &result).ok() || result.found != (i % 2 == 0)) FAIL(key);
    if (result.found && result.entry.value != "value " + std::to_string(i / 2)) FAIL(key);
  }
  const auto iterator = test.table->NewIterator({false, 256u << 10});
  iterator->SeekToFirst();
  CHECK(Collect(*iterator) == model);
}

TEST_CASE("entries larger than blocks, reads and caches come back whole", "[sstable]") {
  std::mt19937_64 random(1);
  Model model;
  model["a"] = {RandomBytes(random, 3u << 20, 256), 1, 0, EntryKind::kValue};
  model["b"] = {std::string(20u << 20, 'b'), 2, 0, EntryKind::kValue};
  model[std::string(1u << 20, 'c')] = {"a long key", 3, 0, EntryKind::kValue};
  model[std::string(1u << 20, 'c') + "d"] = {"and one behind it", 4, 0, EntryKind::kValue};
  model["e"] = {"small", 5, 0, EntryKind::kValue};
  TableOptions options;
  options.compression = GENERATE(Compression::kNone, Compression::kLz4, Compression::kZstd);
  const TestTable test(model, options, 1u << 20);
  for (const auto& [key, version] : model) {
    TableGetResult result;
    REQUIRE(test.Get(key, &result).ok());
    REQUIRE((result.found && VersionOf(result.entry) == version));
  }
  for (const std::uint64_t readahead : {0u, 65536u}) {
    const auto iterator = test.table->NewIterator({false, readahead});
    iterator->SeekToFirst();
    CHECK((Collect(*iterator) == model));
  }
  CHECK(test.cache.stats().bytes <= 1u << 20);
}

TEST_CASE("a found value outlives the cache's interest in its block", "[sstable]") {
  TestTable test({{"key", {"value", 1, 0, EntryKind::kValue}}});
  TableGetResult result;
  REQUIRE(test.Get("key", &result).ok());
  test.cache.EraseTable(7);
  test.table.reset();
  CHECK(result.entry.value == "value");
}

TEST_CASE("a read from memory only says that it would block until its blocks are there", "[sstable]") {
  TestTable test({{"key", {"value", 1, 0, EntryKind::kValue}}, {"other", {"x", 2, 0, EntryKind::kValue}}});
  const std::uint64_t reads = test.reads();
  TableGetResult result;
  CHECK(test.Get("key", &result, {true, true}).code() == StatusCode::kWouldBlock);
  CHECK(test.reads() == reads);
  REQUIRE(test.Get("key", &result, {false, false}).ok());  // read, but not kept
  CHECK(test.reads() == reads + 3);
  CHECK(test.Get("key", &result, {true, true}).code() == StatusCode::kWouldBlock);
  REQUIRE(test.Get("key", &result).ok());
  CHECK(test.reads() == reads + 6);
  REQUIRE(test.Get("key", &result, {true, true}).ok());
  CHECK(result.found);
  REQUIRE(test.Get("zzz: behind the last key", &result, {true, true}).ok());
  CHECK_FALSE(result.found);
  CHECK(test.reads() == reads + 6);
}

TEST_CASE("opening reads the footer and the top index, whatever the size", "[sstable]") {
  Model model;
  for (std::uint64_t i = 0; i < 20'000; ++i) model[NumberedKey(i)] = {std::string(100, 'v'), i, 0, EntryKind::kValue};
  TestTable test(model);
  const std::uint64_t reads = test.reads();
  test.Reopen();
  CHECK(test.reads() == reads + 3);  // and the opening of the file itself
}

TEST_CASE("reading ahead takes few large reads", "[sstable]") {
  Model model;
  std::mt19937_64 random(2);
  for (std::uint64_t i = 0; i < 20'000; ++i)
    model[NumberedKey(i)] = {RandomBytes(random, 100, 256), i, 0, EntryKind::kValue};
  TestTable test(model);
  const std::uint64_t reads = test.reads();
  const auto iterator = test.table->NewIterator({false, 512u << 10});
  iterator->SeekToFirst();
  CHECK(Collect(*iterator).size() == model.size());
  CHECK(test.reads() - reads < 20);  // 2.5 MB
  CHECK(test.cache.stats().blocks == 0);
}

TEST_CASE("reading ahead works as well backward, into the cache or past it, and starts small after each seek", "[sstable]") {
  Model model;
  std::mt19937_64 random(2);
  for (std::uint64_t i = 0; i < 20'000; ++i)
    model[NumberedKey(i)] = {RandomBytes(random, 100, 256), i, 0, EntryKind::kValue};
  TestTable test(model);
  ReadCount read;
  auto file = test.fs.NewRandomAccessFile("t.sst");
  REQUIRE(file);
  auto table = Table::Open(std::make_unique<CountingFile>(std::move(*file), &read), {"t.sst", 8, &test.cache, &test.counters});
  REQUIRE(table);
  const auto fill_cache = GENERATE(false, true);
  const auto reads_of = [&](const auto& use) {
    test.cache.EraseTable(8);
    const auto iterator = (*table)->NewIterator({fill_cache, 256u << 10});
    read = {};
    use(*iterator);
    REQUIRE(iterator->status().ok());
    return read;
  };
  std::uint64_t count = 0;
  const auto backward = reads_of([&](InternalIterator& it) {
    for (it.SeekToLast(); it.Valid(); it.Prev()) ++count;
  });
  CHECK(count == model.size());
  CHECK(backward.calls < 40);                  // 2.5 MB
  const auto forward = reads_of([&](InternalIterator& it) {
    for (it.SeekToFirst(); it.Valid(); it.Next()) ++count;
  });
  CHECK(count == 2 * model.size());
  CHECK(forward.calls < 40);
  // Seeks close to each other, each with a few steps: the small first piece each time, and the indexes.
  const auto seeks = reads_of([&](InternalIterator& it) {
    for (std::uint64_t i = 0; i < 50; ++i) {
      it.Seek(NumberedKey(10'500 + 300 * i % 7000));
      for (int step = 0; step < 5; ++step) it.Next();
      it.SeekForPrev(NumberedKey(9'500 - 300 * i % 7000));
      for (int step = 0; step < 5; ++step) it.Prev();
    }
  });
  CHECK(seeks.bytes <= 50 * 2 * (17u << 10) + 50 * (20u << 10));
}

TEST_CASE("properties say what is in the table", "[sstable]") {
  Model model;
  model["a"] = {"", 9, 0, EntryKind::kTombstone};
  model["b"] = {"1234", 5, 1'700'000'500'000, EntryKind::kExpiringValue};
  model["c"] = {"12", 7, 0, EntryKind::kValue};
  model["d"] = {"", 6, 1'700'000'000'000, EntryKind::kExpiringValue};
  const TestTable test(model);
  const Result<TableProperties> read = test.table->ReadProperties();
  REQUIRE(read);
  CHECK(*read == test.properties);
  CHECK(read->format_version == kTableFormatVersion);
  CHECK(read->entries == 4);
  CHECK(read->tombstones == 1);
  CHECK(read->expiring == 2);
  CHECK(read->expires_first_ms == 1'700'000'000'000);
  CHECK(read->expires_last_ms == 1'700'000'500'000);
  CHECK(read->expiry.ExpiredBy(1'700'000'499'000) == 1);
  CHECK(read->expiry.ExpiredBy(1'700'000'600'000) == 2);
  CHECK(read->smallest_key == "a");
  CHECK(read->largest_key == "d");
  CHECK(read->smallest_sequence == 5);
  CHECK(read->largest_sequence == 9);
  CHECK(read->raw_value_bytes == 6);
  CHECK(read->data_blocks == 1);
}

TEST_CASE("properties say what the table refers to in blob files", "[sstable]") {
  const auto pointer = [](std::uint64_t blob, std::uint64_t stored_bytes) {
    std::string encoded;
    PutBlobPointer(&encoded, {blob, 32, stored_bytes, 10'000, "headhead"});
    return encoded;
  };
  Model model;
  model["a"] = {pointer(300, 5000), 1, 0, EntryKind::kBlob};
  model["b"] = {"plain", 2, 0, EntryKind::kValue};
  model["c"] = {pointer(7, 4000), 3, 1'700'000'500'000, EntryKind::kBlob};
  model["d"] = {pointer(300, 6000), 4, 0, EntryKind::kBlob};
  const TestTable test(model);
  const Result<TableProperties> read = test.table->ReadProperties();
  REQUIRE(read);
  CHECK(*read == test.properties);
  CHECK(read->blobs == std::map<std::uint64_t, BlobShare>{{7, {1, 4024}}, {300, {2, 11'048}}});
  CHECK(read->expiring == 1);
  CHECK(read->expires_last_ms == 1'700'000'500'000);
  const auto iterator = test.table->NewIterator({});
  iterator->SeekToFirst();
  CHECK(Collect(*iterator) == model);
}

TEST_CASE("a pointer that is none is refused before it is in a table", "[sstable]") {
  FaultFileSystem fs;
  auto file = fs.NewWritableFile("t.sst");
  TableBuilder builder(**file, {});
  CHECK(builder.Add({"a", "no pointer", 1, 0, EntryKind::kBlob}).code() == StatusCode::kCorruption);
  CHECK(builder.Add({"a", "value", 1, 0, EntryKind::kValue}).ok());
  CHECK(builder.Finish().ok());
}

TEST_CASE("the expiry histogram never overstates what has expired, and misses little", "[sstable]") {
  const auto seed = GENERATE(range(0u, 10u));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const std::uint64_t spread = std::uint64_t{1} << (4 + random() % 60);
  ExpiryHistogram histogram;
  std::multiset<std::uint64_t> deadlines;
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t deadline = random() % spread;
    histogram.Add(deadline);
    deadlines.insert(deadline);
  }
  REQUIRE(histogram.counts().size() <= ExpiryHistogram::kMaxBuckets);
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t now = random() % spread;
    const auto expired = static_cast<std::uint64_t>(std::distance(deadlines.begin(), deadlines.lower_bound(now)));
    const std::uint64_t said = histogram.ExpiredBy(now);
    const std::uint64_t width = histogram.bucket_width_ms();
    const auto surely =
        static_cast<std::uint64_t>(std::distance(deadlines.begin(), deadlines.lower_bound(now < width ? 0 : now - width)));
    CHECK(said <= expired);
    CHECK(said >= surely);
  }
  std::string encoded;
  histogram.EncodeTo(&encoded);
  ExpiryHistogram decoded;
  REQUIRE(decoded.DecodeFrom(encoded));
  CHECK(decoded == histogram);
}

TEST_CASE("a sampled key lies within its bounds, and every part of the table is sampled", "[sstable]") {
  Model model;
  for (std::uint64_t i = 0; i < 5000; ++i) model[NumberedKey(i)] = {std::string(50, 'v'), i, 0, EntryKind::kValue};
  TableOptions options;
  options.section_index_bytes = 200;
  const TestTable test(model, options);
  std::mt19937_64 random(3);
  std::set<std::uint64_t> tenths;
  for (int i = 0; i < 300; ++i) {
    const auto key = test.table->SampleKey(random(), "", "");
    REQUIRE((key && *key && model.contains(**key)));
    tenths.insert(std::stoull((*key)->substr(5)) / 500);
    const std::uint64_t low = random() % 5100;
    const std::uint64_t high = low + random() % 100;
    const auto within = test.table->SampleKey(random(), NumberedKey(low), NumberedKey(high));
    REQUIRE(within);
    CHECK(within->has_value() == (low < 5000 && low < high));
    if (*within) CHECK((**within >= NumberedKey(low) && **within < NumberedKey(high)));
  }
  CHECK(tenths.size() == 10);
  CHECK(test.table->SampleKey(1, "zzz", "")->has_value() == false);
  CHECK(test.table->SampleKey(1, "", "a")->has_value() == false);
}

TEST_CASE("filters answer for most absent keys, and are counted", "[sstable]") {
  Model model;
  for (std::uint64_t i = 0; i < 10'000; ++i) model[NumberedKey(2 * i)] = {"v", i, 0, EntryKind::kValue};
  const TestTable test(model);
  TableGetResult result;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    if (!test.Get(NumberedKey(2 * i + 1), &result).ok() || result.found) FAIL(i);
  }
  const FilterCounters::Totals totals = test.counters.totals();
  CHECK(totals.checks >= 9'999);
  CHECK(totals.negatives + totals.false_positives == totals.checks);
  CHECK(static_cast<double>(totals.false_positives) < 0.015 * static_cast<double>(totals.checks));
}

TEST_CASE("a failing file fails the builder for good", "[sstable]") {
  FaultFileSystem fs;
  auto file = fs.NewWritableFile("t.sst");
  REQUIRE(file);
  TableOptions options;
  options.block_bytes = 1;
  options.write_bytes = 1;
  TableBuilder builder(**file, options);
  fs.FailCall(3, Fault::kNoSpace);
  Status status;
  int added = 0;
  for (; status.ok() && added < 100; ++added)
    status = builder.Add({NumberedKey(static_cast<std::uint64_t>(added)), "v", 1, 0, EntryKind::kValue});
  CHECK(status.code() == StatusCode::kNoSpace);
  CHECK(added < 100);
  CHECK(builder.Add({"z", "v", 1, 0, EntryKind::kValue}).code() == StatusCode::kNoSpace);
  CHECK(builder.Finish().code() == StatusCode::kNoSpace);
}

TEST_CASE("a table without entries and an entry beyond all measure are refused", "[sstable]") {
  FaultFileSystem fs;
  auto file = fs.NewWritableFile("t.sst");
  REQUIRE(file);
  TableBuilder builder(**file, {});
  const char byte = 'x';
  const std::string_view huge(&byte, TableBuilder::kMaxEntryBytes);  // only its size is looked at
  CHECK(builder.Add({"k", huge, 1, 0, EntryKind::kValue}).code() == StatusCode::kInvalidArgument);
  CHECK(builder.Finish().code() == StatusCode::kInvalidArgument);
}

TEST_CASE("an index key separates its block from the next", "[sstable]") {
  const auto seed = GENERATE(range(0u, 5u));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 2000; ++i) {
    std::string a = RandomBytes(random, random() % 6, 3);
    std::string b = RandomBytes(random, random() % 6, 3);
    if (a == b) continue;
    if (b < a) std::swap(a, b);
    const std::string_view separator = Separator(a, b);
    REQUIRE((a <= separator && separator < b && separator.size() <= a.size()));
  }
}
