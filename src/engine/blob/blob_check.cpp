#include "engine/blob/blob_check.h"

#include "base/coding.h"
#include "engine/blob/format.h"
#include "engine/sstable/block_contents.h"

namespace lsmkv {
namespace {

class BlobChecker : private FileCheck {
 public:
  BlobChecker(const RandomAccessFile& file, const std::string& name, std::uint64_t id, const FileCheckHooks& hooks)
      : FileCheck(name, hooks), file_(file), id_(id) {}

  FileCheckSummary Run() {
    if (file_.size() < kBlobOverheadBytes) {
      Damage(CorruptionAt(0, "a file of " + std::to_string(file_.size()) + " bytes is no blob file"));
      return summary_;
    }
    CheckHeader();
    CheckRecords();
    if (!summary_.stopped) CheckFooter();
    return summary_;
  }

 private:
  std::uint64_t end() const { return file_.size() - kBlobFooterBytes; }
  Status Read(std::uint64_t offset, std::size_t bytes, char* to) const {
    return file_.Read(offset, bytes, to).WithContext("offset " + std::to_string(offset));
  }

  void CheckHeader() {
    char raw[kBlobHeaderBytes];
    if (!Pay(sizeof(raw))) return;
    Status status = Read(0, sizeof(raw), raw);
    if (status.ok()) status = CheckBlobHeader(std::string_view(raw, sizeof(raw)), id_);
    if (!status.ok()) Damage(status);
  }

  void CheckRecords() {
    for (std::uint64_t offset = kBlobHeaderBytes; offset < end();) {
      const Result<std::uint64_t> bytes = ClaimedBytes(offset);
      if (!bytes) {
        records_known_ = false;
        return Damage(bytes.error());
      }
      if (!Pay(*bytes)) return;
      if (Status status = CheckRecord(offset, *bytes); !status.ok()) {
        Damage(status);
        records_known_ = false;
        // Its length is not to be trusted any more, but a good record where it leads to is no accident.
        const std::uint64_t next = offset + *bytes;
        const Result<std::uint64_t> next_bytes = next < end() ? ClaimedBytes(next) : Result<std::uint64_t>(0);
        if (!next_bytes || (*next_bytes > 0 && !CheckRecord(next, *next_bytes).ok())) return;
      } else {
        ++summary_.entries;
      }
      offset += *bytes;
    }
  }

  /// How long the record at `offset` says that it is; a length that the file has.
  Result<std::uint64_t> ClaimedBytes(std::uint64_t offset) const {
    char header[kBlobRecordHeaderBytes];
    if (end() - offset <= sizeof(header)) return CorruptionAt(offset, "a record is cut off");
    if (Status status = Read(offset, sizeof(header), header); !status.ok()) return status;
    const std::uint64_t bytes = sizeof(header) + DecodeFixed<std::uint32_t>(header + kBlobStoredBytesAt);
    if (!BlobRecordFits(offset, bytes, file_.size())) return CorruptionAt(offset, "a record runs out of the file");
    return bytes;
  }

  Status CheckRecord(std::uint64_t offset, std::uint64_t bytes) const {
    const BlockBuffer raw(bytes);
    if (Status status = Read(offset, bytes, raw.data()); !status.ok()) return status;
    return CheckBlobRecord(raw.view(), id_, offset).status();
  }

  void CheckFooter() {
    char raw[kBlobFooterBytes];
    if (!Pay(sizeof(raw))) return;
    if (Status status = Read(end(), sizeof(raw), raw); !status.ok()) return Damage(status);
    const Result<BlobFooter> footer = DecodeBlobFooter(std::string_view(raw, sizeof(raw)), id_, file_.size());
    if (!footer) return Damage(footer.error());
    if (!records_known_ || footer->records == summary_.entries) return;
    Damage(CorruptionAt(end(), "the footer counts " + std::to_string(footer->records) + " records, there are " +
                                   std::to_string(summary_.entries)));
  }

  const RandomAccessFile& file_;
  const std::uint64_t id_;
  bool records_known_ = true;   // no damage has hidden any
};

}  // namespace

FileCheckSummary CheckBlobFile(const RandomAccessFile& file, const std::string& name, std::uint64_t id, const FileCheckHooks& hooks) {
  return BlobChecker(file, name, id, hooks).Run();
}

}  // namespace lsmkv
