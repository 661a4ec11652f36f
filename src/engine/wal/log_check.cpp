#include "engine/wal/log_check.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "engine/wal/aside_file.h"

namespace lsmkv {
namespace {

constexpr std::uint64_t kPaidAtOnce = 256 << 10;

class LogCheck {
 public:
  LogCheck(FileSystem& fs, const std::string& dir, const LogBeginning& beginning, const LogExtent& extent, const LogCheckHooks& hooks)
      : fs_(fs), dir_(dir), beginning_(beginning), extent_(extent), hooks_(hooks) {}

  LogCheckSummary Run() {
    previous_ = Place{beginning_.floor, 0};
    if (beginning_.flushed_sequence) {
      last_sequence_ = *beginning_.flushed_sequence;
      awaited_ = last_sequence_ + 1;
    }
    const Result<std::vector<std::uint64_t>> ids = ListSegments();
    if (!ids) {
      hooks_.on_damage(beginning_.floor, ids.error());
      return summary_;
    }
    for (const std::uint64_t id : *ids) {
      CheckSegment(id);
      if (summary_.stopped) return summary_;
    }
    CheckReached();
    Pay(0, /*all=*/true);
    return summary_;
  }

 private:
  struct Place {
    std::uint64_t segment = 0;
    std::uint64_t offset = 0;
  };

  std::string Path(std::uint64_t id) const { return dir_ + "/" + SegmentFileName(id); }

  Result<std::vector<std::uint64_t>> ListSegments() const {
    const Result<std::vector<std::string>> names = fs_.ListDirectory(dir_);
    if (!names) return names.error();
    std::vector<std::uint64_t> ids;
    for (const std::string& name : *names) {
      const std::optional<std::uint64_t> id = ParseSegmentFileName(name);
      if (id && *id >= beginning_.floor && *id <= extent_.open.back().segment) ids.push_back(*id);
    }
    std::ranges::sort(ids);
    return ids;
  }

  /// nullopt: it is closed, and all of its file is its own.
  std::optional<std::uint64_t> OpenBytes(std::uint64_t id) const {
    const auto part = std::ranges::find(extent_.open, id, &LogExtent::Part::segment);
    return part == extent_.open.end() ? std::nullopt : std::optional(part->bytes);
  }

  void CheckSegment(std::uint64_t id) {
    const std::optional<std::uint64_t> open_bytes = OpenBytes(id);
    if (open_bytes && EndsHere()) return;
    Result<LogReader> reader = LogReader::OpenPassing(fs_, Path(id), id, open_bytes.value_or(UINT64_MAX));
    if (!reader) {
      Found({id, 0}, reader.error());
      return;
    }
    ++summary_.segments;
    began_in_segment_ = false;
    Place place{id, 0};
    while (!(open_bytes && EndsHere())) {
      const Result<LogReader::Look> look = reader->At(place.offset, SoughtAt(place));
      if (!look) {
        Found(place, CorruptionOf(place, look.error().message()));
        return;
      }
      if (look->found == LogReader::Found::kEnd) return MeetEnd(place, open_bytes);
      if (look->found == LogReader::Found::kDamage) {
        const std::optional<std::uint64_t> next = MeetDamage(*reader, place);
        if (!next) return;
        place.offset = *next;
        continue;
      }
      const LogRecord record = look->record;
      if (!Pay(record.size_bytes()) || !CheckRecord(place, record)) return;
      place.offset += record.size_bytes();
      if (!record.IsHead()) previous_ = place;
    }
  }

  /// What follows in an open segment nobody vouches for.
  bool EndsHere() const { return last_sequence_ >= extent_.durable_sequence; }

  SoughtRecords SoughtAt(Place place) const {
    const bool is_bound = awaited_ != 0 && began_in_segment_;        // as recovery: a record's bytes bound the numbers behind it
    return {std::max<SequenceNumber>(awaited_, 1), is_bound ? std::optional(place.offset) : std::nullopt};
  }

  /// False: the check ends, or the segment does.
  bool CheckRecord(Place place, const LogRecord& record) {
    if (!IsAwaited(record)) MeetGap(place, record);
    if (record.IsMarker()) return true;
    const std::optional<AsideRef> aside = DecodeAside(record.operations);
    awaited_ = record.last_sequence() + 1;
    last_sequence_ = std::max(last_sequence_, record.last_sequence());
    began_in_segment_ = true;
    ++summary_.records;
    return !aside || CheckBeside(place, *aside, record);
  }

  bool IsAwaited(const LogRecord& record) const {
    if (awaited_ == 0) return true;
    if (record.IsMarker()) return record.first_sequence < awaited_;
    // The first records may be in tables already: a memtable was flushed before an older one.
    return record.first_sequence == awaited_ || (summary_.records == 0 && record.first_sequence < awaited_);
  }

