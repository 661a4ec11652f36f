// Ingest: a moment among the writes, everything older into tables, and then a job of the scheduler's (ingest_plan.h).
//
// The moment is a sequence number of its own, S. It is taken like a write's, under the write lock, and the memtable is rotated
// with it: so every memtable is older than S as a whole, or newer. The WAL has a record of S that changes nothing, since its
// records must follow each other without a gap; it is on disk before a table with S may be in a manifest. Another S is taken only when
// FLUSHDB or SWAPDB have changed just then what the bundle's prefix means, and before anything else is done.
#include "base/log.h"
#include "engine/bundle/bundle.h"
#include "engine/engine_impl.h"

namespace lsmkv {
namespace {

constexpr int kMostPoints = 8;        // each costs a rotation

/// Clears the flag at the end.
class OnlyOne {
 public:
  explicit OnlyOne(std::atomic<bool>& taken) : taken_(taken), is_first_(!taken.exchange(true, std::memory_order_acquire)) {}
  ~OnlyOne() {
    if (is_first_) taken_.store(false, std::memory_order_release);
  }
  OnlyOne(const OnlyOne&) = delete;
  OnlyOne& operator=(const OnlyOne&) = delete;
  explicit operator bool() const { return is_first_; }

 private:
  std::atomic<bool>& taken_;
  const bool is_first_;
};

/// An ingest that may happen after all, as the engine closes or when the disk has room again, keeps it.
class PointOnlyMeanwhile {
 public:
  explicit PointOnlyMeanwhile(std::atomic<SequenceNumber>& point) : point_(point) {}
  ~PointOnlyMeanwhile() {
    if (!kept_) point_.store(0, std::memory_order_release);
  }
  PointOnlyMeanwhile(const PointOnlyMeanwhile&) = delete;
  PointOnlyMeanwhile& operator=(const PointOnlyMeanwhile&) = delete;
  void Keep() { kept_ = true; }

 private:
  std::atomic<SequenceNumber>& point_;
  bool kept_ = false;
};

Result<IngestPlace> PlaceOf(const IngestRequest& request, std::string_view bundle_prefix) {
  if (!request.place) return IngestPlace{std::string(bundle_prefix), 0};
  return request.place(bundle_prefix);
}

}  // namespace

/// Everything written before it is in memtables that are frozen, or in tables.
Result<SequenceNumber> EngineImpl::TakePoint() {
  while (true) {
    {
      MutexLock lock(write_mutex_);
      if (active_.table->entries() == 0 || TryRotateLocked()) {
        const SequenceNumber point = ++last_sequence_;
        context_.ingest_point.store(point, std::memory_order_release);
        wal_->Append(point, 1, kNothingOperation);
        active_.table->Skip(point);
        visible_.store(point, std::memory_order_release);
        return point;
      }
    }
    if (Status status = WaitForRotation(); !status.ok()) return status;
  }
}

/// nullopt: the place changed its meaning meanwhile.
Result<std::optional<SequenceNumber>> EngineImpl::TakePointOf(const IngestRequest& request, std::string_view bundle_prefix,
                                                              IngestPlace* place) {
  Result<IngestPlace> before = PlaceOf(request, bundle_prefix);
  if (!before) return before.error();
  const Result<SequenceNumber> point = TakePoint();
  if (!point) return point.error();
  const Result<IngestPlace> after = PlaceOf(request, bundle_prefix);
  if (!after) return after.error();
  *place = std::move(*before);
  if (*place != *after) return std::optional<SequenceNumber>();
  if (Status status = scheduler_->WaitUntilFlushed(); !status.ok()) return status;
  if (Status status = wal_->Sync(); !status.ok()) return status;
  return std::optional<SequenceNumber>(*point);
}

Result<IngestReport> EngineImpl::Ingest(const IngestRequest& request) {
  const OnlyOne only_one(ingesting_);
  if (!only_one) return Status::Busy("another ingest is running; try again when it has ended");
  if (context_.ingest_point.load(std::memory_order_acquire) != 0)
    return Status::Busy("the ingest before is still to come, when the disk lets the manifests be written; try again then");
  if (Status status = WriteHealth(); !status.ok()) return status;
  const Result<std::shared_ptr<const Bundle>> bundle = Bundle::Open(context_.fs, request.bundle);
  if (!bundle) return bundle.error();
  const BundleDescription& description = (*bundle)->description();
  const std::chrono::microseconds start = context_.clock.Monotonic();
  PointOnlyMeanwhile point_only_meanwhile(context_.ingest_point);
  for (int attempt = 0; attempt < kMostPoints; ++attempt) {
    IngestPlace place;
    const Result<std::optional<SequenceNumber>> point = TakePointOf(request, description.key_prefix, &place);
    if (!point) return point.error();
    if (!*point) continue;
    const auto run = std::make_shared<const IncomingRun>(*bundle, place.prefix, **point);
    const Result<Scheduler::IngestOutcome> outcome = scheduler_->Ingest(run);
    if (!outcome) {
      const StatusCode code = outcome.error().code();
      if (code == StatusCode::kShuttingDown || code == StatusCode::kBusy) point_only_meanwhile.Keep();
      return outcome.error();
    }
    LogInfo("ingest", "{}: {} entries, {} bytes into L{} at sequence {} in {:.1f} ms", request.bundle, description.entries,
            description.size_bytes(), outcome->level, **point,
            static_cast<double>((context_.clock.Monotonic() - start).count()) / 1000);
    return IngestReport{description.entries, description.size_bytes(), outcome->level, outcome->merged_bytes, **point};
  }
  return Status::Busy("databases are being flushed or swapped all the time; try again");
}

}  // namespace lsmkv
