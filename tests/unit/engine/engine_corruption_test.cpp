// Every kind of file of a data directory, damaged in one place at a time: bits turned over, bytes zeroed, the end cut off or
// something added to it; at the boundaries of its structures and at random. Then the tree is opened and all of it is read, scrubbed, merged
// and read again, and once more after another start. What a reader has found a scrub must find.
// Allowed are right values, an error for a key that names file and offset, and a refusal to open that names the file and what
// can be done. A wrong value, a key that is missing without an error, a crash or a hang is a failure.
//
// LSMKV_LONG_TESTS=1 damages every byte. The last case is the test of the test: damage that checksums do not see, because they
// were put right, must make it fail.
#include "corruption_fixture.h"

#include <set>

#include "base/hash.h"
#include "engine/blob/format.h"
#include "engine/manifest/manifest.h"
#include "engine/sstable/data_block.h"
#include "engine/sstable/index_block.h"
#include "engine/sstable/table_load.h"
#include "engine/wal/log_format.h"

using namespace lsmkv;
using namespace lsmkv::engine_test;

namespace {

// ---- where the structures of a file begin and end

class BytesFile final : public RandomAccessFile {
 public:
  explicit BytesFile(std::string_view bytes) : bytes_(bytes) {}
  Status Read(std::uint64_t offset, std::size_t size, char* buffer) const override {
    bytes_.copy(buffer, size, offset);
    return {};
  }
  std::uint64_t size() const override { return bytes_.size(); }
  void WillNeed(std::uint64_t, std::uint64_t) const override {}

 private:
  const std::string_view bytes_;
};

struct Block {
  BlockHandle handle;
  BlockKind kind;
};

std::vector<Block> BlocksOf(const std::string& table) {
  const BytesFile file(table);
  const auto footer = ReadTableFooter(file);
  REQUIRE(footer);
  std::vector<Block> blocks = {{footer->top_index, BlockKind::kTopIndex}, {footer->properties, BlockKind::kProperties}};
  const auto top = LoadBlock<TopIndexBlock>(file, footer->top_index);
  REQUIRE(top);
  for (std::size_t section = 0; section < (*top)->size(); ++section) {
    const IndexEntry entry = (*top)->entry(section);
    blocks.push_back({entry.block, BlockKind::kIndex});
    if (!entry.filter.empty()) blocks.push_back({entry.filter, BlockKind::kFilter});
    const auto index = LoadBlock<IndexBlock>(file, entry.block);
    REQUIRE(index);
    for (std::size_t at = 0; at < (*index)->size(); ++at) blocks.push_back({(*index)->entry(at).block, BlockKind::kData});
  }
  return blocks;
}

/// Offsets in `bytes` where something begins or ends.
std::set<std::size_t> BoundariesOf(const std::string& path, const std::string& bytes) {
  std::set<std::size_t> at = {0, bytes.size()};
  if (path.ends_with(".sst")) {
    for (const Block& block : BlocksOf(bytes)) at.insert({block.handle.offset, block.handle.offset + block.handle.size, block.handle.end()});
  } else if (path.ends_with(".blob")) {
    at.insert({kBlobHeaderBytes, bytes.size() - kBlobFooterBytes});
    for (std::size_t record = kBlobHeaderBytes; record + kBlobFooterBytes < bytes.size();) {
      at.insert({record, record + kBlobRecordHeaderBytes});
      record += kBlobRecordHeaderBytes + DecodeFixed<std::uint32_t>(bytes.data() + record + kBlobStoredBytesAt);
    }
  } else if (path.ends_with(".log")) {
    for (std::size_t record = 0; record + kLogHeaderBytes <= bytes.size();) {
      at.insert({record, record + kLogPrefixBytes, record + kLogHeaderBytes});
      record += kLogPrefixBytes + DecodeFixed<std::uint32_t>(bytes.data() + record);
    }
  } else {
    for (std::size_t line = bytes.find('\n'); line != std::string::npos; line = bytes.find('\n', line + 1)) at.insert({line, line + 1});
  }
  std::erase_if(at, [&](std::size_t offset) { return offset > bytes.size(); });
  return at;
}

// ---- damage

enum class Damage : std::uint8_t { kFlip, kZero, kCut, kAppend };
constexpr std::size_t kZeroedBytes = 16;

struct Wound {
  std::string path;
  Damage damage;
  std::size_t at;
  unsigned bit;
};

std::string Text(const Wound& wound) {
  static constexpr const char* kNames[] = {"bit turned over", "zeroed", "cut", "appended to"};
  return wound.path + " " + kNames[static_cast<std::size_t>(wound.damage)] + " at " + std::to_string(wound.at) + ", bit " + std::to_string(wound.bit);
}

std::string Wounded(std::string bytes, const Wound& wound) {
  switch (wound.damage) {
    case Damage::kFlip: bytes[wound.at] = static_cast<char>(bytes[wound.at] ^ 1 << wound.bit); break;
    case Damage::kZero:
      for (std::size_t i = wound.at; i < std::min(bytes.size(), wound.at + kZeroedBytes); ++i) bytes[i] = '\0';
      break;
    case Damage::kCut: bytes.resize(wound.at); break;
    case Damage::kAppend: bytes += std::string(1 + wound.at % 100, static_cast<char>(wound.bit)); break;
  }
  return bytes;
}

/// Every wound of `path` that stands at a boundary or beside one, and some, or all, elsewhere.
std::vector<Wound> WoundsOf(const std::string& path, const std::string& bytes, std::mt19937_64& random) {
  std::vector<Wound> wounds;
  const auto add = [&](Damage damage, std::size_t at) {
    if (at < bytes.size() || damage == Damage::kAppend) wounds.push_back({path, damage, at, static_cast<unsigned>(random() % 8)});
  };
  for (const std::size_t boundary : BoundariesOf(path, bytes)) {
    for (const std::size_t at : {boundary - 1, boundary, boundary + 1}) {
      for (const Damage damage : {Damage::kFlip, Damage::kZero, Damage::kCut}) add(damage, at);
    }
  }
  add(Damage::kAppend, random() % 100);
  if (Seeds(0, 1) == 0) {
    constexpr std::size_t kElsewhere = 10;
    for (std::size_t i = 0; i < kElsewhere && !bytes.empty(); ++i) add(static_cast<Damage>(random() % 3), random() % bytes.size());
    return wounds;
  }
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const Damage damage : {Damage::kFlip, Damage::kZero, Damage::kCut}) add(damage, at);
  }
  return wounds;
}

