#include "tool/check_blobs.h"

#include <fmt/core.h>

#include <algorithm>

#include "tool/blob_walk.h"
#include "tool/text.h"

namespace lsmkv::tool {

class BlobChecker::Damages final : public BlobVisitor {
 public:
  Damages(Report& report, std::string file) : report_(report), file_(std::move(file)) {}
  void OnDamage(const Status& damage) override { report_.Damage(damage, file_); }

 private:
  Report& report_;
  const std::string file_;
};

Status BlobChecker::CheckFiles(const ReadManifests& manifests) {
  std::map<std::uint64_t, std::set<std::uint64_t>> named;      // the sizes that manifests say, of which there should be one
  for (const auto& [level, manifest] : manifests.live)
    for (const TableRecord& table : manifest.sstables)
      for (const BlobRef& blob : table.blobs) named[blob.id].insert(blob.file_bytes);
  for (const auto& [id, stated_bytes] : named)
    if (Status status = CheckFile(id, stated_bytes); !status.ok()) return status;
  const Result<std::map<std::uint64_t, std::uint64_t>> on_disk = BlobsOnDisk(fs_, dir_);
  if (!on_disk) return on_disk.error();
  for (const auto& [id, bytes] : *on_disk) {
    if (named.contains(id)) continue;
    report_.Note(BlobRecordFile(id), manifests.complete() ? "is named by no table; the next start removes it"
                                                          : "is named by no table of a manifest that can be read");
  }
  return {};
}

Status BlobChecker::CheckFile(std::uint64_t id, const std::set<std::uint64_t>& stated_bytes) {
  const std::string file = BlobRecordFile(id);
  ++files_;
  Result<std::unique_ptr<BlobWalk>> walk = BlobWalk::Open(fs_, dir_ + "/" + file, id);
  if (!walk && walk.error().code() == StatusCode::kNotFound) {
    report_.Damage(file, std::nullopt, "is missing; tables have values in it");
    missing_.insert(id);
    return {};
  }
  if (!walk) return walk.error();
  Damages visitor(report_, file);
  const Result<BlobSummary> summary = (*walk)->Run(visitor);
  if (!summary) return summary.error().WithContext(dir_ + "/" + file);
  for (const std::uint64_t bytes : stated_bytes)
    if (bytes != summary->file_bytes) report_.Damage(file, std::nullopt, fmt::format("has {} bytes; a manifest says {}", summary->file_bytes, bytes));
  bytes_ += summary->file_bytes;
  stored_bytes_ += summary->file_bytes - std::min(summary->file_bytes, kBlobOverheadBytes);
  records_ += summary->records;
  return {};
}

Result<std::shared_ptr<const BlobValue>> BlobChecker::CheckPointer(const std::string& table, const EntryView& entry) {
  const std::optional<BlobPointer> pointer = DecodeBlobPointer(entry.value);
  if (pointer) live_bytes_ += pointer->record_bytes();
  if (pointer && missing_.contains(pointer->blob)) return std::shared_ptr<const BlobValue>();        // said once for all of them
  Result<std::shared_ptr<const BlobValue>> value = lookup_.Read(entry);
  if (value || value.error().code() != StatusCode::kCorruption) return value;
  report_.Damage(table, std::nullopt, fmt::format("the value of {} is not to be had: {}", KeyText(entry.key), value.error().message()));
  return std::shared_ptr<const BlobValue>();
}

void BlobChecker::Compare(std::uint32_t level, const TableRecord& record, const std::map<std::uint64_t, BlobShare>& seen) {
  std::map<std::uint64_t, BlobShare> stated;
  for (const BlobRef& blob : record.blobs) stated[blob.id] = {blob.entries, blob.live_bytes};
  std::set<std::uint64_t> ids;
  for (const auto* side : {&seen, static_cast<const std::map<std::uint64_t, BlobShare>*>(&stated)})
    for (const auto& [id, share] : *side) ids.insert(id);
  for (const std::uint64_t id : ids) {
    const auto share_in = [id](const std::map<std::uint64_t, BlobShare>& shares) { return shares.contains(id) ? shares.at(id) : BlobShare{}; };
    const BlobShare has = share_in(seen);
    const BlobShare says = share_in(stated);
    if (has == says) continue;
    report_.Damage(record.file, std::nullopt,
                   fmt::format("has {} values, {} bytes, in {}; {} says {} values, {} bytes", has.entries, has.bytes, BlobRecordFile(id),
                               ManifestFileName(level), says.entries, says.bytes));
  }
}

void BlobChecker::AddFigures() const {
  report_.Figure("blob files", files_);
  report_.Figure("blob bytes", bytes_);
  report_.Figure("blob records", records_);
  report_.Figure("live blob bytes", live_bytes_);
  report_.Figure("garbage blob bytes", stored_bytes_ - std::min(stored_bytes_, live_bytes_));
}

}  // namespace lsmkv::tool
