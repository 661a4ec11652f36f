// What damage does to a table: an error, never a wrong answer.

#include <cstdlib>

#include "engine/sstable/data_block.h"
#include "engine/sstable/filter_block.h"
#include "engine/sstable/table_check.h"
#include "sstable_test_util.h"

using namespace lsmkv;
using namespace lsmkv::sstable_test;

namespace {

/// A file that is a string, so that thousands of damaged tables are cheap.
class StringFile final : public RandomAccessFile {
 public:
  explicit StringFile(const std::string& bytes) : bytes_(bytes) {}
  Status Read(std::uint64_t offset, std::size_t size, char* buffer) const override {
    if (offset > bytes_.size() || size > bytes_.size() - offset) return Status::Corruption("file ends too early");
    bytes_.copy(buffer, size, offset);
    return {};
  }
  std::uint64_t size() const override { return bytes_.size(); }
  void WillNeed(std::uint64_t, std::uint64_t) const override {}

 private:
  const std::string& bytes_;
};

void CheckError(const Status& status) {
  if (status.code() != StatusCode::kCorruption && status.code() != StatusCode::kUnsupported) FAIL(status.message());
  if (!status.message().starts_with("t.sst: ")) FAIL(status.message());
}

/// What CheckTable finds.
std::uint64_t DamageIn(const std::string& bytes) {
  std::uint64_t told = 0;
  const FileCheckHooks hooks{.on_read = [](std::uint64_t) { return true; },
                             .on_damage = [&told](const Status& damage) { CheckError(damage), ++told; }};
  const FileCheckSummary summary = CheckTable(StringFile(bytes), "t.sst", hooks);
  if (told != summary.damage) FAIL("told of " << told << ", counted " << summary.damage);
  return told;
}

/// Every answer is right or an error. Returns how many answers were errors.
int CheckAnswers(const std::string& bytes, const Model& model, bool with_readahead) {
  BlockCache cache(1u << 20);
  auto table = Table::Open(std::make_unique<StringFile>(bytes), {"t.sst", 1, &cache, nullptr});
  if (!table) {
    CheckError(table.error());
    return 1;
  }
  int errors = 0;
  for (const auto& [key, version] : model) {
    TableGetResult result;
    const Status status = (*table)->Get(key, Hash(key), {}, &result);
    if (status.ok()) {
      if (!result.found || VersionOf(result.entry) != version) FAIL("a wrong answer for " + key);
    } else {
      CheckError(status);
      ++errors;
    }
  }
  const auto iterator = (*table)->NewIterator({!with_readahead, with_readahead ? 4096u : 0u});
  auto want = model.begin();
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next(), ++want) {
    if (want == model.end() || iterator->entry().key != want->first || VersionOf(iterator->entry()) != want->second)
      FAIL("a wrong entry");
  }
  if (iterator->status().ok()) {
    if (want != model.end()) FAIL("entries missing without an error");
  } else {
    CheckError(iterator->status());
    ++errors;
  }
  const auto properties = (*table)->ReadProperties();
  if (properties) {
    if (properties->entries != model.size()) FAIL("wrong properties");
  } else {
    CheckError(properties.error());
    ++errors;
  }
  return errors;
}

Model SmallModel() {
  std::mt19937_64 random(5);
  Model model;
  for (std::uint64_t i = 0; i < 40; ++i) model[NumberedKey(i * 7)] = RandomVersion(random, 1200);
  return model;
}

std::string TableBytes(const Model& model, Compression compression) {
  FaultFileSystem fs;
  TableOptions options;
  options.block_bytes = 1024;
  options.section_index_bytes = 150;
  options.compression = compression;
  WriteTable(fs, "t.sst", model, options);
  auto bytes = fs.ReadWholeFile("t.sst");
  REQUIRE(bytes);
  return *bytes;
}

}  // namespace

TEST_CASE("no flipped byte anywhere gives a wrong answer, and none goes unnoticed", "[sstable]") {
  const auto compression = GENERATE(Compression::kNone, Compression::kLz4, Compression::kZstd);
  const Model model = SmallModel();
  std::string bytes = TableBytes(model, compression);
  REQUIRE(CheckAnswers(bytes, model, false) == 0);
  REQUIRE(CheckAnswers(bytes, model, true) == 0);
  REQUIRE(DamageIn(bytes) == 0);
  std::mt19937_64 random(6);
  constexpr std::size_t kCheckEvery = 7;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    const char saved = bytes[at];
    bytes[at] = static_cast<char>(static_cast<unsigned char>(saved) ^ (random() % 2 == 0 ? 1 << random() % 8 : 1 + random() % 255));
    if (CheckAnswers(bytes, model, at % 2 == 0) == 0) FAIL("unnoticed at " << at);
    const bool checked = at % kCheckEvery == 0 || std::getenv("LSMKV_LONG_TESTS") != nullptr;
    if (checked && DamageIn(bytes) != 1) FAIL("the check does not find one place for a byte at " << at);
    bytes[at] = saved;
  }
}

TEST_CASE("a cut table is not opened", "[sstable]") {
  const Model model = SmallModel();
  const std::string bytes = TableBytes(model, Compression::kLz4);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    if (CheckAnswers(bytes.substr(0, size), model, false) != 1) FAIL("opened when cut to " << size);
    if (DamageIn(bytes.substr(0, size)) == 0) FAIL("unnoticed by the check when cut to " << size);
  }
  CHECK(CheckAnswers(bytes + "x", model, false) == 1);
  CHECK(CheckAnswers("x" + bytes, model, false) == 1);
}

