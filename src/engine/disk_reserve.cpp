#include "engine/disk_reserve.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"

namespace lsmkv {
namespace {

using std::chrono::microseconds;

constexpr std::uint64_t kLeastPartOfDisk = 20;              // a twentieth
constexpr std::uint64_t kLargestPartOfReserve = 16;         // one write that may use it takes at most a sixteenth
constexpr std::uint64_t kBytesPerMicrosecond = 2000;        // no writer fills a disk faster than 2 GB a second
constexpr microseconds kLongestInterval{1'000'000};
constexpr microseconds kIdleInterval{100'000};              // while little is left
constexpr microseconds kShortestInterval{20'000};

}  // namespace

std::uint64_t DiskReserve::ReserveOf(std::uint64_t wanted_bytes, std::uint64_t disk_bytes) {
  return std::min(wanted_bytes, disk_bytes / kLeastPartOfDisk);
}

microseconds DiskReserve::Interval(std::uint64_t headroom, bool writing) const {
  constexpr std::uint64_t kPlenty = kBytesPerMicrosecond * static_cast<std::uint64_t>(kLongestInterval.count());
  const microseconds until_full(static_cast<std::int64_t>(std::min(headroom, kPlenty) / kBytesPerMicrosecond));
  return std::max(until_full, writing ? kShortestInterval : kIdleInterval);
}

bool DiskReserve::Review(std::uint64_t unflushed_bytes, std::uint64_t written_bytes) {
  const bool changed = changed_.exchange(false, std::memory_order_acquire);
  const std::uint64_t wanted = wanted_bytes_.load(std::memory_order_relaxed);
  if (changed && wanted == 0) KeepNothing();
  if (wanted == 0) return false;
  const microseconds now = clock_.Monotonic();
  if (now < next_look_ && !changed) return false;
  const Result<std::uint64_t> free = fs_.FreeBytes(dir_);
  const Result<std::uint64_t> disk = fs_.TotalBytes(dir_);
  if (!free || !disk) {                       // a disk that does not tell is written to until it says no
    next_look_ = now + kLongestInterval;
    return false;
  }
  const std::uint64_t reserve = ReserveOf(wanted, *disk);
  const std::uint64_t kept = reserve + unflushed_bytes;
  const std::uint64_t headroom = *free - std::min(*free, kept);
  reserve_bytes_.store(reserve, std::memory_order_relaxed);
  free_bytes_.store(*free, std::memory_order_relaxed);
  headroom_bytes_.store(headroom, std::memory_order_relaxed);
  const std::uint64_t usable = *free - std::min(*free, reserve / 2 + unflushed_bytes);
  usable_bytes_.store(usable, std::memory_order_relaxed);
  const bool was_low = low();
  // A sixteenth early, so that few writes find nothing left that are not told so by status().
  Become(*free < kept + reserve / (was_low ? 4 : 16), unflushed_bytes);
  next_look_ = now + Interval(headroom, written_bytes != written_at_last_look_);
  written_at_last_look_ = written_bytes;
  return low() && (!was_low || usable < reserve / kLargestPartOfReserve);
}

void DiskReserve::Become(bool low, std::uint64_t unflushed_bytes) {
  Status why;
  if (low) {
    why = Status::NoSpace(fmt::format("{}: {} bytes are free, of which {} are kept for deleting and compaction (disk-reserve) and {} "
                                      "for what is in memory", dir_, free_bytes(), reserve_bytes(), unflushed_bytes));
  }
  const bool changed = low != this->low();
  {
    MutexLock lock(mutex_);
    why_ = why;
  }
  low_.store(low, std::memory_order_relaxed);
  if (!changed) return;
  if (low) {
    LogWarning("space", "{}; writes that add data are refused until there is room", why.message());
  } else {
    LogInfo("space", "{}: {} bytes are free; all writes are taken again", dir_, free_bytes());
  }
}

void DiskReserve::KeepNothing() {
  reserve_bytes_.store(0, std::memory_order_relaxed);
  free_bytes_.store(0, std::memory_order_relaxed);
  usable_bytes_.store(0, std::memory_order_relaxed);
  headroom_bytes_.store(kUnbounded, std::memory_order_relaxed);
  if (low()) LogInfo("space", "{}: nothing is kept any more (disk-reserve 0); all writes are taken until the disk is full", dir_);
  low_.store(false, std::memory_order_relaxed);
  next_look_ = microseconds(0);
}

std::optional<microseconds> DiskReserve::ReviewIn() const {
  if (wanted_bytes_.load(std::memory_order_relaxed) == 0) return std::nullopt;
  return std::clamp(next_look_ - clock_.Monotonic(), microseconds(1000), kLongestInterval);
}

Status DiskReserve::status() const {
  if (!low()) return {};
  MutexLock lock(mutex_);
  return why_;
}

bool DiskReserve::TakeOff(std::atomic<std::uint64_t>& left, std::uint64_t batch_bytes) {
  std::uint64_t bytes = left.load(std::memory_order_relaxed);
  do {
    if (bytes == kUnbounded) return true;
    if (2 * batch_bytes > bytes) return false;
  } while (!left.compare_exchange_weak(bytes, bytes - 2 * batch_bytes, std::memory_order_relaxed));
  return true;
}

Status DiskReserve::Take(std::uint64_t batch_bytes) {
  if (TakeOff(headroom_bytes_, batch_bytes)) return {};
  return Status::NoSpace(fmt::format("{}: a write of {} bytes needs twice that for a time, and {} are free, {} of them kept (disk-reserve)",
                                     dir_, batch_bytes, free_bytes(), reserve_bytes()));
}

Status DiskReserve::UseReserve(std::uint64_t batch_bytes) {
  const std::uint64_t most = reserve_bytes() / kLargestPartOfReserve;
  if (batch_bytes > most) {
    return Status::NoSpace(fmt::format("{}: the disk is almost full, and this write of {} bytes is too large for what is kept for "
                                       "deleting: in smaller parts, of {} bytes at most, it is taken", dir_, batch_bytes, most));
  }
  if (TakeOff(usable_bytes_, batch_bytes)) return {};
  return Status::NoSpace(fmt::format("{}: {} bytes are free, and what is kept for deleting (disk-reserve) is used up until more is flushed",
                                     dir_, free_bytes()));
}

}  // namespace lsmkv