const Directory& TheDirectory() {
  static const Directory directory = MakeDirectory();
  return directory;
}

/// The name of the kind that `path` is of, for counting.
std::string KindOf(const std::string& path) {
  if (path.find("manifest") != std::string::npos) return path.ends_with(".prev") ? "prev" : "manifest";
  if (path.find("wal_spare_") != std::string::npos) return "spare";
  const std::size_t dot = path.rfind('.');
  return dot == std::string::npos ? path : path.substr(dot);
}

}  // namespace

TEST_CASE("the directory that is damaged has files of every kind, and is whole", "[engine][corruption]") {
  const Directory& directory = TheDirectory();
  std::map<std::string, int> kinds;
  for (const auto& [path, bytes] : directory.files) ++kinds[KindOf(path)];
  CHECK(kinds["manifest"] == 3);
  CHECK(kinds["prev"] >= 1);
  CHECK(kinds[".sst"] >= 3);
  CHECK(kinds[".blob"] >= 2);
  CHECK(kinds[".log"] >= 2);
  CHECK(kinds[".txt"] == 1);      // what is durable
  CHECK(kinds[".json"] == 1);     // scrub.json
  CHECK(kinds[".jsonl"] == 1);    // the history
  CHECK(kinds["db/LOCK"] == 1);
  Verdict verdict(directory, "");
  CHECK(verdict.Of(directory.files) == "");
  CHECK(verdict.errors() == 0);
  CHECK_FALSE(verdict.refused());
}

TEST_CASE("no damage to any file gives a wrong value or loses a key in silence", "[engine][corruption]") {
  const Directory& directory = TheDirectory();
  std::mt19937_64 random(11);
  std::vector<Wound> wounds;
  for (const auto& [path, bytes] : directory.files) std::ranges::copy(WoundsOf(path, bytes, random), std::back_inserter(wounds));
  constexpr std::size_t kShortForm = 3000;
  std::ranges::shuffle(wounds, random);
  if (Seeds(0, 1) == 0) wounds.resize(std::min(wounds.size(), kShortForm));
  std::map<std::string, int> refusals;
  std::map<std::string, int> errors;
  FileMap files = directory.files;
  for (const Wound& wound : wounds) {
    std::string& bytes = files[wound.path];
    const std::string saved = bytes;
    bytes = Wounded(bytes, wound);
    Verdict verdict(directory, wound.path);
    const std::string wrong = verdict.Of(files);
    if (!wrong.empty()) FAIL_CHECK(Text(wound) << ": " << wrong);
    refusals[KindOf(wound.path)] += verdict.refused() ? 1 : 0;
    errors[KindOf(wound.path)] += verdict.errors();
    bytes = saved;
  }
  // It did meet what it looks for.
  CHECK(refusals["manifest"] > 0);
  CHECK(refusals[".log"] > 0);
  CHECK(errors[".sst"] > 0);
  CHECK(errors[".blob"] > 0);
  for (const char* harmless : {"prev", ".json", ".jsonl", "db/LOCK"}) {
    CAPTURE(harmless);
    CHECK(refusals[harmless] == 0);
    CHECK(errors[harmless] == 0);
  }
}

