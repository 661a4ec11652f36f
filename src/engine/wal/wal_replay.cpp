#include "engine/wal/wal_replay.h"

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "base/log.h"
#include "engine/wal/dropped_tail.h"
#include "engine/wal/durable_note.h"
#include "engine/wal/log_reader.h"
#include "engine/wal/unsynced_tail.h"

namespace lsmkv {
namespace {

struct Place {
  std::size_t segment_index = 0;
  std::uint64_t offset = 0;
};

/// What follows a damaged place.
struct Aftermath {
  std::optional<Place> next_record;         // the first good one with operations
  SequenceNumber next_sequence = 0;         // its first
  SequenceNumber marker_sequence = 0;       // the largest any marker or the note tells of
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;                  // written bytes from the damage on
  std::uint64_t old_bytes = 0;              // behind them, which an older segment left
  std::uint64_t bytes_to_next = 0;          // of them before next_record
  bool passed_over_records = false;         // there may be more of them
};

enum class Verdict : std::uint8_t { kNothingLost, kCorruption, kUnsyncedTail };

/// Pure. `awaited` 0: the damage is at the start of the floor segment and what should be there is not known; then only
/// a marker that covers everything before the next good record is proof; or any, where that record may have been passed over.
Verdict Judge(SequenceNumber awaited, const Aftermath& after) {
  if (awaited != 0 && after.next_record && after.next_sequence == awaited) return Verdict::kNothingLost;
  if (awaited != 0) return after.marker_sequence >= awaited ? Verdict::kCorruption : Verdict::kUnsyncedTail;
  const SequenceNumber next = after.next_record ? after.next_sequence : after.passed_over_records ? 1 : UINT64_MAX;
  const bool covered = after.marker_sequence > 0 && after.marker_sequence + 1 >= next;
  return covered ? Verdict::kCorruption : Verdict::kUnsyncedTail;
}

class Replay {
 public:
  Replay(FileSystem& fs, const std::string& dir, const ReplayOptions& options, const ReplayRecord& on_record, std::vector<LostBatch>* lost)
      : fs_(fs), dir_(dir), options_(options), on_record_(on_record), lost_(lost) {
    if (options.flushed_sequence_known) awaited_ = options.flushed_sequence + 1;
    summary_.last_sequence = options.flushed_sequence;
  }

  Result<ReplaySummary> Run(std::uint64_t floor_segment) {
    if (Status listed = ListSegments(floor_segment); !listed.ok()) return listed;
    noted_sequence_ = DurableNote::Read(fs_, dir_);
    Place place;
    while (!done_ && place.segment_index < ids_.size()) {
      Result<Place> next = ReadSegment(place);
      if (!next) return next.error();
      place = *next;
    }
    if (Status reached = CheckReached(); !reached.ok()) return reached;
    FindUnnamedAsides();
    if (options_.read_only) return summary_;
    if (Status safe = MakeSafe(place.segment_index); !safe.ok()) return safe;
    dropped_.RemoveOld();
    RemoveUnnamedAsides();
    return summary_;
  }

 private:
  std::string Path(std::uint64_t id) const { return dir_ + "/" + SegmentFileName(id); }

  /// Of what was written: behind it may be zeros, or what an older segment left.
  std::uint64_t EndOf(std::size_t index) const { return ends_[index] != 0 ? ends_[index] : fs_.FileSize(Path(ids_[index])).value_or(0); }

  Status ListSegments(std::uint64_t floor_segment) {
    Result<std::vector<std::string>> names = fs_.ListDirectory(dir_);
    if (!names) return names.error();
    for (std::string_view name : *names) {
      const bool dropped = name.ends_with(kDroppedSuffix);
      if (dropped) name.remove_suffix(kDroppedSuffix.size());
      const std::optional<std::uint64_t> id = ParseSegmentFileName(name);
      const std::optional<std::uint64_t> aside = ParseAsideFileName(name);
      const std::optional<std::uint64_t> spare = ParseSpareFileName(name);
      if (aside) aside_ids_.push_back(*aside);
      if (spare) summary_.max_segment_id = std::max(summary_.max_segment_id, *spare);
      if (!id) continue;
      summary_.max_segment_id = std::max(summary_.max_segment_id, *id);
      if (dropped) dropped_.Found(*id);
      if (!dropped && *id >= floor_segment) ids_.push_back(*id);
    }
    std::ranges::sort(ids_);
    summary_.segments = ids_.size();
    ends_.resize(ids_.size());
    tail_ends_.resize(ids_.size());
    if (!aside_ids_.empty()) summary_.asides.max_id = *std::ranges::max_element(aside_ids_);
    return Status::Ok();
  }

