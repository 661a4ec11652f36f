// The WAL's reader and recovery. Promises: recovery ends with records in order without a gap, or with an error that names file
// and offset; looking only (read_only) comes to the same verdict and changes nothing; a second recovery finds the same
// records and nothing more to cut off; no more memory is taken than the segments have bytes.
//   input := mode:u8 flushed:u8 (bytes:u16 segment)*        mode 1: checksums put right along the chain of records;
//                                                           2: skip_corruption; 4: `flushed` is known to be in tables;
//                                                           8: in front of the segments, in the same way, is the file that
//                                                           records may name (aside_file.h); with 1, those that name a
//                                                           file name it with its size and checksum;
//                                                           its upper half, if not 0: what a note of the durable says
#include <map>
#include <vector>

#include "engine/wal/aside_file.h"
#include "engine/wal/durable_note.h"
#include "engine/wal/log_reader.h"
#include "engine/wal/wal_replay.h"
#include "fs/fault_file_system.h"
#include "fuzz_support.h"

namespace lsmkv {
namespace {

constexpr std::uint8_t kSkipCorruption = 2;
constexpr std::uint8_t kFlushedKnown = 4;
constexpr std::uint8_t kWithAside = 8;
constexpr std::uint64_t kAsideId = 1;
constexpr std::size_t kMostSegments = 4;
const std::string kDir = "wal";

/// If a record's body names a file aside, it names the one there is as it is.
void PutAsideRight(char* body, std::uint64_t body_bytes, std::string_view aside) {
  const std::string_view operations(body + kLogBodyHeaderBytes, body_bytes - kLogBodyHeaderBytes);
  if (!DecodeAside(operations)) return;
  const std::string right = EncodeAside({kAsideId, aside.size(), Checksum(aside) + kAsideId}, 1);
  std::memcpy(body + kLogBodyHeaderBytes, right.data(), right.size());
}

/// Follows the lengths from record to record and gives each the checksum of its bytes.
void PutChecksumsRight(std::uint64_t id, std::string* segment, const std::string* aside) {
  for (std::size_t at = 0; segment->size() - at >= kLogHeaderBytes;) {
    const std::uint64_t length = DecodeFixed<std::uint32_t>(segment->data() + at);
    if (length < kLogBodyHeaderBytes || length > segment->size() - at - kLogPrefixBytes) return;
    if (aside != nullptr) PutAsideRight(segment->data() + at + kLogPrefixBytes, length, *aside);
    const std::uint64_t checksum = LogChecksum(id, at, std::string_view(*segment).substr(at + kLogPrefixBytes, length));
    std::memcpy(segment->data() + at + 4, &checksum, sizeof(checksum));
    at += kLogPrefixBytes + length;
  }
}

struct Replayed {
  Status status;
  ReplaySummary summary;
  std::vector<std::pair<SequenceNumber, std::string>> records;
};

Replayed Run(FileSystem& fs, const ReplayOptions& options) {
  Replayed replayed;
  SequenceNumber last = 0;
  const auto on_record = [&](std::uint64_t, SequenceNumber first, std::uint32_t count, std::string_view operations) {
    FUZZ_REQUIRE(count > 0 && first + count - 1 >= first, "a record has operations");
    FUZZ_REQUIRE(replayed.records.empty() || first == last + 1 || (options.skip_corruption && first > last), "without a gap");
    last = first + count - 1;
    OperationReader reader(operations);
    EntryView entry;
    for (std::size_t operation = 0; reader.Next(&entry); ++operation) FUZZ_REQUIRE(operation < operations.size(), "operations end");
    replayed.records.emplace_back(first, operations);
    return Status();
  };
  const Result<ReplaySummary> summary = ReplayWal(fs, kDir, 1, options, on_record);
  replayed.status = summary.status();
  if (summary) replayed.summary = *summary;
  return replayed;
}

std::map<std::string, std::string> Files(FileSystem& fs) {
  std::map<std::string, std::string> files;
  const Result<std::vector<std::string>> names = fs.ListDirectory(kDir);
  FUZZ_REQUIRE(names.has_value(), "a directory can be listed");
  for (const std::string& name : *names) files[name] = fs.ReadWholeFile(kDir + "/" + name).value_or("");
  return files;
}

void ReadEverywhere(FileSystem& fs, std::uint64_t id) {
  Result<LogReader> reader = LogReader::Open(fs, kDir + "/" + SegmentFileName(id), id);
  FUZZ_REQUIRE(reader.has_value(), "a segment can be opened");
  for (std::uint64_t offset = 0; offset <= reader->size(); ++offset) {
    const Result<LogReader::Look> look = reader->At(offset);
    if (!look && look.error().code() == StatusCode::kUnsupported) continue;
    FUZZ_REQUIRE(look.has_value(), "bytes in memory can be read");
    if (look->found != LogReader::Found::kRecord) continue;
    FUZZ_REQUIRE(offset + look->record.size_bytes() <= reader->size(), "a record lies in the file");
  }
}

}  // namespace
}  // namespace lsmkv

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lsmkv;
  fuzz::Input input(data, size);
  const std::uint8_t mode = input.Byte();
  ReplayOptions options;
  options.skip_corruption = (mode & kSkipCorruption) != 0;
  options.flushed_sequence_known = (mode & kFlushedKnown) != 0;
  options.flushed_sequence = input.Byte();
  FaultFileSystem fs;
  FUZZ_REQUIRE(fs.CreateDirectories(kDir).ok(), "a directory can be made");
  std::string aside;
  if ((mode & kWithAside) != 0) {
    aside = input.Take(input.Short());
    fuzz::WriteFile(fs, kDir + "/" + AsideFileName(kAsideId), aside);
  }
  std::uint64_t id = 0;
  while (!input.empty() && id < kMostSegments) {
    std::string segment(input.Take(input.Short()));
    ++id;
    if (mode & fuzz::kRightChecksums) PutChecksumsRight(id, &segment, (mode & kWithAside) != 0 ? &aside : nullptr);
    fuzz::WriteFile(fs, kDir + "/" + SegmentFileName(id), segment);
  }
  const SequenceNumber noted = mode >> 4;
  if (noted > 0) FUZZ_REQUIRE(DurableNote(fs, kDir).Write(noted).ok(), "a note can be written");
  constexpr std::size_t kWindowBytes = 2 << 20;
  const fuzz::AllocationBound bound(kWindowBytes + 16 * size);
  for (std::uint64_t n = 1; n <= id; ++n) ReadEverywhere(fs, n);

  const auto before = Files(fs);
  options.read_only = true;
  const Replayed looked = Run(fs, options);
  FUZZ_REQUIRE(Files(fs) == before, "looking changes nothing");
  options.read_only = false;
  const Replayed done = Run(fs, options);
  FUZZ_REQUIRE(looked.status.code() == done.status.code() && looked.records == done.records, "looking comes to the same verdict");
  if (!done.status.ok()) {
    const bool newer = done.status.code() == StatusCode::kUnsupported;
    FUZZ_REQUIRE(newer || done.status.code() == StatusCode::kCorruption, "bytes that were read are right, damaged or of a newer format");
    const std::string& message = done.status.message();
    const bool named = message.starts_with(id > 0 ? "wal/wal_" : "wal:") || message.starts_with("wal/aside_");
    FUZZ_REQUIRE(named, "an error names the file");
    FUZZ_REQUIRE(newer || message.find("offset") != std::string::npos, "and the offset");
    FUZZ_REQUIRE(Files(fs) == before, "a refusal leaves everything as it is");
    return 0;
  }
  FUZZ_REQUIRE(options.skip_corruption || done.summary.last_sequence >= noted, "what was noted is there, or the start is refused");
  const Replayed again = Run(fs, options);
  FUZZ_REQUIRE(again.status.ok() && again.records == done.records, "a second recovery finds the same");
  FUZZ_REQUIRE(again.summary.dropped_bytes == 0 || done.summary.lost_writes, "and has nothing more to cut off");
  return 0;
}