TEST_CASE("nor does any to what a killed process leaves: old bytes behind the log's end, spares, batches beside the log", "[engine][corruption]") {
  const Directory directory = MakeKilledDirectory();
  std::map<std::string, std::vector<std::string>> paths;
  for (const auto& [path, bytes] : directory.files) {
    if (!bytes.empty()) paths[KindOf(path)].push_back(path);
  }
  REQUIRE(paths[".ops"].size() == 1);
  REQUIRE(paths["spare"].size() >= 1);
  REQUIRE(paths[".dropped"].size() == 1);
  REQUIRE(std::ranges::any_of(paths[".log"], [&](const std::string& path) {
    const std::string& bytes = directory.files.at(path);
    return bytes.find("=in the log") < bytes.rfind("=round ") && bytes.rfind("=round ") != std::string::npos;    // that of an older segment
  }));
  Verdict whole(directory, "");
  REQUIRE(whole.Of(directory.files) == "");
  REQUIRE_FALSE(whole.refused());
  std::mt19937_64 random(12);
  std::map<std::string, int> refusals;
  FileMap files = directory.files;
  for (std::uint32_t i = 0; i < Seeds(50, 1000); ++i) {
    constexpr const char* kKinds[] = {".log", ".log", ".log", ".ops", ".ops", "spare", ".dropped"};
    const std::string kind = kKinds[i % std::size(kKinds)];
    const std::string& path = paths[kind][random() % paths[kind].size()];
    std::string& bytes = files[path];
    // What is cut off a log goes in silence until the note tells of it, and zeros over the last record and its marker are a power cut's.
    const auto damage = kind == ".log" ? Damage::kFlip : static_cast<Damage>(random() % 4);
    const Wound wound{path, damage, random() % bytes.size(), static_cast<unsigned>(random() % 8)};
    const std::string saved = bytes;
    bytes = Wounded(bytes, wound);
    Verdict verdict(directory, path);
    const std::string wrong = verdict.Of(files);
    if (!wrong.empty()) FAIL_CHECK(Text(wound) << ": " << wrong.substr(0, 500));
    refusals[kind] += verdict.refused() ? 1 : 0;
    bytes = saved;
  }
  CHECK(refusals[".ops"] > 0);
  CHECK(refusals[".log"] > 0);
  CHECK(refusals["spare"] == 0);
  CHECK(refusals[".dropped"] == 0);
}

// ---- the test of the test: what would be served if nobody compared checksums

namespace {

/// The first place of `needle` in files that end in `suffix`, which is there.
std::pair<std::string, std::size_t> Find(const FileMap& files, std::string_view suffix, std::string_view needle) {
  for (const auto& [path, bytes] : files) {
    if (!path.ends_with(suffix)) continue;
    if (const std::size_t at = bytes.find(needle); at != std::string::npos) return {path, at};
  }
  FAIL("nothing of the kind");
  return {};
}

void PutNumber(std::string* bytes, std::size_t at, std::uint64_t number) {
  bytes->replace(at, sizeof(number), reinterpret_cast<const char*>(&number), sizeof(number));
}

void PutRightTable(std::string* table, std::size_t damaged) {
  for (const Block& block : BlocksOf(*table)) {
    if (damaged < block.handle.offset || damaged >= block.handle.end()) continue;
    std::string again;
    AppendBlock(&again, std::string_view(*table).substr(block.handle.offset, block.handle.size), block.kind, Compression::kNone, block.handle.offset);
    table->replace(block.handle.offset, again.size(), again);
  }
}

void PutRightBlob(const std::string& path, std::string* file) {
  const std::uint64_t id = ParseBlobFileName(path.substr(path.rfind('/') + 1)).value_or(0);
  for (std::size_t at = kBlobHeaderBytes; at + kBlobFooterBytes < file->size();) {
    const std::size_t bytes = kBlobRecordHeaderBytes + DecodeFixed<std::uint32_t>(file->data() + at + kBlobStoredBytesAt);
    PutNumber(file, at, Checksum(std::string_view(*file).substr(at + 8, bytes - 8)) + id * kBlobPlaceFactor + at);
    at += bytes;
  }
}

void PutRightLog(const std::string& path, std::string* segment) {
  const std::uint64_t id = ParseSegmentFileName(path.substr(path.rfind('/') + 1)).value_or(0);
  for (std::size_t at = 0; at + kLogHeaderBytes <= segment->size();) {
    const std::size_t length = DecodeFixed<std::uint32_t>(segment->data() + at);
    if (length == 0) return;
    PutNumber(segment, at + 4, LogChecksum(id, at, std::string_view(*segment).substr(at + kLogPrefixBytes, length)));
    at += kLogPrefixBytes + length;
  }
}

}  // namespace

