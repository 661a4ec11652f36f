#include "engine/scrubber.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/low_priority.h"
#include "engine/manifest/text_values.h"

namespace lsmkv {
namespace {

using std::chrono::microseconds;
using Json = nlohmann::ordered_json;

constexpr std::uint64_t kMostStateBytes = 4096;
// The first one when it is not known when the last one was, unless the interval is shorter.
constexpr std::uint64_t kSoonMs = 600'000;
// How late a wall clock that was set is noticed.
constexpr std::uint64_t kLookAgainMs = 60'000;
// Shorter waits than this are saved up.
constexpr microseconds kLeastWait{50'000};
constexpr int kLowestPriority = 19;

microseconds TimeFor(std::uint64_t bytes, std::uint64_t bytes_per_second) {
  return microseconds(static_cast<std::int64_t>(1e6 * static_cast<double>(bytes) / static_cast<double>(bytes_per_second)));
}

}  // namespace

Scrubber::Scrubber(EngineContext& context, Wal& wal, ScrubPass::Pinned present, ScrubPass::Flush flush, CompactionRate& rate)
    : context_(context),
      wal_(wal),
      present_(std::move(present)),
      flush_(std::move(flush)),
      rate_(rate),
      path_(context.options.dir + "/scrub.json"),
      interval_ms_(context.options.scrub_interval_ms),
      opened_ms_(context.clock.WallMillis()) {
  Load();
}

Scrubber::~Scrubber() { Stop(); }

void Scrubber::Load() {
  const Result<std::uint64_t> bytes = context_.fs.FileSize(path_);
  if (!bytes || *bytes > kMostStateBytes) return;
  const Result<std::string> text = context_.fs.ReadWholeFile(path_);
  if (!text) return;
  const Json json = Json::parse(*text, nullptr, false);
  if (!json.is_object()) return;
  const auto ended = json.find("ended_at");
  const auto damage = json.find("damage");
  if (ended == json.end() || !ended->is_string() || damage == json.end() || !damage->is_number_unsigned()) return;
  const MutexLock lock(mutex_);
  figures_.last_ended_ms = ParseIsoTime(ended->get<std::string>()).value_or(0);
  figures_.damage = damage->get<std::uint64_t>();
}

void Scrubber::Save(const ScrubReport& report, std::uint64_t now_ms) {
  const Json json{{"ended_at", FormatIsoTime(std::min(now_ms, kLastIsoMillis))}, {"bytes", report.bytes}, {"damage", report.damage}};
  const std::string unfinished = path_ + ".tmp";
  const auto write = [&]() -> Status {
    Result<std::unique_ptr<WritableFile>> file = context_.fs.NewWritableFile(unfinished);
    if (!file) return file.error();
    if (Status status = (*file)->Append(json.dump() + "\n"); !status.ok()) return status;
    if (Status status = (*file)->Close(); !status.ok()) return status;
    return context_.fs.Rename(unfinished, path_);
  };
  if (Status status = write(); !status.ok()) LogWarning("scrub", "{}; the next scrub may come too soon", status.message());
}

void Scrubber::Start() {
  const MutexLock lock(mutex_);
  started_ = true;
  StartThreadLocked();
}

void Scrubber::StartThreadLocked() {
  if (!started_ || stopping_.load(std::memory_order_relaxed) || interval_ms_ == 0 || thread_ != nullptr) return;
  thread_ = std::make_unique<ThreadPool>("scrub", 1, kLowestPriority);
  thread_->Submit([this] { Run(); });
}

void Scrubber::Interrupt() {
  const MutexLock lock(mutex_);
  stopping_.store(true, std::memory_order_relaxed);
  changed_.NotifyAll();
}

void Scrubber::Stop() {
  Interrupt();
  {
    const MutexLock lock(mutex_);
    while (running_ != Running::kNone || asked_) changed_.Wait(mutex_);
  }
  if (thread_ != nullptr) thread_->Stop(ThreadPool::StopMode::kDrain);   // nobody makes one any more
}

void Scrubber::SetInterval(std::uint64_t interval_ms) {
  const MutexLock lock(mutex_);
  interval_ms_ = interval_ms;
  StartThreadLocked();
  changed_.NotifyAll();
}

Scrubber::Figures Scrubber::figures() const {
  const MutexLock lock(mutex_);
  Figures figures = figures_;
  figures.running = running_ != Running::kNone;
  figures.bytes_read = bytes_read_.load(std::memory_order_relaxed);
  return figures;
}

Result<ScrubReport> Scrubber::Scrub() {
  {
    const MutexLock lock(mutex_);
    if (stopping_.load(std::memory_order_relaxed)) return Status::ShuttingDown();
    if (asked_) return Status::Busy("a scrub is running");
    asked_ = true;
    changed_.NotifyAll();
    while (running_ != Running::kNone) changed_.Wait(mutex_);   // one by itself gives up
    running_ = Running::kAsked;
  }
  const LowIoPriority low;
  Result<ScrubReport> report = RunPass([this](std::uint64_t bytes) { return PayAsked(bytes); });
  const MutexLock lock(mutex_);
  asked_ = false;
  running_ = Running::kNone;
  changed_.NotifyAll();
  return report;
}

bool Scrubber::PayAsked(std::uint64_t bytes) {
  bytes_read_.fetch_add(bytes, std::memory_order_relaxed);
  rate_.Charge(bytes, stopping_);
  return !stopping_.load(std::memory_order_relaxed);
}

bool Scrubber::PayByItself(std::uint64_t bytes, std::uint64_t rate, microseconds* paid_until) {
  bytes_read_.fetch_add(bytes, std::memory_order_relaxed);
  *paid_until = std::max(*paid_until, context_.clock.Monotonic()) + TimeFor(bytes, rate);
  const MutexLock lock(mutex_);
  while (!asked_ && !stopping_.load(std::memory_order_relaxed)) {
    const microseconds wait = *paid_until - context_.clock.Monotonic();
    if (wait < kLeastWait) return true;
    changed_.WaitFor(mutex_, wait);
  }
  return false;
}

Result<ScrubReport> Scrubber::RunPass(ScrubPass::Pay pay) {
  Result<ScrubReport> report = ScrubPass(context_, wal_, present_, flush_, std::move(pay)).Run();
  if (!report) return report;
  const std::uint64_t now_ms = context_.clock.WallMillis();
  LogInfo("scrub", "{} manifests, {} log segments with {} batches, {} tables with {} entries, {} blob files: {} bytes read in {:.1f} s, {} damaged places",
          report->manifests, report->log_segments, report->log_records, report->tables, report->entries, report->blob_files, report->bytes,
          static_cast<double>(report->duration.count()) / 1e6, report->damage);
  Save(*report, now_ms);
  const MutexLock lock(mutex_);
  ++figures_.completed;
  figures_.damage = report->damage;
  figures_.last_ended_ms = now_ms;
  return report;
}

std::uint64_t Scrubber::DueInMsLocked() const {
  const std::uint64_t now = context_.clock.WallMillis();
  const std::uint64_t since = std::min(now, figures_.last_ended_ms == 0 ? opened_ms_ : figures_.last_ended_ms);   // clocks are set back
  const std::uint64_t after = figures_.last_ended_ms == 0 ? std::min(interval_ms_, kSoonMs) : interval_ms_;
  return now - since >= after ? 0 : after - (now - since);
}

/// The thread that scrubs by itself.
void Scrubber::Run() {
  const LowIoPriority low;
  while (true) {
    std::uint64_t interval_ms = 0;
    {
      const MutexLock lock(mutex_);
      while (!stopping_.load(std::memory_order_relaxed) && (asked_ || interval_ms_ == 0 || DueInMsLocked() > 0)) {
        const std::uint64_t wait_ms = asked_ || interval_ms_ == 0 ? kLookAgainMs : std::min(DueInMsLocked(), kLookAgainMs);
        changed_.WaitFor(mutex_, microseconds(wait_ms * 1000));
      }
      if (stopping_.load(std::memory_order_relaxed)) return;
      running_ = Running::kByItself;
      interval_ms = interval_ms_;
    }
    const std::uint64_t seconds = std::max<std::uint64_t>(1, interval_ms / 1000 / kShareOfInterval);
    const std::uint64_t rate = std::max(kLeastRate, ScrubPass::BytesOf(*present_()) / seconds);
    microseconds paid_until{0};
    IgnoreError(RunPass([&](std::uint64_t bytes) { return PayByItself(bytes, rate, &paid_until); }).status(), "it only ends early");
    const MutexLock lock(mutex_);
    running_ = Running::kNone;
    changed_.NotifyAll();
  }
}

}  // namespace lsmkv