  /// Reads from `place` to the end of its segment or to damage; returns where to go on.
  Result<Place> ReadSegment(Place place) {
    const std::uint64_t id = ids_[place.segment_index];
    Result<LogReader> reader = LogReader::Open(fs_, Path(id), id);
    if (!reader) return reader.error();
    while (true) {
      Result<LogReader::Look> look = reader->At(place.offset, SoughtAt(place));
      if (!look) return look.error();
      if (look->found == LogReader::Found::kEnd) {
        ends_[place.segment_index] = place.offset;
        return Place{place.segment_index + 1, 0};
      }
      if (look->found == LogReader::Found::kDamage) return MeetDamage(place, /*whole=*/false);
      if (!IsAwaited(look->record)) return MeetDamage(place, /*whole=*/true);
      if (Status handed = HandOver(id, look->record); !handed.ok()) return handed;
      tail_.Add(id, place.offset, look->record);
      if (!look->record.IsMarker()) last_record_segment_ = place.segment_index;
      place.offset += look->record.size_bytes();
    }
  }

  /// Only where the record before the awaited one lies in the same segment, its bytes bound the numbers: in front of a segment's first
  /// record a whole segment may be lost.
  SoughtRecords SoughtAt(Place place) const {
    const bool is_bound = awaited_ != 0 && last_record_segment_ == place.segment_index;
    return {std::max<SequenceNumber>(awaited_, 1), is_bound ? std::optional(place.offset) : std::nullopt};
  }

  /// The log ends in order; but does it go as far as it once did?
  Status CheckReached() {
    if (summary_.last_sequence >= noted_sequence_) return Status::Ok();
    const std::string path = ids_.empty() ? dir_ : Path(ids_.back());
    const std::uint64_t end = ids_.empty() ? 0 : EndOf(ids_.size() - 1);
    if (!options_.skip_corruption) {
      return Status::Corruption(fmt::format(
          "{}: ends too early, at offset {}: the writes with sequence numbers {} to {} were on disk once, as {} says, and "
          "are not there any more. {}", path, end, summary_.last_sequence + 1, noted_sequence_, kDurableNoteName, kRemedy));
    }
    if (options_.read_only) return Status::Ok();
    LogWarning("wal", "{}: ends too early, at offset {}: writes up to sequence number {} are lost (wal-skip-corruption)", path, end, noted_sequence_);
    summary_.last_sequence = noted_sequence_;   // numbers that were seen are never given out again
    summary_.lost_writes = true;
    return Status::Ok();
  }

  /// A process that was killed had not synced all it wrote, or had tried in vain. The next markers will say that it is durable, so it must be.
  Status MakeSafe(std::size_t last_index) {
    if (Status written = tail_.WriteAnew(fs_, dir_); !written.ok()) return written;
    for (std::size_t index = 0; index <= last_index && index < ids_.size(); ++index) {
      if (Status synced = fs_.SyncFile(Path(ids_[index])); !synced.ok()) return synced;
    }
    return fs_.SyncDirectory(dir_);
  }

  bool IsAwaited(const LogRecord& record) const {
    if (awaited_ == 0) return true;
    if (record.IsMarker()) return record.first_sequence < awaited_;
    // A memtable may have been flushed before an older one: the first records may be in tables already.
    return record.first_sequence == awaited_ || (summary_.records == 0 && record.first_sequence < awaited_);
  }

  Status HandOver(std::uint64_t id, const LogRecord& record) {
    summary_.bytes += record.size_bytes();
    if (record.IsMarker()) return Status::Ok();
    if (Status taken = HandOverOperations(id, record); !taken.ok()) return taken;
    ++summary_.records;
    summary_.entries += record.count;
    awaited_ = record.last_sequence() + 1;
    summary_.last_sequence = std::max(summary_.last_sequence, record.last_sequence());
    return Status::Ok();
  }

  Status HandOverOperations(std::uint64_t id, const LogRecord& record) {
    const std::optional<AsideRef> aside = DecodeAside(record.operations);
    if (!aside) return on_record_(id, record.first_sequence, record.count, record.operations);
    summary_.asides.places.push_back({id, aside->id});
    summary_.asides.max_id = std::max(summary_.asides.max_id, aside->id);    // the file itself may be gone
    const Result<std::string> operations = ReadAside(fs_, dir_, *aside);
    if (operations) return on_record_(id, record.first_sequence, record.count, *operations);
    if (operations.error().code() != StatusCode::kCorruption) return operations.error();
    const std::string lost = fmt::format("{}; it holds the writes with sequence numbers {} to {}", operations.error().message(),
                                         record.first_sequence, record.last_sequence());
    if (lost_ != nullptr) {
      lost_->push_back({id, record.first_sequence, record.last_sequence(), Status::Corruption(lost)});
      return Status::Ok();
    }
    if (!options_.skip_corruption) return Status::Corruption(fmt::format("{}. {}", lost, kRemedy));
    summary_.lost_writes = true;
    summary_.skipped_bytes += aside->bytes;
    if (!options_.read_only) LogWarning("wal", "{}; its writes are lost (wal-skip-corruption)", operations.error().message());
    return Status::Ok();
  }

