#include "tool/repair_tables.h"

#include <fmt/core.h>

#include "keyspace/codec.h"
#include "tool/blob_walk.h"
#include "tool/table_walk.h"
#include "tool/text.h"

namespace lsmkv::tool {
namespace {

class BlobDamages final : public BlobVisitor {
 public:
  BlobDamages(Report& report, std::string file) : report_(report), file_(std::move(file)) {}
  void OnDamage(const Status& damage) override { report_.Damage(damage, file_); }

 private:
  Report& report_;
  const std::string file_;
};

EntryView WithValue(const EntryView& entry, std::string_view value) {
  EntryView with = entry;
  with.kind = entry.expire_at_ms != 0 ? EntryKind::kExpiringValue : EntryKind::kValue;
  with.value = value;
  return with;
}

bool AsDescribed(const TableRecord& record, const TableProperties& seen, std::uint64_t bytes) {
  bool same = bytes == record.size_bytes && seen.entries == record.entries && seen.smallest_key == record.smallest_key && seen.largest_key == record.largest_key &&
              seen.smallest_sequence == record.smallest_seq && seen.largest_sequence == record.largest_seq &&
              seen.blobs.size() == record.blobs.size();
  for (const BlobRef& blob : record.blobs) {
    const auto share = seen.blobs.find(blob.id);
    same = same && share != seen.blobs.end() && share->second == BlobShare{blob.entries, blob.live_bytes};
  }
  return same;
}

}  // namespace

// ---- blob files

Result<std::optional<std::uint64_t>> OldBlobs::WholeFile(std::uint64_t id) {
  if (const auto known = whole_.find(id); known != whole_.end()) return known->second;
  const std::string file = BlobRecordFile(id);
  Result<std::unique_ptr<BlobWalk>> walk = BlobWalk::Open(fs_, dir_ + "/" + file, id);
  if (!walk && walk.error().code() != StatusCode::kNotFound) return walk.error();
  if (!walk) {
    report_.Damage(file, std::nullopt, "is missing");
    return whole_[id] = std::nullopt;
  }
  BlobDamages visitor(report_, file);
  const Result<BlobSummary> summary = (*walk)->Run(visitor);
  if (!summary) return summary.error().WithContext(dir_ + "/" + file);
  return whole_[id] = summary->damaged ? std::nullopt : std::optional(summary->file_bytes);
}

// ---- looking

class OldTables::Inspector final : public TableVisitor {
 public:
  Inspector(OldTables& tables, std::string file) : tables_(tables), file_(std::move(file)) {}

  void OnDamage(const Status& damage) override { tables_.report_.Damage(damage, file_); }
  void OnEntry(const EntryView& entry) override {
    if (entry.kind != EntryKind::kBlob) return tables_.census_.See(entry);
    const Result<std::shared_ptr<const BlobValue>> value = tables_.blobs_.Read(entry);
    if (value) return tables_.census_.See(WithValue(entry, (*value)->value()));
    if (value.error().code() != StatusCode::kCorruption) status_ = value.error();
    tables_.report_.Damage(file_, std::nullopt, fmt::format("lost: {}: {}", KeyText(entry.key), value.error().message()));
    ++lost_;
    if (entry.key != tables_.census_.key()) tables_.census_.See(entry);
  }
  void OnLost(std::string_view after, std::optional<std::string> up_to) override {
    tables_.report_.Damage(file_, std::nullopt, fmt::format("lost: keys behind {}, {}", after.empty() ? "the first" : KeyText(after),
                                                            up_to ? "up to " + KeyText(*up_to) : "to the end of the table"));
  }
  std::uint64_t lost() const { return lost_; }
  const Status& status() const { return status_; }

