#include "manifest_fixture.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "engine/blob_pointer.h"

namespace lsmkv::manifest_test {
namespace {

LevelManifest RandomManifest(std::mt19937_64& random) {
  LevelManifest manifest;
  manifest.level = static_cast<std::uint32_t>(random() % 4);
  manifest.revision = random();
  if (manifest.level == 0 && random() % 2 == 0) manifest.wal_floor = random();
  if (manifest.level == 0 && random() % 2 == 0) manifest.flushed_sequence = random();
  manifest.written_at_ms = random() % 2 == 0 ? random() : random() % kLastIsoMillis;
  std::set<std::string> keys;
  for (auto wanted = random() % 8; keys.size() < wanted;) keys.insert(RandomBytes(random));
  std::uint64_t id = 0;
  for (auto it = keys.begin(); it != keys.end() && std::next(it) != keys.end(); std::advance(it, 2)) {
    id += 1 + random() % 1'000'000'000;
    TableRecord table = Table(id, *it, *std::next(it));
    table.entries = 1 + random() % UINT32_MAX;
    table.tombstones = random() % (table.entries + 1);
    table.expiring = random() % 2 == 0 ? 0 : 1 + random() % table.entries;
    if (table.expiring > 0) {
      table.expires_first_ms = random() % (2 * kLastIsoMillis);
      table.expires_last_ms = table.expires_first_ms + random() % kLastIsoMillis;
    }
    for (auto count = random() % 3; count > 0; --count) table.replaces.emplace_back(random() % 64, 1 + random() % 100);
    for (auto count = random() % 4; count > 0 && table.entries > 1'000'000; --count) {
      const std::uint64_t live = 1 + random() % UINT32_MAX;
      table.blobs.push_back({++id + random() % 3, 1 + random() % 100'000, live, live + kBlobOverheadBytes + random() % 1000});
      id = table.blobs.back().id;
    }
    manifest.sstables.push_back(table);
  }
  manifest.last_id = id + random() % 5;
  return manifest;
}

constexpr char kShown[] = R"({
  "format": 1,
  "level": 1,
  "revision": 42,
  "wal_floor": null,
  "last_id": 7,
  "written_at": "2026-03-01T12:00:07.123Z",
  "sstables": [
    { "id": 7, "file": "sst/sstable_000007.sst",
      "entries": 10, "tombstones": 2, "size_bytes": 100,
      "smallest_key": "user:0001", "largest_key": "user:9999\\x00",
      "smallest_seq": 70, "largest_seq": 79,
      "created_at": "2026-03-01T12:00:06.998Z",
      "expiring": 3, "expires_first": "2026-03-02T00:00:00.000Z", "expires_last": "2026-03-02T11:59:59.000Z",
      "replaces": [[0,4],[0,5]],
      "blobs": [[5,2,8000,16064],[6,3,30000,30064]] }
  ],
  "checksum": "xxh3:)";

LevelManifest Shown() {
  LevelManifest manifest;
  manifest.level = 1;
  manifest.revision = 42;
  manifest.last_id = 7;
  manifest.written_at_ms = 1'772'366'407'123;
  TableRecord table = Table(7, "user:0001", std::string("user:9999\0", 10));
  table.expiring = 3;
  table.expires_first_ms = 1'772'409'600'000;
  table.expires_last_ms = 1'772'452'799'000;
  table.replaces = {{0, 4}, {0, 5}};
  table.blobs = {{5, 2, 8000, 16064}, {6, 3, 30000, 30064}};
  manifest.sstables.push_back(table);
  return manifest;
}

Status DecodeStatus(const std::string& text) { return DecodeManifest(text, "manifest_l1.json").status(); }

}  // namespace

TEST_CASE("a manifest reads as DESIGN shows it", "[manifest]") {
  const std::string text = EncodeManifest(Shown());
  CHECK(text.substr(0, sizeof(kShown) - 1) == kShown);
  CHECK(*DecodeManifest(text, "manifest_l1.json") == Shown());
}

TEST_CASE("any manifest survives encoding and decoding", "[manifest]") {
  const auto seed = GENERATE(range(0u, 200u));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const LevelManifest manifest = RandomManifest(random);
  const Result<LevelManifest> decoded = DecodeManifest(EncodeManifest(manifest), "m");
  REQUIRE(decoded.status().message() == "");
  CHECK(*decoded == manifest);
}

TEST_CASE("a changed byte is noticed or changes nothing", "[manifest]") {
  const std::string text = EncodeManifest(Shown());
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = text;
      changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ (1u << bit));
      const Result<LevelManifest> decoded = DecodeManifest(changed, "manifest_l1.json");
      if (decoded && *decoded == Shown()) continue;
      CAPTURE(at, bit);
      REQUIRE(!decoded.has_value());
      REQUIRE(decoded.error().message().starts_with("manifest_l1.json: "));
    }
  }
}

