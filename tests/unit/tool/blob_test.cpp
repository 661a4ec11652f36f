// Blob files in the tool: the walk over one, pointers into one, and what check and repair make of a directory whose blob files are
// damaged, byte by byte.
#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <set>

#include "base/hash.h"
#include "engine/blob/blob_writer.h"
#include "engine/manifest/manifest.h"
#include "fs/fault_file_system.h"
#include "keyspace/codec.h"
#include "keyspace/database_table.h"
#include "lsmkv/engine.h"
#include "tool/blob_lookup.h"
#include "tool/blob_walk.h"
#include "tool/check.h"
#include "tool/data_directory.h"
#include "tool/repair.h"

using namespace lsmkv;
using namespace lsmkv::tool;

namespace {

// ---- one file

struct Walked final : BlobVisitor {
  void OnDamage(const Status& damage) override { damages.push_back(damage.message()); }
  void OnRecord(const WalkedRecord& record) override { values.emplace_back(record.value); }
  std::vector<std::string> damages;
  std::vector<std::string> values;
};

const std::string kFile = "db/" + BlobRecordFile(7);

std::vector<std::pair<std::string, BlobPointer>> WriteSomeBlobs(FileSystem& fs, std::vector<std::string>* values, Compression compression) {
  REQUIRE(fs.CreateDirectories("db/blob").ok());
  auto file = fs.NewWritableFile(kFile);
  REQUIRE(file);
  BlobWriter writer(**file, 7, compression);
  std::vector<std::pair<std::string, BlobPointer>> pointers;
  std::mt19937 random(3);
  for (int i = 0; i < 20; ++i) {
    std::string value(50 + random() % 100, static_cast<char>('a' + i));
    if (i % 2 == 0) for (char& byte : value) byte = static_cast<char>(random());
    const std::string key = "key:" + std::to_string(i);
    auto pointer = writer.Add(Hash(key), value);
    REQUIRE(pointer);
    values->push_back(value);
    pointer->head = std::string_view(values->back()).substr(0, kValueHeadBytes);
    pointers.emplace_back(key, *pointer);
  }
  REQUIRE(writer.Finish().ok());
  REQUIRE((*file)->Close().ok());
  return pointers;
}

Walked Walk(FileSystem& fs, BlobSummary* summary) {
  auto walk = BlobWalk::Open(fs, kFile, 7);
  REQUIRE(walk);
  Walked walked;
  const auto result = (*walk)->Run(walked);
  REQUIRE(result);
  *summary = *result;
  return walked;
}

std::string Encoded(const BlobPointer& pointer) {
  std::string bytes;
  PutBlobPointer(&bytes, pointer);
  return bytes;
}

// ---- a directory

using Model = std::map<std::string, std::string>;        // by engine key

Options DirectoryOptions(FileSystem* fs, const std::string& dir, std::uint64_t min_blob_bytes) {
  Options options;
  options.dir = dir;
  options.file_system = fs;
  options.min_blob_bytes = min_blob_bytes;
  options.block_bytes = 256;
  options.block_cache_bytes = 64 << 10;
  options.max_open_sstables = 8;
  return options;
}

std::string KeyOf(int i) { return std::string(EngineKey(0, "key:" + std::to_string(100 + i)).view()); }
std::string ValueOf(int i, int version, std::size_t bytes) {
  std::mt19937 random(static_cast<unsigned>(100 * i + version));
  std::string value = "\1" + std::to_string(i) + "." + std::to_string(version) + ":";
  while (value.size() < bytes) value.push_back(i % 3 == 0 ? 'x' : static_cast<char>(random()));
  return value;
}

std::unique_ptr<Engine> MustOpen(const Options& options) {
  Result<std::unique_ptr<Engine>> engine = Engine::Open(options);
  if (!engine) FAIL(engine.error().message());
  return std::move(*engine);
}

/// First versions in a deep level, newer ones of some keys above it, some more in the log; large and small values, deadlines,
/// deletions, garbage in blob files.
Model MakeDirectory(FaultFileSystem& fs, std::uint64_t min_blob_bytes) {
  const auto engine = MustOpen(DirectoryOptions(&fs, "db", min_blob_bytes));
  Model model;
  const auto put = [&](const std::string& key, const std::string& value, std::uint64_t expire_at_ms = 0) {
    WriteBatch batch;
    batch.Put(key, value, expire_at_ms);
    REQUIRE(engine->Write(batch));
    model[key] = value;
  };
  put(ServerKey("databases"), DatabaseTable::Fresh(16).Encode());
  for (int i = 0; i < 12; ++i) put(KeyOf(i), ValueOf(i, 1, i % 4 == 3 ? 20 : 150), i % 5 == 4 ? 4'102'444'800'000 : 0);
  REQUIRE(engine->Flush().ok());
  REQUIRE(engine->Compact({}, 2).ok());
  for (int i = 0; i < 12; i += 2) put(KeyOf(i), ValueOf(i, 2, 160));
  put(KeyOf(20), ValueOf(20, 2, 130));
  REQUIRE(engine->Flush().ok());
  WriteBatch batch;
  batch.Delete(KeyOf(5));
  REQUIRE(engine->Write(batch));
  model.erase(KeyOf(5));
  put(KeyOf(30), ValueOf(30, 3, 170));
  put(KeyOf(1), ValueOf(1, 3, 10));
  return model;
}

void LoseManifest(FaultFileSystem& fs, const std::string& name) {
  REQUIRE(fs.Mutate("db/" + name, [](std::string& bytes) { bytes.resize(bytes.size() / 2); }).ok());
}

std::vector<std::string> BlobsOf(FileSystem& fs, const std::string& dir) {
  const auto on_disk = BlobsOnDisk(fs, dir);
  REQUIRE(on_disk);
  std::vector<std::string> files;
  for (const auto& [id, bytes] : *on_disk) files.push_back(BlobRecordFile(id));
  return files;
}

Report Checked(FileSystem& fs, const std::string& dir) {
  Report report(dir);
  REQUIRE(CheckDirectory(fs, dir, report).ok());
  return report;
}

/// Damage to `file` is in the report.
bool Names(const Report& report, const std::string& file) {
  return std::ranges::any_of(report.findings(), [&](const Finding& finding) { return finding.severity == Severity::kDamage && finding.file == file; });
}

/// Repairs "db" into `dir`, which must then be whole. Returns the keys that read nothing there; everything else must read as in
/// `model`. Each missing key is named by the report.
std::set<std::string> LostByRepair(FileSystem& fs, const std::string& dir, std::uint64_t min_blob_bytes, const Model& model) {
  const Options options = DirectoryOptions(&fs, dir, min_blob_bytes);
  Report report("db");
  const Status repaired = RepairDirectory(fs, "db", options, false, report);
  CAPTURE(repaired.message());
  REQUIRE(repaired.ok());
  const Report after = Checked(fs, dir);
  CAPTURE(report.Text(), after.Text());
  REQUIRE(after.findings().empty());
  const auto engine = MustOpen(options);
  std::set<std::string> lost;
  for (const auto& [key, value] : model) {
    const Result<std::optional<PinnedValue>> read = engine->Get(key);
    REQUIRE(read);
    if (read->has_value()) {
      REQUIRE((*read)->data() == value);
      continue;
    }
    lost.insert(key);
    const std::string name(key.substr(2));
    REQUIRE(report.Text().find("lost: db0 " + name + ": blob/blob_") != std::string::npos);
  }
  REQUIRE((lost.empty() || report.damaged()));
  const auto it = engine->NewIterator();
  for (it->SeekToFirst(); it->Valid(); it->Next()) REQUIRE(model.contains(std::string(it->key())));
  REQUIRE(it->status().ok());
  return lost;
}

}  // namespace