TEST_CASE("a damaged block is an error for its keys only, with file and offset", "[sstable]") {
  const Model model = SmallModel();
  std::string bytes = TableBytes(model, Compression::kNone);
  bytes[10] = static_cast<char>(bytes[10] ^ 1);
  BlockCache cache(1u << 20);
  auto table = Table::Open(std::make_unique<StringFile>(bytes), {"t.sst", 1, &cache, nullptr});
  REQUIRE(table);
  TableGetResult result;
  const Status status = (*table)->Get(model.begin()->first, Hash(model.begin()->first), {}, &result);
  CHECK(status.code() == StatusCode::kCorruption);
  CHECK(status.message() == "t.sst: offset 0: block checksum does not match");
  const std::string& last = model.rbegin()->first;
  REQUIRE((*table)->Get(last, Hash(last), {}, &result).ok());
  CHECK(result.found);
}

TEST_CASE("a block in another block's place is noticed though its checksum was right where it was", "[sstable]") {
  Model model;
  for (std::uint64_t i = 0; i < 64; ++i) model[NumberedKey(i)] = {std::string(100, 'v'), 1000, 0, EntryKind::kValue};
  FaultFileSystem fs;
  TableOptions options;
  options.block_bytes = 1;
  options.compression = Compression::kNone;
  WriteTable(fs, "t.sst", model, options);
  std::string bytes = *fs.ReadWholeFile("t.sst");
  const std::size_t block_bytes = bytes.find(NumberedKey(1)) - bytes.find(NumberedKey(0));
  bytes.replace(0, block_bytes, bytes.substr(block_bytes, block_bytes));
  BlockCache cache(1u << 20);
  auto table = Table::Open(std::make_unique<StringFile>(bytes), {"t.sst", 1, &cache, nullptr});
  REQUIRE(table);
  TableGetResult result;
  CHECK((*table)->Get(NumberedKey(0), Hash(NumberedKey(0)), {}, &result).code() == StatusCode::kCorruption);
}

TEST_CASE("a newer format is refused by name, an unreadable footer as damage", "[sstable]") {
  const Model model = SmallModel();
  const std::string bytes = TableBytes(model, Compression::kLz4);
  std::string footer = bytes.substr(bytes.size() - kTableFooterBytes);
  REQUIRE(DecodeFooter(footer, bytes.size()));
  footer[32] = static_cast<char>(kTableFormatVersion + 1);
  CHECK(DecodeFooter(footer, bytes.size()).error().code() == StatusCode::kCorruption);
  const std::uint64_t checksum = Checksum(std::string_view(footer).substr(0, 48));
  footer.replace(48, 8, reinterpret_cast<const char*>(&checksum), 8);
  const Status refused = DecodeFooter(footer, bytes.size()).error();
  CHECK(refused.code() == StatusCode::kUnsupported);
  CHECK(refused.message() == "SSTable format 2 is newer than this program, which reads up to 1");
}

TEST_CASE("parsers survive any bytes", "[sstable]") {
  const auto seed = GENERATE(range(0u, 20u));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  std::mt19937_64 model_random(seed);
  const Model model = RandomModel(model_random, 40, 12, 30);
  DataBlockBuilder data;
  IndexBlockBuilder index(BlockKind::kIndex);
  for (const auto& [key, version] : model) {
    data.Add({key, version.value, version.sequence, version.expire_at_ms, version.kind}, Hash(key));
    index.Add(key, {{random() % 1000, 1 + random() % 1000}, {}});
  }
  const std::string data_bytes(data.Finish());
  const std::string index_bytes = index.Finish();
  const auto mangled = [&](std::string bytes) {
    for (std::size_t i = random() % 4 + 1; i > 0; --i) bytes[random() % bytes.size()] = static_cast<char>(random());
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    BlockContents contents;
    contents.bytes = bytes;
    contents.Own();  // exact size: a sanitizer sees a read past the end
    return contents;
  };
  for (int i = 0; i < 500; ++i) {
    if (const auto block = IndexBlock::Parse(mangled(index_bytes), 10'000)) {
      const std::size_t at = (*block)->Search(model.begin()->first + "x");
      if (at < (*block)->size()) CHECK(HandleFits((*block)->entry(at).block, 10'000));
    }
    const auto block = DataBlock::Parse(mangled(data_bytes), 0);
    if (!block) continue;
    EntryView entry;
    for (const auto& [key, version] : model) (void)(*block)->Get(key, Hash(key), &entry);
    DataBlockCursor cursor;
    cursor.Reset(**block);
    bool ok = cursor.SeekToFirst();
    while (ok && cursor.Valid()) ok = cursor.Next();
    ok = cursor.Seek(model.rbegin()->first);
    (void)DecodeProperties(mangled(data_bytes).bytes);
  }
}

TEST_CASE("a packed block that claims too much is refused before memory is taken for it", "[sstable]") {
  for (const std::string& packed : {std::string("\xff\xff\xff\xff\x0f", 5), std::string("\x80\x80\x80\x80\x04xyz", 8),
                                    std::string("\x00x", 2), std::string("\xff", 1), std::string()}) {
    for (const Compression compression : {Compression::kLz4, Compression::kZstd}) {
      CHECK_FALSE(Uncompress(packed, compression));
    }
  }
}