 private:
  OldTables& tables_;
  const std::string file_;
  std::uint64_t lost_ = 0;         // values
  Status status_;
};

Result<std::optional<OldTable>> OldTables::Inspect(std::uint32_t level, const TableRecord& record, bool has_manifest) {
  const std::string path = dir_ + "/" + record.file;
  Result<std::unique_ptr<TableWalk>> walk = TableWalk::Open(fs_, path);
  if (!walk && walk.error().code() == StatusCode::kNotFound) {
    report_.Damage(record.file, std::nullopt, fmt::format("lost: it is missing, and had {} entries, {} to {}", record.entries,
                                                          KeyText(record.smallest_key), KeyText(record.largest_key)));
    ++tables_lost_;
    return std::optional<OldTable>();
  }
  if (!walk) return walk.error();
  Inspector inspector(*this, record.file);
  const Result<TableSummary> summary = (*walk)->Run(inspector);
  if (!summary) return summary.error().WithContext(path);
  if (!inspector.status().ok()) return inspector.status();
  values_lost_ += inspector.lost();
  const TableProperties& seen = summary->seen;
  if (seen.entries == 0) ++tables_lost_;
  if (seen.entries == 0) return std::optional<OldTable>();
  const Result<std::uint64_t> bytes = fs_.FileSize(path);
  if (!bytes) return bytes.error();
  OldTable table{level, record};
  if (!summary->damaged && has_manifest && !AsDescribed(record, seen, *bytes)) {
    report_.Damage(record.file, std::nullopt, fmt::format("is whole, but not the table that {} describes", ManifestFileName(level)));
    table.as_described = false;
  }
  Result<std::vector<BlobRef>> blobs = WholeRefs(seen.blobs);
  if (!blobs) return blobs.error();
  table.whole = !summary->damaged && inspector.lost() == 0 && blobs->size() == seen.blobs.size();
  table.record.size_bytes = *bytes;        // of the file that is there: whoever opens it looks
  table.record.entries = seen.entries;
  table.record.smallest_key = seen.smallest_key;
  table.record.largest_key = seen.largest_key;
  table.record.smallest_seq = seen.smallest_sequence;
  table.record.largest_seq = seen.largest_sequence;
  table.record.blobs = std::move(*blobs);
  return std::optional(std::move(table));
}

/// Of these files, those that can be taken along.
Result<std::vector<BlobRef>> OldTables::WholeRefs(const std::map<std::uint64_t, BlobShare>& shares) {
  std::vector<BlobRef> refs;
  for (const auto& [id, share] : shares) {
    const Result<std::optional<std::uint64_t>> bytes = blobs_.WholeFile(id);
    if (!bytes) return bytes.error();
    if (*bytes) refs.push_back({id, share.entries, share.bytes, **bytes});
  }
  return refs;
}

// ---- saving

/// Second look at a table that is not whole: its whole entries into new tables.
class OldTables::Saver final : public TableVisitor {
 public:
  Saver(OldTables& tables, NewTables& into) : tables_(tables), into_(into) {}

  void OnDamage(const Status&) override {}
  void OnEntry(const EntryView& entry) override {
    if (status_.ok()) status_ = entry.kind == EntryKind::kBlob ? SaveBlob(entry) : Add(entry);
  }
  std::uint64_t saved() const { return saved_; }
  const Status& status() const { return status_; }

 private:
  Status Add(const EntryView& entry) {
    ++saved_;
    return into_.Add(entry);
  }
  Status SaveBlob(const EntryView& entry) {
    const Result<std::shared_ptr<const BlobValue>> value = tables_.blobs_.Read(entry);
    if (!value && value.error().code() != StatusCode::kCorruption) return value.error();
    if (!value) return Bury(entry);
    const Result<std::optional<std::uint64_t>> whole_file = tables_.blobs_.WholeFile(DecodeBlobPointer(entry.value)->blob);
    if (!whole_file) return whole_file.error();
    return Add(*whole_file ? entry : WithValue(entry, (*value)->value()));
  }
  /// Not so for the server's own records: of those an old one is better than none (repair_databases.h).
  Status Bury(const EntryView& entry) {
    if (!DecodeEngineKey(entry.key)) return {};
    return into_.Add({entry.key, {}, entry.sequence, 0, EntryKind::kTombstone});
  }

  OldTables& tables_;
  NewTables& into_;
  std::uint64_t saved_ = 0;
  Status status_;
};

Status OldTables::Save(const OldTable& table, NewTables* into) {
  const std::string path = dir_ + "/" + table.record.file;
  Result<std::unique_ptr<TableWalk>> walk = TableWalk::Open(fs_, path);
  if (!walk) return walk.error();
  Saver saver(*this, *into);
  const Result<TableSummary> summary = (*walk)->Run(saver);
  if (!summary) return summary.error().WithContext(path);
  if (saver.status().ok()) report_.Note(table.record.file, fmt::format("{} entries are saved", saver.saved()));
  return saver.status();
}

Result<VersionPtr> OldTables::SourcesOf(const NewDirectory& directory, const OldTable& table) {
  return Version::Make(std::vector<LevelTables>{LevelTables{directory.TableAt(table.record, std::string())}});
}

}  // namespace lsmkv::tool
