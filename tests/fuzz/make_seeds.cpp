// Writes the seed corpus: for each target a few small inputs that go through everything it can read. Run it again after a format
// has changed: fuzz_make_seeds tests/fuzz/corpus
#include <filesystem>
#include <fstream>
#include <iostream>

#include "base/coding.h"
#include "base/hash.h"
#include "config/config.h"
#include "engine/blob/blob_writer.h"
#include "engine/bundle/bundle_description.h"
#include "engine/manifest/manifest.h"
#include "engine/sstable/table_builder.h"
#include "engine/wal/aside_file.h"
#include "engine/wal/log_format.h"
#include "fs/fault_file_system.h"
#include "fuzz_support.h"

namespace lsmkv {
namespace {

using namespace std::string_literals;

std::filesystem::path corpus;

void Seed(const std::string& target, const std::string& name, const std::string& bytes) {
  std::filesystem::create_directories(corpus / target);
  std::ofstream(corpus / target / ("seed_" + name), std::ios::binary) << bytes;
}

/// For targets whose first byte says whether checksums are put right.
void SeedBothWays(const std::string& target, const std::string& name, const std::string& after_mode, char mode = 0) {
  Seed(target, name, mode + after_mode);
  Seed(target, name + "_put_right", static_cast<char>(mode | fuzz::kRightChecksums) + after_mode);
}

void SeedResp() {
  const std::string get = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
  const std::string set = "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nva\r\nu\r\n";
  Seed("resp", "pipeline", "\0\7\1"s + get + set + "\r\nPING\r\n*0\r\n*-1\r\n" + get);
  Seed("resp", "limits", "\x0f\3\2"s + get + set + "*12\r\n$16385\r\n");
  Seed("resp", "cut_off", "\0\2\0"s + set.substr(0, 20));
  Seed("resp", "errors", "\0\2\0"s + get + "*2\r\n!3\r\n");
  Seed("resp", "zero_and_large", "\0\2\0"s + "*1\r\n$0\r\n\r\n*01\r\n$+1\r\na\r\n*1048577\r\n");
}

void SeedInline() {
  Seed("inline", "words", "\2\0"s + "SET key value\r\n  \t GET\tkey \n\r\nPING\n");
  Seed("inline", "quotes", "\3\0"s + R"(SET "a \x41\n\"b" 'c \' d' e"f g")" + "\r\n" + R"(X "\xZZ\q" '')" + "\n");
  Seed("inline", "unbalanced", "\1\0"s + "GET \"open\nPING\n");
  Seed("inline", "after_a_quote", "\1\0"s + "GET 'a'b\r\n");
}

void SeedConfig() {
  Seed("config", "default_file", DefaultConfigText());
  Seed("config", "changes", "# a comment\nport 7000\n\nappendonly yes\nsave \"\"\nmemory-budget 512mb\nlevel-ratio 4\0level-ratio 5\nwal-fsync always\n"s);
  Seed("config", "twice_and_quoted", "dir \"/tmp/a b\"\nport 1\nport 2\nbind 127.0.0.1 -::1\nclient-output-buffer-limit normal 1mb 2mb 60\0dir '/x'\nbind\n"s);
  Seed("config", "unknown", "levl-ratio 4\n");
  Seed("config", "command_line", "lsmkv.conf --port 7000 --dir \"/tmp/x\" --save ''\n");
}

LevelManifest SomeManifest(std::uint32_t level) {
  LevelManifest manifest;
  manifest.level = level;
  manifest.revision = 4;
  manifest.last_id = 20;
  manifest.written_at_ms = 1'700'000'000'123;
  if (level == 0) manifest.wal_floor = 3;
  if (level == 0) manifest.flushed_sequence = 99;
  for (std::uint64_t id = 10 * level + 5; id < 10 * level + 7; ++id) {
    TableRecord table;
    table.id = id;
    table.file = TableRecordFile(id);
    table.entries = 7;
    table.tombstones = 1;
    table.size_bytes = 900;
    table.smallest_key = std::to_string(id) + ":\xff\\";
    table.largest_key = table.smallest_key + "z";
    table.smallest_seq = 1;
    table.largest_seq = 7;
    table.created_at_ms = 1'700'000'000'000;
    table.expiring = level;
    table.expires_first_ms = level;
    table.expires_last_ms = 5'000'000'000'000 * std::uint64_t{level};
    if (level == 1 && id == 15) table.replaces = {{0, 5}};
    if (id == 16) table.blobs = {{17, 3, 100, 400}};
    manifest.sstables.push_back(table);
  }
  return manifest;
}

void SeedManifest() {
  const std::string l0 = EncodeManifest(SomeManifest(0));
  const std::string l1 = EncodeManifest(SomeManifest(1));
  SeedBothWays("manifest", "l0", l0);
  SeedBothWays("manifest", "commit_cut_off", l0 + '\x1e' + l1);
  Seed("manifest", "history", "\2"s + R"({"at":"2026-03-01T12:00:07.123Z","kind":"merge","out":{"level":1,"bytes":55}})" + "\n{\"kind\":\"flush\"}\nnothing\n{");
  const BundleDescription bundle{.key_prefix = "d0", .entries = 3, .made_at_ms = 5,
                                 .tables = {{BundleTableFile(1), 3, 1, 500, "d0a", "d0z"}}};
  SeedBothWays("manifest", "bundle", EncodeBundle(bundle), '\4');
}

std::string Batch(int writes) {
  WriteBatch batch;
  for (int i = 0; i < writes; ++i) batch.Put("key" + std::to_string(i), std::string(static_cast<std::size_t>(3 * i), 'v'), i == 1 ? 99 : 0);
  batch.Delete("gone");
  return std::string(batch.operations());
}

/// Records of `batches` and a sync marker behind them. `*next` is the first sequence number, then the next one.
std::string WalSegment(std::uint64_t id, const std::vector<int>& batches, SequenceNumber* next) {
  std::string segment;
  EncodeLogRecord(&segment, id, 0, {0, 0, LogHeadOperations()});
  for (const int writes : batches) {
    EncodeLogRecord(&segment, id, segment.size(), {*next, static_cast<std::uint32_t>(writes + 1), Batch(writes)});
    *next += static_cast<SequenceNumber>(writes + 1);
  }
  EncodeLogRecord(&segment, id, segment.size(), {*next - 1, 0, {}});
  return segment;
}

std::string Sized(const std::string& segment) {
  std::string out;
  PutFixed(&out, static_cast<std::uint16_t>(segment.size()));
  return out + segment;
}

void SeedWal() {
  SequenceNumber next = 1;
  const std::string first = WalSegment(1, {1, 3, 2}, &next);
  const std::string second = WalSegment(2, {2, 1}, &next);
  const char none = '\0';
  SeedBothWays("wal", "two_segments", none + Sized(first) + Sized(second + std::string(40, '\0')));
  std::string damaged = first;
  damaged[60] ^= 1;
  SeedBothWays("wal", "damaged_middle", none + Sized(damaged) + Sized(second));
  Seed("wal", "damaged_middle_skipped", "\2"s + none + Sized(damaged) + Sized(second));
  Seed("wal", "torn_tail", "\4"s + none + Sized(first.substr(0, first.size() - 40)));
  Seed("wal", "cut_short_after_the_note", "\x70"s + none + Sized(first.substr(0, 60)));
  SequenceNumber later = 6;
  const std::string over_an_older_one = second + std::string(kLogHeaderBytes, '\0') + first.substr(first.size() / 2);
  SeedBothWays("wal", "over_an_older_one", none + Sized(first) + Sized(over_an_older_one));
  Seed("wal", "nothing_but_an_older_one", none + Sized(first) + Sized(first) + Sized(second));
  std::string naming = WalSegment(1, {2}, &(next = 1));
  const std::string aside = Batch(3);
  EncodeLogRecord(&naming, 1, naming.size(), {next, 4, EncodeAside({1, aside.size(), Checksum(aside) + 1}, 4)});
  const std::string one_more = WalSegment(2, {1}, &(next += 4));
  SeedBothWays("wal", "names_a_file_aside", none + Sized(aside) + Sized(naming) + Sized(one_more), '\x08');
  Seed("wal", "names_a_damaged_file_aside", "\x08"s + none + Sized("x" + aside.substr(1)) + Sized(naming) + Sized(one_more));
  Seed("wal", "names_a_damaged_file_aside_skipped", "\x0a"s + none + Sized("x" + aside.substr(1)) + Sized(naming) + Sized(one_more));
  Seed("wal", "names_a_missing_file_aside", "\0\0"s + Sized(naming) + Sized(one_more));
  Seed("wal", "floor_known", "\4\5"s + Sized(WalSegment(1, {2, 2}, &later)));
}

std::string Contents(FaultFileSystem& fs, const std::string& path) { return fs.ReadWholeFile(path).value_or(""); }

std::string SomeTable(Compression compression, int entries, const TableOptions& base) {
  FaultFileSystem fs;
  auto file = fs.NewWritableFile("t");
  TableOptions options = base;
  options.compression = compression;
  TableBuilder builder(**file, options);
  std::string pointer;
  PutBlobPointer(&pointer, {3, 32, 50, 50, "the value's front"});
  pointer.resize(pointer.size() - 17);
  pointer += std::string(std::min<std::size_t>(kValueHeadBytes, 50), 'h');
  for (int i = 0; i < entries; ++i) {
    const std::string key = "key:" + std::to_string(1000 + i);
    const std::string value(static_cast<std::size_t>(i % 40), 'a');
    const auto sequence = static_cast<SequenceNumber>(100 + i);
    const auto expires = static_cast<std::uint64_t>(1'700'000'000'000 + i);
    EntryView entry{key, value, sequence, 0, EntryKind::kValue};
    if (i % 5 == 1) entry = {key, {}, sequence, 0, EntryKind::kTombstone};
    if (i % 5 == 2) entry = {key, value, sequence, expires, EntryKind::kExpiringValue};
    if (i % 5 == 3) entry = {key, pointer, sequence, 0, EntryKind::kBlob};
    IgnoreError(builder.Add(entry), "a seed");
  }
  FUZZ_REQUIRE(builder.Finish().ok(), "a table can be written");
  return Contents(fs, "t");
}

void SeedSstable() {
  const TableOptions tiny{.block_bytes = 128, .section_index_bytes = 64, .section_keys = 8};
  SeedBothWays("sstable", "plain", SomeTable(Compression::kNone, 24, tiny));
  SeedBothWays("sstable", "lz4", SomeTable(Compression::kLz4, 60, {.block_bytes = 512, .section_index_bytes = 64}));
  SeedBothWays("sstable", "zstd", SomeTable(Compression::kZstd, 60, {.block_bytes = 512, .section_index_bytes = 64}));
  SeedBothWays("sstable", "one_entry", SomeTable(Compression::kNone, 1, {.bloom_bits_per_key = 0}));
}

void SeedBlob() {
  for (const auto& [name, compression] : {std::pair("plain", Compression::kNone), {"lz4", Compression::kLz4}, {"zstd", Compression::kZstd}}) {
    FaultFileSystem fs;
    auto file = fs.NewWritableFile("b");
    BlobWriter writer(**file, 7, compression);
    std::string pointers;
    for (int i = 0; i < 3; ++i) {
      const auto pointer = writer.Add(Hash(std::to_string(i)), std::string(static_cast<std::size_t>(20 + 50 * i), 'a'));
      FUZZ_REQUIRE(pointer.has_value(), "a value can be written");
      PutFixed(&pointers, pointer->offset);
      PutFixed(&pointers, pointer->stored_bytes);
    }
    FUZZ_REQUIRE(writer.Finish().ok(), "a blob file can be written");
    SeedBothWays("blob", name, "\3"s + pointers + Contents(fs, "b"));
  }
  std::string pointer;
  PutBlobPointer(&pointer, {3, 32, 50, 50, std::string(std::min<std::size_t>(kValueHeadBytes, 50), 'h')});
  Seed("blob", "pointer", "\0\0"s + pointer);
}

}  // namespace
}  // namespace lsmkv

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: fuzz_make_seeds DIR\n";
    return 2;
  }
  lsmkv::corpus = argv[1];
  lsmkv::SeedResp();
  lsmkv::SeedInline();
  lsmkv::SeedConfig();
  lsmkv::SeedManifest();
  lsmkv::SeedWal();
  lsmkv::SeedSstable();
  lsmkv::SeedBlob();
}