TEST_CASE("the test fails where checksums do not see the damage", "[engine][corruption]") {
  FaultFileSystem fs;
  Directory plain;                     // not compressed, so that values can be found in the files
  {
    Options options = CorruptionOptions(&fs);
    options.compression = Compression::kNone;
    auto engine = MustOpen(options);
    for (int i = 0; i < 60; ++i) {
      plain.model[KeyOf(i)] = ValueOf(i, i < 40 ? "table" : "log");
      REQUIRE(Put(*engine, KeyOf(i), plain.model[KeyOf(i)]).ok());
      if (i == 39) REQUIRE(engine->Compact().ok());
    }
    WaitForObsoleteFiles(*engine, fs);
  }
  for (const char* folder : {"db", "db/sst", "db/blob", "db/wal"}) {
    const auto names = fs.ListDirectory(folder);
    REQUIRE(names);
    for (const std::string& name : *names) {
      const std::string path = std::string(folder) + "/" + name;
      if (const auto bytes = fs.ReadWholeFile(path)) plain.files[path] = *bytes;
    }
  }
  REQUIRE(Verdict(plain, "").Of(plain.files) == "");

  struct Case {
    const char* suffix;
    const char* needle;
  };
  const auto c = GENERATE(values<Case>({{".sst", "=table"}, {".blob", "=table"}, {".log", "=log"}, {"_l1.json", "\"sstables\": "}}));
  CAPTURE(c.suffix);
  const auto [path, at] = Find(plain.files, c.suffix, c.needle);
  FileMap files = plain.files;
  std::string& bytes = files[path];
  if (path.ends_with(".json")) {
    auto manifest = DecodeManifest(bytes, path);
    REQUIRE(manifest);
    manifest->sstables.pop_back();     // as if damage had taken it
    bytes = EncodeManifest(*manifest);
  } else {
    bytes[at + 1] ^= 1;
    CHECK(Verdict(plain, path).Of(files) == "");   // seen, as long as checksums are compared
    if (path.ends_with(".sst")) PutRightTable(&bytes, at + 1);
    if (path.ends_with(".blob")) PutRightBlob(path, &bytes);
    if (path.ends_with(".log")) PutRightLog(path, &bytes);
  }
  const std::string wrong = Verdict(plain, path).Of(files);
  CAPTURE(wrong);
  const bool caught = wrong.find("has a wrong value") != std::string::npos || wrong.find("is missing without an error") != std::string::npos;
  CHECK(caught);
}

TEST_CASE("a loss at the log's end that was accepted once is accepted for good", "[engine]") {
  const bool something_is_left = GENERATE(true, false);
  FaultFileSystem fs;
  Options options = TinyOptions(&fs);
  const std::string log = "db/wal/wal_000001.log";
  std::uint64_t kept_bytes = 0;
  {
    auto engine = MustOpen(options);
    if (something_is_left) {
      REQUIRE(Put(*engine, "a", "1").ok());
      REQUIRE(engine->Commit());
      kept_bytes = *fs.FileSize(log);
    }
    REQUIRE(Put(*engine, "b", "lost").ok());
    REQUIRE(engine->Sync().ok());
  }
  REQUIRE(fs.Truncate(log, kept_bytes).ok());
  REQUIRE(Engine::Open(options).error().code() == StatusCode::kCorruption);
  options.wal_skip_corruption = true;
  {
    auto engine = MustOpen(options);
    REQUIRE(Put(*engine, "c", "3").ok());
    REQUIRE(engine->Sync().ok());
  }
  options.wal_skip_corruption = false;
  auto engine = MustOpen(options);
  CHECK(Get(*engine, "a") == (something_is_left ? std::optional<std::string>("1") : std::nullopt));
  CHECK(Get(*engine, "b") == std::nullopt);
  CHECK(Get(*engine, "c") == "3");
}