TEST_CASE("a manifest cut anywhere is refused", "[manifest]") {
  const std::string text = EncodeManifest(Shown());
  for (std::size_t size = 0; size + 1 < text.size(); ++size) REQUIRE(!DecodeStatus(text.substr(0, size)).ok());
}

TEST_CASE("white space may be changed by hand, a figure may not", "[manifest]") {
  std::string text = EncodeManifest(Shown());
  std::string spaced = text;
  spaced.insert(spaced.find("\"entries\""), "\n\n   ");
  CHECK(*DecodeManifest(spaced, "m") == Shown());
  text.replace(text.find("\"entries\": 10"), 13, "\"entries\": 11");
  const Status changed = DecodeStatus(text);
  CHECK(changed.code() == StatusCode::kCorruption);
  CHECK(changed.message().find("changed by hand or is damaged") != std::string::npos);
  CHECK(changed.message().find("manifest_l1.json.prev") != std::string::npos);
}

TEST_CASE("a newer format is refused by name", "[manifest]") {
  const Status status = DecodeStatus(R"({"format": 2, "something": "else", "checksum": "none"})");
  CHECK(status.code() == StatusCode::kUnsupported);
  CHECK(status.message() == "manifest_l1.json: has format 2; this version knows formats up to 1");
}

TEST_CASE("what no level can be like is refused", "[manifest]") {
  const auto refused = [](auto change) {
    LevelManifest manifest = Shown();
    change(manifest);
    const Status checked = CheckManifest(manifest);
    CHECK(checked.code() == StatusCode::kCorruption);
    CHECK(!DecodeStatus(EncodeManifest(manifest)).ok());
  };
  refused([](LevelManifest& m) { m.sstables[0].id = 0; });
  refused([](LevelManifest& m) { m.sstables[0].file = "sst/../sstable_000007.sst"; });
  refused([](LevelManifest& m) { m.sstables[0].entries = 0; });
  refused([](LevelManifest& m) { m.sstables[0].tombstones = 11; });
  refused([](LevelManifest& m) { m.sstables[0].expiring = 11; });
  refused([](LevelManifest& m) { m.sstables[0].expires_last_ms = 1; });
  refused([](LevelManifest& m) { m.sstables[0].size_bytes = 0; });
  refused([](LevelManifest& m) { m.sstables[0].largest_key = "a"; });
  refused([](LevelManifest& m) { m.sstables[0].smallest_seq = 80; });
  refused([](LevelManifest& m) { m.last_id = 6; });
  refused([](LevelManifest& m) { m.sstables[0].blobs[1].id = 8; });
  refused([](LevelManifest& m) { m.sstables[0].blobs[1].id = 5; });
  refused([](LevelManifest& m) { m.sstables[0].blobs[0].id = 0; });
  refused([](LevelManifest& m) { m.sstables[0].blobs[0].entries = 8; });
  refused([](LevelManifest& m) { m.sstables[0].blobs[0].entries = 0; });
  refused([](LevelManifest& m) { m.sstables[0].blobs[0].live_bytes = 0; });
  refused([](LevelManifest& m) { m.sstables[0].blobs[0].live_bytes = 16001; });
  refused([](LevelManifest& m) { m.sstables[0].blobs[0].live_bytes = UINT64_MAX; });
  refused([](LevelManifest& m) { m.wal_floor = 1; });
  refused([](LevelManifest& m) { m.level = kMaxManifestLevel + 1; });
  refused([](LevelManifest& m) { m.sstables.push_back(m.sstables[0]); });
  refused([](LevelManifest& m) {
    m.last_id = 8;
    m.sstables.push_back(Table(8, "user:5", "user:6"));
  });
}