TEST_CASE("a whole blob file is walked without a finding", "[blob]") {
  FaultFileSystem fs;
  std::vector<std::string> values;
  values.reserve(20);
  const auto pointers = WriteSomeBlobs(fs, &values, GENERATE(Compression::kNone, Compression::kLz4, Compression::kZstd));
  BlobSummary summary;
  const Walked walked = Walk(fs, &summary);
  CHECK(walked.values == values);
  CHECK(walked.damages.empty());
  CHECK(summary.records == 20);
  CHECK(summary.footer->records == 20);
  CHECK(summary.file_bytes == summary.record_bytes + kBlobOverheadBytes);
}

TEST_CASE("whichever byte of a blob file is changed, the walk says so and loses one value at most", "[blob][damage]") {
  FaultFileSystem fs;
  std::vector<std::string> values;
  values.reserve(20);
  const auto pointers = WriteSomeBlobs(fs, &values, Compression::kLz4);
  const std::uint64_t size = *fs.FileSize(kFile);
  for (std::uint64_t byte = 0; byte < size; ++byte) {
    CAPTURE(byte, size);
    REQUIRE(fs.FlipBit(kFile, byte * 8 + byte % 8).ok());
    BlobSummary summary;
    const Walked walked = Walk(fs, &summary);
    REQUIRE(summary.damaged);
    REQUIRE(walked.damages[0].starts_with("offset "));
    const bool in_record = byte >= kBlobHeaderBytes && byte < size - kBlobFooterBytes;
    REQUIRE(walked.values.size() == values.size() - (in_record ? 1 : 0));
    auto expected = values.begin();        // in order, and nothing else
    for (const std::string& value : walked.values) {
      expected = std::find(expected, values.end(), value);
      REQUIRE(expected != values.end());
      ++expected;
    }
    std::size_t readable = 0;
    BlobLookup lookup(fs, "db");
    for (std::size_t i = 0; i < pointers.size(); ++i) {
      const auto read = lookup.Read({pointers[i].first, Encoded(pointers[i].second), 1, 0, EntryKind::kBlob});
      if (!read) REQUIRE(read.error().message().starts_with(BlobRecordFile(7) + ": offset "));
      if (read) REQUIRE((*read)->value() == values[i]);
      readable += read ? 1 : 0;
    }
    REQUIRE(readable == walked.values.size());
    REQUIRE(fs.FlipBit(kFile, byte * 8 + byte % 8).ok());
  }
}