  /// A whole record, but of later writes than are awaited: what is missing was in front of it, in this segment or the one before.
  void MeetGap(Place place, const LogRecord& record) {
    const Place where = place.offset <= kLogHeadBytes ? previous_ : place;
    if (summary_.records > 0 || !FloorMoved()) {
      Found(where, CorruptionOf(where, fmt::format("ends too early, or a segment behind it is gone: the write with sequence number {} is missing",
                                                   awaited_)));
    }
    if (record.IsMarker()) awaited_ = 0;
  }

  /// Whether what the manifest says of the beginning is not about this log any more.
  bool FloorMoved() const { return hooks_.given_up_below() > beginning_.floor; }

  bool CheckBeside(Place place, const AsideRef& aside, const LogRecord& record) {
    ++summary_.asides;
    const SequenceNumber last = record.last_sequence();
    const SequenceNumber first = record.first_sequence;            // the record's own bytes are not needed any more
    const Status whole = CheckAside(fs_, dir_, aside, [this](std::uint64_t bytes) { return Pay(bytes); });
    if (summary_.stopped) return false;
    if (!whole.ok()) {
      const SequenceNumber awaited = awaited_;
      Found(place, Status::Corruption(fmt::format("{}; it holds the writes with sequence numbers {} to {}", whole.message(), first, last)));
      awaited_ = awaited;                                          // the log itself goes on in order
    }
    return true;
  }

  /// Where the next good record or marker lies; nullopt: not in this segment.
  std::optional<std::uint64_t> MeetDamage(LogReader& reader, Place place) {
    const Result<std::optional<LogReader::Hit>> hit = reader.Search(place.offset, SoughtAt(place));
    const bool goes_on = hit.has_value() && hit->has_value();
    const SequenceNumber next = goes_on && !(*hit)->record.IsMarker() ? (*hit)->record.first_sequence : 0;
    const bool no_write_in_it = awaited_ != 0 && next == awaited_;
    const std::string what = no_write_in_it  ? "damaged, where no write lies"
                             : awaited_ != 0 ? fmt::format("damaged, where the write with sequence number {} was awaited", awaited_)
                                             : "damaged";
    if (!Found(place, CorruptionOf(place, what)) || !goes_on) return std::nullopt;
    awaited_ = next;
    return (*hit)->offset;
  }

  void MeetEnd(Place place, std::optional<std::uint64_t> open_bytes) {
    previous_ = place;
    if (open_bytes && place.offset < *open_bytes)
      Found(place, CorruptionOf(place, fmt::format("ends too early: {} bytes were written", *open_bytes)));
  }

  /// The log ends in order; but does it go as far as it must?
  void CheckReached() {
    if (awaited_ == 0 || last_sequence_ >= extent_.durable_sequence) return;
    if (summary_.records == 0 && FloorMoved()) return;
    Found(previous_, CorruptionOf(previous_, fmt::format("ends too early: the writes with sequence numbers {} to {} are missing", awaited_,
                                                         extent_.durable_sequence)));
  }

  Status CorruptionOf(Place place, const std::string& what) const {
    return Status::Corruption(fmt::format("{}: offset {}: {}", Path(place.segment), place.offset, what));
  }

  /// False: the segment was given up, so it is no damage. What comes next is not known any more, and whatever comes is right.
  bool Found(Place place, const Status& damage) {
    awaited_ = 0;
    if (hooks_.given_up_below() > place.segment) {
      ++summary_.gone;
      return false;
    }
    hooks_.on_damage(place.segment, damage);
    return true;
  }

  bool Pay(std::uint64_t bytes, bool all = false) {
    summary_.bytes += bytes;
    unpaid_ += bytes;
    if (unpaid_ < kPaidAtOnce && !all) return true;
    if (!hooks_.on_read(std::exchange(unpaid_, 0))) summary_.stopped = true;
    return !summary_.stopped;
  }

  FileSystem& fs_;
  const std::string& dir_;
  const LogBeginning& beginning_;
  const LogExtent& extent_;
  const LogCheckHooks& hooks_;
  SequenceNumber awaited_ = 0;             // the next record's first; 0: any
  SequenceNumber last_sequence_ = 0;       // the largest seen, or known to be in tables
  bool began_in_segment_ = false;          // a record was read in it
  Place previous_;                         // where the last record that was read ends
  std::uint64_t unpaid_ = 0;
  LogCheckSummary summary_;
};

}  // namespace

LogCheckSummary CheckLog(FileSystem& fs, const std::string& wal_dir, const LogBeginning& beginning, const LogExtent& extent,
                         const LogCheckHooks& hooks) {
  return LogCheck(fs, wal_dir, beginning, extent, hooks).Run();
}

}  // namespace lsmkv