TEST_CASE("a document of the wrong shape is an error, never a crash", "[manifest]") {
  for (const char* text : {"", "7", "[]", "{}", "null", R"({"format": "1"})", R"({"format": 0, "checksum": "x"})",
                           R"({"format": 1})", R"({"format": -1, "checksum": "x"})", "\xff\xfe", "{\"format\": 1e9}"}) {
    CAPTURE(text);
    CHECK(DecodeStatus(text).code() == StatusCode::kCorruption);
  }
  CHECK(!DecodeStatus(std::string(100'000, '[')).ok());
}

TEST_CASE("a list of blob files of the wrong shape is an error that says so", "[manifest]") {
  for (const char* blobs : {"7", "[7]", "[[5,2,8000]]", "[[5,2,8000,16064,1]]", "[[5,2,8000,-1]]", "[[5,2,8000,\"x\"]]", "null"}) {
    CAPTURE(blobs);
    std::string text = EncodeManifest(Shown());
    const std::size_t begin = text.find("[[5,2");
    text.replace(begin, text.find(" }", begin) - begin, blobs);
    auto document = nlohmann::ordered_json::parse(text);
    document.erase("checksum");
    const std::string checksum = fmt::format("xxh3:{:016x}", Checksum(document.dump()));
    text.replace(text.find("xxh3:"), checksum.size(), checksum);
    const Status status = DecodeStatus(text);
    CHECK(status.code() == StatusCode::kCorruption);
    CHECK(status.message().find("\"blobs\"") != std::string::npos);
  }
}

TEST_CASE("file names are recognised exactly", "[manifest]") {
  CHECK(ManifestFileName(3) == "manifest_l3.json");
  CHECK(ParseManifestFileName("manifest_l3.json") == 3u);
  for (const char* name : {"manifest_l.json", "manifest_l03.json", "manifest_l3.json.prev", "manifest_l64.json", "manifest_l-1.json",
                           "manifest_l99999999999999999999.json"}) {
    CHECK(!ParseManifestFileName(name));
  }
  CHECK(ParseTableFileName("sstable_000007.sst") == 7u);
  CHECK(ParseTableFileName("sstable_1234567.sst") == 1'234'567u);
  for (const char* name : {"sstable_7.sst", "sstable_0000007.sst", "sstable_000007.sst.tmp", "sstable_.sst"}) {
    CHECK(!ParseTableFileName(name));
  }
  CHECK(BlobRecordFile(7) == "blob/blob_000007.blob");
  CHECK(ParseBlobFileName("blob_000007.blob") == 7u);
  for (const char* name : {"blob_7.blob", "blob_000007.blob.tmp", "sstable_000007.sst"}) CHECK(!ParseBlobFileName(name));
}

TEST_CASE("keys and times are exact in both directions", "[manifest]") {
  CHECK(EscapeKey(std::string("a\\b\0\xff\x7f~ ", 8)) == "a\\\\b\\x00\\xff\\x7f~ ");
  for (const char* text : {"\\", "a\\", "\\x", "\\x0", "\\xg0", "\\X00", "\\n", "\xc3\xa9", "\x01"}) CHECK(!UnescapeKey(text));
  std::mt19937_64 random(7);
  for (int i = 0; i < 1000; ++i) {
    const std::string key = RandomBytes(random);
    CHECK(*UnescapeKey(EscapeKey(key)) == key);
    const std::uint64_t time = random() % (kLastIsoMillis + 1);
    CHECK(*ParseIsoTime(FormatIsoTime(time)) == time);
  }
  CHECK(FormatIsoTime(0) == "1970-01-01T00:00:00.000Z");
  CHECK(FormatIsoTime(kLastIsoMillis) == "9999-12-31T23:59:59.999Z");
  CHECK(*ParseIsoTime("2024-02-29T23:59:59Z") == 1'709'251'199'000);
  for (const char* text : {"", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01 00:00:00Z",
                           "2026-01-01T00:00:00.1Z", "1969-12-31T00:00:00Z", "2026-01-01T00:00:00+"}) {
    CHECK(!ParseIsoTime(text));
  }
}

}  // namespace lsmkv::manifest_test