TEST_CASE("a blob file that was cut short gives what is still in it", "[blob][damage]") {
  FaultFileSystem fs;
  std::vector<std::string> values;
  values.reserve(20);
  const auto pointers = WriteSomeBlobs(fs, &values, Compression::kNone);
  const std::uint64_t keep = pointers[12].second.offset;
  for (const std::uint64_t bytes : {keep, keep + 5, keep + 40, std::uint64_t{40}, std::uint64_t{0}}) {
    CAPTURE(bytes);
    REQUIRE(fs.Mutate(kFile, [&](std::string& contents) { contents.resize(bytes); }).ok());
    BlobSummary summary;
    Walk(fs, &summary);
    CHECK(summary.damaged);
    BlobLookup lookup(fs, "db");
    std::size_t readable = 0;
    for (const auto& [key, pointer] : pointers) readable += lookup.Read({key, Encoded(pointer), 1, 0, EntryKind::kBlob}) ? 1 : 0;
    CHECK(readable == (bytes >= keep ? 12 : 0));
  }
}

TEST_CASE("a pointer that leads anywhere but to its own record gives no value", "[blob]") {
  FaultFileSystem fs;
  std::vector<std::string> values;
  values.reserve(20);
  const auto pointers = WriteSomeBlobs(fs, &values, Compression::kLz4);
  BlobLookup lookup(fs, "db");
  const auto code = [&](const std::string& key, const BlobPointer& pointer) {
    const auto read = lookup.Read({key, Encoded(pointer), 1, 0, EntryKind::kBlob});
    return read ? StatusCode::kOk : read.error().code();
  };
  const auto& [key, pointer] = pointers[4];
  CHECK(code(key, pointer) == StatusCode::kOk);
  CHECK(code("key:5", pointer) == StatusCode::kCorruption);
  CHECK(code(key, pointers[6].second) == StatusCode::kCorruption);
  for (auto field : {&BlobPointer::blob, &BlobPointer::offset, &BlobPointer::stored_bytes, &BlobPointer::value_bytes}) {
    for (const std::uint64_t change : {std::uint64_t{1}, ~std::uint64_t{0}, std::uint64_t{1} << 40, ~std::uint64_t{0} << 20}) {
      BlobPointer changed = pointer;
      changed.*field += change;
      if (!DecodeBlobPointer(Encoded(changed))) continue;
      CHECK(code(key, changed) == StatusCode::kCorruption);
    }
  }
  BlobPointer changed = pointer;
  changed.head = "another!";
  CHECK(code(key, changed) == StatusCode::kCorruption);
}

