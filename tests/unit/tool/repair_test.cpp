// The decisions of repair that need no disk, and the search for blocks without an index.
#include <catch2/catch.hpp>

#include <random>

#include "base/hash.h"
#include "engine/sstable/table_builder.h"
#include "fs/fault_file_system.h"
#include "tool/block_search.h"
#include "tool/repair_databases.h"
#include "tool/repair_merge.h"
#include "tool/table_walk.h"

using namespace lsmkv;
using namespace lsmkv::tool;

namespace {

TablePtr Range(std::uint64_t id, std::string smallest, std::string largest) {
  TableRecord record;
  record.id = id;
  record.smallest_key = std::move(smallest);
  record.largest_key = std::move(largest);
  return std::make_shared<const TableFile>(record, "", std::vector<BlobFilePtr>(), nullptr, nullptr);
}

struct Found final : TableVisitor {
  void OnDamage(const Status& damage) override { damages.push_back(damage.message()); }
  void OnEntry(const EntryView& entry) override { keys.emplace_back(entry.key); }
  void OnLost(std::string_view after, std::optional<std::string> up_to) override { lost.emplace_back(after, up_to); }
  /// Whether the report accounts for a key that is not among `keys`.
  bool SaysLost(const std::string& key) const {
    return std::ranges::any_of(lost, [&](const auto& range) { return key >= range.first && (!range.second || key <= *range.second); });
  }
  std::vector<std::string> damages;
  std::vector<std::string> keys;
  std::vector<std::pair<std::string, std::optional<std::string>>> lost;
};

std::vector<std::string> WriteSomeTable(FileSystem& fs, Compression compression) {
  auto file = fs.NewWritableFile("t.sst");
  REQUIRE(file);
  TableBuilder builder(**file, {.block_bytes = 300, .section_index_bytes = 150, .compression = compression});
  std::vector<std::string> keys;
  std::mt19937 random(3);
  for (int i = 0; i < 400; ++i) {
    keys.push_back("key:" + std::to_string(10'000 + i));
    std::string value(random() % 40, '\0');
    for (char& byte : value) byte = static_cast<char>(random());
    REQUIRE(builder.Add({keys.back(), value, static_cast<SequenceNumber>(i + 1), 0, EntryKind::kValue}).ok());
  }
  REQUIRE(builder.Finish().ok());
  REQUIRE((*file)->Close().ok());
  return keys;
}

Found Walk(FileSystem& fs, TableSummary* summary) {
  auto walk = TableWalk::Open(fs, "t.sst");
  REQUIRE(walk);
  Found found;
  const auto result = (*walk)->Run(found);
  REQUIRE(result);
  *summary = *result;
  return found;
}

}  // namespace

TEST_CASE("chains do not overlap in themselves, and are as few as the deepest overlap asks for", "[repair]") {
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    std::vector<TablePtr> tables;
    std::map<char, std::size_t> depth;
    for (std::uint64_t id = 1; id <= 1 + random() % 20; ++id) {
      char first = static_cast<char>('a' + random() % 26), last = static_cast<char>('a' + random() % 26);
      if (first > last) std::swap(first, last);
      tables.push_back(Range(id, std::string(1, first), std::string(1, last)));
      for (char key = first; key <= last; ++key) ++depth[key];
    }
    std::size_t deepest = 0;
    for (const auto& [key, count] : depth) deepest = std::max(deepest, count);
    const auto chains = Chains(tables);
    std::size_t placed = 0;
    for (const auto& chain : chains) {
      placed += chain.size();
      for (std::size_t i = 1; i < chain.size(); ++i) REQUIRE(chain[i - 1]->record().largest_key < chain[i]->record().smallest_key);
    }
    REQUIRE(placed == tables.size());
    REQUIRE(chains.size() == deepest);
  }
}

TEST_CASE("a whole table is walked without a finding", "[walk]") {
  FaultFileSystem fs;
  const auto keys = WriteSomeTable(fs, GENERATE(Compression::kNone, Compression::kLz4, Compression::kZstd));
  TableSummary summary;
  const Found found = Walk(fs, &summary);
  CHECK(found.keys == keys);
  CHECK(found.damages.empty());
  CHECK_FALSE(summary.damaged);
  CHECK(summary.stated->entries == 400);
  CHECK(summary.stated->data_blocks > 20);
}

TEST_CASE("whichever byte is changed, the walk says so, loses little, and accounts for every key", "[walk][damage]") {
  FaultFileSystem fs;
  const auto keys = WriteSomeTable(fs, Compression::kLz4);
  const std::uint64_t size = *fs.FileSize("t.sst");
  for (std::uint64_t byte = 0; byte < size; byte += byte + 200 > size ? 1 : 23) {
    CAPTURE(byte, size);
    REQUIRE(fs.FlipBit("t.sst", byte * 8 + byte % 8).ok());
    if (byte >= size - 32 && byte < size - 28) {      // the version: taken for one of the future, or for 0
      REQUIRE(fs.FlipBit("t.sst", byte * 8 + byte % 8).ok());
      continue;
    }
    TableSummary summary;
    const Found found = Walk(fs, &summary);
    REQUIRE(summary.damaged);
    REQUIRE_FALSE(found.damages.empty());
    REQUIRE(found.damages[0].starts_with("offset "));
    REQUIRE(found.keys.size() + 30 > keys.size());
    REQUIRE(std::ranges::includes(keys, found.keys));
    for (const std::string& key : keys)
      if (!std::ranges::binary_search(found.keys, key)) REQUIRE(found.SaysLost(key));
    REQUIRE(fs.FlipBit("t.sst", byte * 8 + byte % 8).ok());
  }
}

TEST_CASE("blocks are found one after another, and noise holds none", "[walk]") {
  FaultFileSystem fs;
  WriteSomeTable(fs, Compression::kLz4);
  const auto file = fs.NewRandomAccessFile("t.sst");
  REQUIRE(file);
  BlockSearch search(**file, (*file)->size() - kTableFooterBytes);
  std::uint64_t offset = 0;
  std::uint64_t data = 0;
  while (offset < (*file)->size() - kTableFooterBytes) {
    const auto found = search.Next(offset);
    REQUIRE(found);
    REQUIRE(found->has_value());
    REQUIRE((*found)->handle.offset == offset);
    data += (*found)->kind == BlockKind::kData ? 1 : 0;
    offset = (*found)->handle.end();
  }
  CHECK(data > 20);
  std::mt19937 random(1);
  REQUIRE(fs.Mutate("t.sst", [&](std::string& bytes) {
    bytes.resize(5000);
    for (char& each : bytes) each = static_cast<char>(random());
  }).ok());
  const auto noise = fs.NewRandomAccessFile("t.sst");
  BlockSearch nothing(**noise, (*noise)->size());
  CHECK_FALSE(nothing.Next(0)->has_value());
}

TEST_CASE("a lost table of databases is made up from the numbers that are in use", "[repair]") {
  const auto key = [](std::uint64_t database) { return std::string(EngineKey(database, "k").view()); };
  const auto see = [](DatabaseCensus* census, const std::string& name, SequenceNumber sequence, const std::string& value = "") {
    census->See({name, value, sequence, 0, EntryKind::kValue});
  };
  DatabaseCensus nothing;
  see(&nothing, "raw", 1);
  CHECK_FALSE(nothing.Missing());
  DatabaseCensus usual;
  see(&usual, key(0), 1);
  see(&usual, key(3), 2);
  CHECK(*usual.Missing() == DatabaseTable::Fresh(16));
  see(&usual, usual.key(), 3, DatabaseTable::Fresh(4).Encode());
  CHECK_FALSE(usual.Missing());
  DatabaseCensus flushed;
  see(&flushed, key(2), 1);
  see(&flushed, key(40), 9);
  see(&flushed, flushed.key(), 5, DatabaseTable::Fresh(16).Encode());      // from before database 40 was made
  const auto made = flushed.Missing();
  REQUIRE(made);
  CHECK(made->size() == 16);
  CHECK(made->id(0) == 2);
  CHECK(made->id(1) == 40);
  CHECK(made->id(2) == 41);
  CHECK(made->next_id() == 55);
  CHECK(flushed.largest_sequence() == 9);
}