  /// @param whole  what lies there is a good record or marker, but of later writes than are awaited.
  Result<Place> MeetDamage(Place damage, bool whole) {
    const Result<Aftermath> after = LookOn(damage, whole);
    if (!after) return after.error();
    switch (Judge(awaited_, *after)) {
      case Verdict::kNothingLost: return GoOn(damage, *after, "no write is lost");
      case Verdict::kUnsyncedTail:
        if (summary_.last_sequence < noted_sequence_ && !options_.skip_corruption) break;   // what is in front of it is no end
        summary_.lost_writes |= summary_.last_sequence < noted_sequence_;
        return CutOff(damage, *after);
      case Verdict::kCorruption: break;
    }
    if (!options_.skip_corruption) return LostAt(damage, whole);
    summary_.lost_writes = true;
    // Numbers that a marker has seen are never given out again, lost or not. Where nothing is lost up to the next record, what comes
    // behind that has to show how far the log goes.
    summary_.last_sequence = std::max(summary_.last_sequence, after->marker_sequence);
    return GoOn(damage, *after, "writes are lost (wal-skip-corruption)");
  }

  Status LostAt(Place damage, bool whole) const {
    const auto lost = [this](const std::string& where) {
      return Status::Corruption(fmt::format("{}: the write with sequence number {} was on disk and is not readable any more. {}", where,
                                            std::max<SequenceNumber>(awaited_, 1), kRemedy));
    };
    const std::string path = Path(ids_[damage.segment_index]);
    // At the beginning of a segment that is whole itself: what is missing was in front of it.
    if (damage.offset <= kLogHeadBytes && damage.segment_index > 0 && whole) {
      const std::string before = Path(ids_[damage.segment_index - 1]);
      return lost(fmt::format("{}: ends too early, at offset {}, or a segment between it and {} is gone", before,
                              EndOf(damage.segment_index - 1), path));
    }
    return lost(fmt::format("{}: damaged at offset {}", path, damage.offset));
  }

  /// Reads all that follows `damage`, good records and markers.
  Result<Aftermath> LookOn(Place damage, bool whole) {
    Aftermath after;
    after.marker_sequence = noted_sequence_;
    for (std::size_t index = damage.segment_index; index < ids_.size(); ++index) {
      const std::uint64_t start = index == damage.segment_index ? damage.offset : 0;
      SoughtRecords sought = SoughtAt({index, start});
      if (whole) sought.since.reset();                 // a gap without bytes is there already
      if (Status looked = LookOnInSegment(index, start, sought, &after); !looked.ok()) return looked;
    }
    return after;
  }

  Status LookOnInSegment(std::size_t index, std::uint64_t start, const SoughtRecords& sought, Aftermath* after) {
    const std::string path = Path(ids_[index]);
    Result<LogReader> reader = LogReader::Open(fs_, path, ids_[index]);
    if (!reader) return reader.error();
    const Result<LogReader::Look> look = reader->At(start, sought);
    if (!look) return look.error();
    if (look->found == LogReader::Found::kEnd) return Status::Ok();      // nobody has written to it
    const std::uint64_t bytes_before = after->bytes;
    SequenceNumber next_sequence = sought.from;
    for (std::uint64_t offset = start;;) {
      const Result<std::optional<LogReader::Hit>> hit = reader->Search(offset, sought);
      if (!hit) return hit.error().WithContext(fmt::format("{}: after the damage at offset {}", path, offset));
      after->passed_over_records |= reader->passes_over_records();
      if (!*hit) return EndTail(*reader, Place{index, start}, offset, next_sequence, after);
      const LogRecord& record = (*hit)->record;
      if (record.IsMarker()) {
        after->marker_sequence = std::max(after->marker_sequence, record.first_sequence);
      } else {
        ++after->records;
        next_sequence = record.last_sequence() + 1;
        if (!after->next_record) {
          after->next_record = Place{index, (*hit)->offset};
          after->next_sequence = record.first_sequence;
          after->bytes_to_next = bytes_before + (*hit)->offset - start;
        }
      }
      offset = (*hit)->offset + record.size_bytes();
    }
  }

  /// Where what was written from `start` on ends, when nothing is good behind `good_end` any more.
  Status EndTail(LogReader& reader, Place start, std::uint64_t good_end, SequenceNumber awaited, Aftermath* after) {
    const Result<std::uint64_t> torn_end = reader.TornEnd(good_end, awaited);
    if (!torn_end) return torn_end.error();
    const Result<std::uint64_t> written_end = reader.WrittenEnd(good_end);
    if (!written_end) return written_end.error();
    const std::uint64_t end = std::min(*torn_end, *written_end);
    tail_ends_[start.segment_index] = end;
    after->bytes += end - start.offset;
    after->old_bytes += *written_end - end;
    return Status::Ok();
  }