TEST_CASE("a directory with blob files is whole, and repaired into its like", "[blob][repair]") {
  const std::uint64_t min_blob_bytes = GENERATE(1u, 100u);
  FaultFileSystem fs;
  const Model model = MakeDirectory(fs, min_blob_bytes);
  const Report report = Checked(fs, "db");
  CAPTURE(report.Text());
  CHECK_FALSE(report.damaged());          // an engine that is closed may leave notes: files that it had no time to remove
  CHECK(report.Text().find(" blob files") != std::string::npos);
  CHECK(LostByRepair(fs, "keep", min_blob_bytes, model).empty());
  CHECK(LostByRepair(fs, "without", 0, model).empty());
  SECTION("without a manifest") {
    const std::string manifest = GENERATE("manifest_l0.json", "manifest_l2.json");
    LoseManifest(fs, manifest);
    CHECK(Names(Checked(fs, "db"), manifest));
    CHECK(LostByRepair(fs, "merged", min_blob_bytes, model).empty());
    for (const std::string& file : BlobsOf(fs, "merged")) CHECK(file.starts_with("blob/blob_"));
  }
}

TEST_CASE("whichever byte of a blob file is changed, check says so, and repair loses one key at most and makes none up", "[blob][repair][damage]") {
  FaultFileSystem fs;
  const Model model = MakeDirectory(fs, 100);
  const auto files = BlobsOf(fs, "db");
  REQUIRE(files.size() >= 2);
  const bool lost_manifest = GENERATE(false, true);
  if (lost_manifest) LoseManifest(fs, "manifest_l0.json");
  std::size_t repairs = 0;
  std::set<std::string> lost_ever;
  for (const std::string& file : files) {
    const std::string path = "db/" + file;
    const std::uint64_t size = *fs.FileSize(path);
    for (std::uint64_t byte = 0; byte < size; ++byte) {
      CAPTURE(file, byte, size, lost_manifest);
      const bool repair = byte % 23 == 0 || byte == size - 1;
      if (lost_manifest && !repair) continue;
      REQUIRE(fs.FlipBit(path, byte * 8 + byte % 8).ok());
      if (!lost_manifest) REQUIRE(Names(Checked(fs, "db"), file));
      if (repair) {
        const auto lost = LostByRepair(fs, "new" + std::to_string(++repairs), 100, model);
        REQUIRE(lost.size() <= (byte < kBlobHeaderBytes || byte >= size - kBlobFooterBytes ? 0u : 1u));
        lost_ever.insert(lost.begin(), lost.end());
      }
      REQUIRE(fs.FlipBit(path, byte * 8 + byte % 8).ok());
    }
  }
  CHECK(repairs > 50);
  CHECK(lost_ever.size() == 8);           // every value in a blob file that is some key's newest
}

