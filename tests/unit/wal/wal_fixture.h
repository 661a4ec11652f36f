// What the WAL's tests share: segments made by hand, replay into a vector, a clock that is moved, a listener that waits.
#pragma once

#include <catch2/catch.hpp>

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "engine/wal/durable_note.h"
#include "engine/wal/log_format.h"
#include "engine/wal/wal.h"
#include "engine/wal/wal_replay.h"
#include "fs/fault_file_system.h"
#include "manual_clock.h"

namespace lsmkv::wal_test {

inline const std::string kDir = "db/wal";

inline std::string PathOf(std::uint64_t segment) { return kDir + "/" + SegmentFileName(segment); }

/// The operations of the record that begins at `first`: recognisable, and long enough for `count`.
inline std::string OperationsOf(SequenceNumber first, std::uint32_t count, std::size_t padding = 0) {
  return "ops-" + std::to_string(first) + std::string(2 * count + padding, 'x');
}

/// A segment as a writer would leave it, byte by byte under the test's control.
class SegmentText {
 public:
  explicit SegmentText(std::uint64_t id) : id_(id) {}
  SegmentText& Record(SequenceNumber first, std::uint32_t count = 1) {
    starts.push_back(bytes.size());
    EncodeLogRecord(&bytes, id_, bytes.size(), {first, count, OperationsOf(first, count)});
    return *this;
  }
  SegmentText& Marker(SequenceNumber durable) {
    starts.push_back(bytes.size());
    EncodeLogRecord(&bytes, id_, bytes.size(), {durable, 0, {}});
    return *this;
  }
  void Store(FileSystem& fs) const { Store(fs, bytes); }
  void Store(FileSystem& fs, const std::string& contents) const {
    REQUIRE(fs.CreateDirectories(kDir).ok());
    auto file = fs.NewWritableFile(PathOf(id_));
    REQUIRE(file.has_value());
    REQUIRE((*file)->Append(contents).ok());
    REQUIRE((*file)->Sync().ok());
    REQUIRE(fs.SyncDirectory(kDir).ok());
  }

  std::string bytes;
  std::vector<std::size_t> starts;   ///< of each record

 private:
  std::uint64_t id_;
};

struct Replayed {
  Status status;
  ReplaySummary summary;
  std::vector<SequenceNumber> sequences;   ///< every operation's

  SequenceNumber last() const { return sequences.empty() ? 0 : sequences.back(); }
};

/// Replays and checks that each record's bytes are those of its sequence number.
inline Replayed Replay(FileSystem& fs, ReplayOptions options = {}, std::uint64_t floor = 0) {
  Replayed replayed;
  const auto take = [&](std::uint64_t, SequenceNumber first, std::uint32_t count, std::string_view operations) {
    CHECK(operations.substr(0, OperationsOf(first, count).size()) == OperationsOf(first, count));
    for (std::uint32_t i = 0; i < count; ++i) replayed.sequences.push_back(first + i);
    return Status::Ok();
  };
  auto summary = ReplayWal(fs, kDir, floor, options, take);
  replayed.status = summary.status();
  if (summary) replayed.summary = *summary;
  return replayed;
}

inline std::vector<SequenceNumber> UpTo(SequenceNumber last, SequenceNumber first = 1) {
  std::vector<SequenceNumber> all;
  for (SequenceNumber s = first; s <= last; ++s) all.push_back(s);
  return all;
}

class WaitingListener final : public CommitListener {
 public:
  void OnDurable(SequenceNumber durable, const Status& status) override {
    MutexLock lock(mutex_);
    durable_ = durable;
    status_ = status;
    ++calls_;
    changed_.NotifyAll();
  }
  void WaitForDurable(SequenceNumber sequence) {
    MutexLock lock(mutex_);
    while (durable_ < sequence && status_.ok()) changed_.Wait(mutex_);
  }
  Status WaitForError() {
    MutexLock lock(mutex_);
    while (status_.ok()) changed_.Wait(mutex_);
    return status_;
  }
  void WaitForRecovery() {
    MutexLock lock(mutex_);
    while (!status_.ok()) changed_.Wait(mutex_);
  }
  int calls() {
    MutexLock lock(mutex_);
    return calls_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  SequenceNumber durable_ LSMKV_GUARDED_BY(mutex_) = 0;
  Status status_ LSMKV_GUARDED_BY(mutex_);
  int calls_ LSMKV_GUARDED_BY(mutex_) = 0;
};

/// Waits until `condition` holds, which another thread brings about. After two minutes it fails: here and by name, instead of the
/// whole program's at its time limit.
template <typename Condition>
void Eventually(Condition condition, ManualClock* clock = nullptr) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) FAIL("what is waited for does not come");
    if (clock != nullptr) clock->Advance(std::chrono::milliseconds(100));
    std::this_thread::yield();
  }
}

/// The same for what waits for the clock too.
template <typename Condition>
void EventuallyInTime(ManualClock& clock, Condition condition) {
  Eventually(condition, &clock);
}

inline std::unique_ptr<Wal> OpenWal(FileSystem& fs, WalFsync mode, Clock& clock = Clock::System(), std::uint64_t segment = 1,
                                    SequenceNumber durable = 0, std::uint64_t likely_bytes = 0) {
  auto wal = Wal::Open(fs, kDir, mode, segment, durable, clock, likely_bytes);
  REQUIRE(wal.status().message() == "");
  return std::move(*wal);
}

inline void AppendOne(Wal& wal, std::uint32_t count = 1, std::size_t padding = 0) {
  const SequenceNumber first = wal.appended_sequence() + 1;
  wal.Append(first, count, OperationsOf(first, count, padding));
}

inline void AppendMany(Wal& wal, int records) {
  for (int i = 0; i < records; ++i) AppendOne(wal);
}

}  // namespace lsmkv::wal_test