  /// Passes over the damage to the next good record, or behind everything when there is none.
  Place GoOn(Place damage, const Aftermath& after, std::string_view consequence) {
    const Place next = after.next_record.value_or(Place{ids_.size(), 0});
    if (summary_.skipped_segment == 0) {
      summary_.skipped_segment = ids_[damage.segment_index];
      summary_.skipped_offset = damage.offset;
    }
    summary_.skipped_bytes += after.next_record ? after.bytes_to_next : after.bytes;
    if (!options_.read_only) {
      LogWarning("wal", "{}: damaged at offset {}; going on at {} offset {}: {}", Path(ids_[damage.segment_index]),
                 damage.offset, after.next_record ? SegmentFileName(ids_[next.segment_index]) : "the end", next.offset,
                 consequence);
    }
    awaited_ = after.next_record ? after.next_sequence : summary_.last_sequence + 1;
    return next;
  }

  Result<Place> CutOff(Place cut, const Aftermath& after) {
    summary_.dropped_records = after.records;
    summary_.dropped_bytes = after.bytes;
    summary_.cut_segment = ids_[cut.segment_index];
    summary_.cut_offset = cut.offset;
    done_ = true;
    if (options_.read_only) return cut;
    const std::string old = after.old_bytes == 0 ? "" : fmt::format("; {} bytes of older segments behind them are not kept", after.old_bytes);
    LogWarning("wal", "{}: unsynced tail cut off at offset {}: {} bytes with {} whole records dropped, kept as *{}{}",
               Path(ids_[cut.segment_index]), cut.offset, after.bytes, after.records, kDroppedSuffix, old);
    // Behind lost writes the tail holds the markers that prove the loss: without them another recovery, should this start be cut
    // short, would take the good records behind the loss for a tail as well. Everything stays until it is in tables.
    const DroppedTail::Tail tail{std::span(ids_).subspan(cut.segment_index), std::span(tail_ends_).subspan(cut.segment_index), cut.offset};
    const Status aside = summary_.lost_writes ? dropped_.Copy(tail) : dropped_.SetAside(tail);
    if (!aside.ok()) return aside.WithContext("setting aside the WAL's unsynced tail");
    return cut;
  }

  void FindUnnamedAsides() {
    std::ranges::sort(aside_ids_);
    for (const std::uint64_t id : aside_ids_) {
      if (std::ranges::find(summary_.asides.places, id, &AsidePlace::id) == summary_.asides.places.end())
        summary_.asides.unnamed.push_back(id);
    }
  }

  /// What a death left of batches that no record came to name.
  void RemoveUnnamedAsides() {
    for (const std::uint64_t id : summary_.asides.unnamed) {
      const std::string path = dir_ + "/" + AsideFileName(id);
      const Status removed = fs_.RemoveFile(path);
      if (removed.ok()) LogInfo("wal", "{} is named by no record (an unfinished write); removed", path);
      if (!removed.ok()) LogWarning("wal", "{}", removed.message());
    }
  }

  FileSystem& fs_;
  const std::string& dir_;
  const ReplayOptions& options_;
  const ReplayRecord& on_record_;
  std::vector<LostBatch>* const lost_;
  static constexpr std::string_view kRemedy = "Restore the file, or set `wal-skip-corruption yes` to start without the damaged writes";

  std::vector<std::uint64_t> ids_;          // at or above the floor, ascending
  std::vector<std::uint64_t> ends_;         // of each, where its last record ends, when it has been read
  std::vector<std::uint64_t> tail_ends_;    // of each, where what was written behind the damage ends; 0: not known
  std::vector<std::uint64_t> aside_ids_;    // there are
  SequenceNumber awaited_ = 0;              // the next record's; 0: any
  std::optional<std::size_t> last_record_segment_;      // its index: of the one before it; none: that was not read
  UnsyncedTail tail_;
  DroppedTail dropped_{fs_, dir_};
  SequenceNumber noted_sequence_ = 0;       // durable_note.h; 0: not known
  ReplaySummary summary_;
  bool done_ = false;
};

}  // namespace

Result<ReplaySummary> ReplayWal(FileSystem& fs, const std::string& wal_dir, std::uint64_t floor_segment, const ReplayOptions& options,
                                const ReplayRecord& on_record, std::vector<LostBatch>* lost) {
  return Replay(fs, wal_dir, options, on_record, lost).Run(floor_segment);
}

}  // namespace lsmkv