TEST_CASE("a blob file that is missing, too short or too long costs its own values only", "[blob][repair][damage]") {
  FaultFileSystem fs;
  const std::uint64_t min_blob_bytes = GENERATE(1u, 100u);        // 1: the table of databases is in a blob file too
  const Model model = MakeDirectory(fs, min_blob_bytes);
  if (GENERATE(false, true)) LoseManifest(fs, "manifest_l2.json");
  const auto files = BlobsOf(fs, "db");
  int repairs = 0;
  for (const std::string& file : files) {
    const std::string path = "db/" + file;
    const std::string bytes = *fs.ReadWholeFile(path);
    for (const std::size_t size : {bytes.size() + 10, bytes.size() / 2, std::size_t{10}}) {
      CAPTURE(file, size);
      REQUIRE(fs.Mutate(path, [&](std::string& contents) { contents.resize(size); }).ok());
      const auto lost = LostByRepair(fs, "new" + std::to_string(++repairs), min_blob_bytes, model);
      CHECK(lost.empty() == (size > bytes.size()));
      REQUIRE(fs.Mutate(path, [&](std::string& contents) { contents = bytes; }).ok());
    }
    REQUIRE(fs.Rename(path, "aside").ok());
    CHECK(Checked(fs, "db").damaged());
    const auto lost = LostByRepair(fs, "new" + std::to_string(++repairs), min_blob_bytes, model);
    CHECK_FALSE(lost.empty());
    CHECK(lost.size() < model.size() - 3);
    REQUIRE(fs.Rename("aside", path).ok());
  }
}

TEST_CASE("a repair that the disk fails leaves nothing, and the old directory as it was", "[blob][repair][fault]") {
  FaultFileSystem fs;
  const Model model = MakeDirectory(fs, 100);
  if (GENERATE(false, true)) LoseManifest(fs, "manifest_l0.json");
  REQUIRE(fs.FlipBit("db/" + BlobsOf(fs, "db").front(), 300).ok());       // so that tables and blobs are written anew
  for (std::uint64_t call = 1, failed = 1; failed > 0; ++call) {
    CAPTURE(call);
    const std::uint64_t before = fs.fired();
    fs.FailCall(call, Fault::kWriteError, FaultSpan::kFromThenOn);
    Report report("db");
    const Status status = RepairDirectory(fs, "db", DirectoryOptions(&fs, "new", 100), false, report);
    failed = fs.fired() - before;
    fs.ClearFaults();
    REQUIRE(status.ok() == (failed == 0));
    if (failed > 0 && fs.Exists("new")) break;             // all but the last sync, of the name, was done
    if (failed > 0) REQUIRE_FALSE(fs.Exists("new"));
  }
  CHECK(fs.Exists("new"));
  LostByRepair(fs, "again", 100, model);
}

TEST_CASE("check compares blob files and pointers with what the manifests say", "[blob][check]") {
  FaultFileSystem fs;
  MakeDirectory(fs, 100);
  const std::string path = "db/manifest_l2.json";
  const std::string text = *fs.ReadWholeFile(path);
  const auto manifest = DecodeManifest(text, path);
  REQUIRE(manifest);
  REQUIRE(manifest->sstables[0].blobs.size() == 1);
  const auto with = [&](auto change) {
    LevelManifest changed = *manifest;
    change(changed.sstables[0]);
    REQUIRE(fs.Mutate(path, [&](std::string& bytes) { bytes = EncodeManifest(changed); }).ok());
    return Checked(fs, "db");
  };
  CHECK(with([](TableRecord& table) { --table.blobs[0].entries; }).Text().find("manifest_l2.json says") != std::string::npos);
  CHECK(with([](TableRecord& table) { --table.blobs[0].live_bytes; }).damaged());
  CHECK(with([](TableRecord& table) { ++table.blobs[0].file_bytes; }).Text().find("a manifest says") != std::string::npos);
  CHECK(with([](TableRecord& table) { table.blobs.clear(); }).damaged());
  CHECK_FALSE(with([](TableRecord&) {}).damaged());
  auto orphan = fs.NewWritableFile("db/" + BlobRecordFile(4711));
  REQUIRE(orphan);
  const Report report = Checked(fs, "db");
  CHECK_FALSE(report.damaged());
  CHECK(std::ranges::any_of(report.findings(), [](const Finding& finding) { return finding.file == BlobRecordFile(4711); }));
}
