#include "wal_fixture.h"

namespace lsmkv::wal_test {
namespace {

constexpr ReplayOptions kFromTheStart{.skip_corruption = false, .flushed_sequence = 0, .flushed_sequence_known = true};

}  // namespace

TEST_CASE("what was committed is in the file, in every mode", "[wal]") {
  const auto mode = GENERATE(WalFsync::kAlways, WalFsync::kEverySec, WalFsync::kNo);
  FaultFileSystem fs;
  const auto wal = OpenWal(fs, mode);
  AppendOne(*wal);
  AppendOne(*wal, 3, 1000);
  const Result<SequenceNumber> wait_for = wal->Commit();
  REQUIRE(wait_for.has_value());
  if (mode == WalFsync::kAlways) {
    CHECK(*wait_for == 4);
    Eventually([&] { return wal->durable_sequence() == 4; });
    CHECK(*wal->Commit() == 0);
  } else {
    CHECK(*wait_for == 0);
    CHECK(wal->written_sequence() == 4);
  }
  CHECK(Replay(fs, kFromTheStart).sequences == UpTo(4));
  AppendOne(*wal, 2);
  REQUIRE(wal->Close().ok());
  CHECK(wal->durable_sequence() == 6);
}

TEST_CASE("where every small write is synced, zeros lie ahead of it, and whoever is killed leaves a clean end", "[wal]") {
  const auto mode = GENERATE(WalFsync::kAlways, WalFsync::kEverySec);
  const bool has_room = GENERATE(true, false);
  const std::size_t padding = GENERATE(0, 17'000);
  FaultFileSystem fs;
  if (!has_room) fs.SetCapacity(790'000);
  const auto wal = OpenWal(fs, mode, Clock::System(), 1, 0, 100'000);
  const auto zeros = [&] {
    const std::string bytes = fs.ReadWholeFile(PathOf(1)).value();
    return bytes.size() - (bytes.find_last_not_of('\0') + 1);
  };
  for (SequenceNumber n = 1; n <= 40; ++n) {
    AppendOne(*wal, 1, padding);
    REQUIRE(wal->Commit());
    if (mode == WalFsync::kAlways) Eventually([&] { return wal->durable_sequence() == n; });
    if (mode == WalFsync::kAlways && has_room && padding == 0) CHECK(zeros() > 60'000);
  }
  if (mode != WalFsync::kAlways || !has_room || padding != 0) CHECK(zeros() < 16);      // of the last record itself
  fs.FailCall(1, Fault::kWriteError, FaultSpan::kFromThenOn);                // killed: not a write more
  static_cast<void>(wal->Close());
  fs.ClearFaults();
  const Replayed replayed = Replay(fs, kFromTheStart);
  CHECK(replayed.status.message() == "");
  CHECK(replayed.sequences == UpTo(40));
  const auto names = fs.ListDirectory(kDir).value();
  for (const std::string& name : names) CHECK_FALSE(name.ends_with(kDroppedSuffix));
}

TEST_CASE("zeros lie ahead from the moment on that every write is synced, and no longer once a write has failed", "[wal]") {
  FaultFileSystem fs;
  const auto wal = OpenWal(fs, WalFsync::kNo, Clock::System(), 1, 0, 100'000);
  const auto bytes_after_one_more = [&] {
    AppendOne(*wal);
    REQUIRE(wal->Sync().ok());
    return fs.FileSize(PathOf(1)).value();
  };
  CHECK(bytes_after_one_more() < 1000);
  wal->SetMode(WalFsync::kAlways);
  CHECK(bytes_after_one_more() > 100'000);
  wal->SetMode(WalFsync::kNo);
  fs.SetCapacity(1);
  AppendOne(*wal, 1, 300'000);                 // more than the zeros give room for
  CHECK(wal->Commit().error().code() == StatusCode::kNoSpace);
  fs.SetCapacity(1 << 30);
  wal->SetMode(WalFsync::kAlways);
  Eventually([&] { return wal->health().ok(); });
  CHECK(bytes_after_one_more() < 310'000);
  CHECK(Replay(fs, kFromTheStart).sequences == UpTo(4));
}

TEST_CASE("a clean close is durable and ends in a marker that tells so", "[wal]") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories(kDir).ok());
  REQUIRE(fs.SyncDirectory("").ok());
  REQUIRE(fs.SyncDirectory("db").ok());
  const auto mode = GENERATE(WalFsync::kAlways, WalFsync::kEverySec, WalFsync::kNo);
  {
    const auto wal = OpenWal(fs, mode);
    AppendMany(*wal, 10);
    REQUIRE(wal->Close().ok());
  }
  fs.PowerCut(1, CutMode::kLost);
  CHECK(Replay(fs, kFromTheStart).sequences == UpTo(10));
  REQUIRE(fs.FlipBit(PathOf(1), 8 * 40).ok());
  CHECK(Replay(fs, kFromTheStart).status.code() == StatusCode::kCorruption);
}

TEST_CASE("starting and stopping without a write leaves no segment behind", "[wal]") {
  FaultFileSystem fs;
  for (int i = 0; i < 3; ++i) OpenWal(fs, WalFsync::kEverySec);
  CHECK(fs.ListDirectory(kDir)->empty());
}

TEST_CASE("rotation goes to the segment made ahead, and old segments can go once they are synced", "[wal]") {
  FaultFileSystem fs;
  const auto mode = GENERATE(WalFsync::kAlways, WalFsync::kEverySec, WalFsync::kNo);
  const auto wal = OpenWal(fs, mode, Clock::System(), 12);
  for (std::uint64_t segment = 12; segment < 16; ++segment) {
    CHECK(wal->current_segment() == segment);
    AppendMany(*wal, 5);
    if (segment % 2 == 0) REQUIRE(wal->Commit().has_value());
    Eventually([&] { return wal->RotationReady(); });
    CHECK(wal->Rotate() == segment + 1);
  }
  AppendOne(*wal);
  REQUIRE(wal->Commit().has_value());
  Eventually([&] { return wal->durable_sequence() >= 20; });   // segments left behind are synced in every mode
  Eventually([&] { return wal->written_sequence() == 21; });   // in `always` the WAL's thread writes
  CHECK(Replay(fs, kFromTheStart).sequences == UpTo(21));
  REQUIRE(wal->Sync().ok());
  CHECK(wal->durable_sequence() == 21);

  Eventually([&] { return wal->RotationReady(); });
  CHECK(wal->stats().segments == 6);
  REQUIRE(wal->RemoveSegmentsBelow(14).ok());
  CHECK(wal->stats().segments == 4);
  CHECK(!fs.Exists(PathOf(13)));
  CHECK(fs.Exists(PathOf(14)));
  REQUIRE(wal->RemoveSegmentsBelow(100).ok());
  CHECK(fs.Exists(PathOf(16)));
  CHECK(!fs.Exists(PathOf(15)));
}

TEST_CASE("everysec syncs once a second, and not at all while nothing is written", "[wal]") {
  FaultFileSystem fs;
  ManualClock clock;
  const auto wal = OpenWal(fs, WalFsync::kEverySec, clock);
  AppendOne(*wal);
  REQUIRE(*wal->Commit() == 0);
  CHECK(wal->durable_sequence() == 0);          // the clock stands: not a second since the start
  clock.Advance(std::chrono::seconds(1));
  Eventually([&] { return wal->durable_sequence() == 1; });
  clock.Advance(std::chrono::seconds(5));
  REQUIRE(*wal->Commit() == 0);
  CHECK(wal->stats().syncs == 1);
  AppendOne(*wal);
  REQUIRE(*wal->Commit() == 0);                 // after a long pause the first write is synced at once
  Eventually([&] { return wal->durable_sequence() == 2; });
  AppendOne(*wal);
  REQUIRE(*wal->Commit() == 0);
  CHECK(wal->durable_sequence() == 2);
  CHECK(wal->stats().syncs == 2);
}

TEST_CASE("mode no syncs nothing but what is left behind", "[wal]") {
  FaultFileSystem fs;
  ManualClock clock;
  const auto wal = OpenWal(fs, WalFsync::kNo, clock);
  AppendOne(*wal);
  REQUIRE(*wal->Commit() == 0);
  clock.Advance(std::chrono::seconds(100));
  AppendOne(*wal);
  REQUIRE(*wal->Commit() == 0);
  Eventually([&] { return wal->RotationReady(); });
  CHECK(wal->durable_sequence() == 0);
  wal->Rotate();
  AppendOne(*wal);
  REQUIRE(*wal->Commit() == 0);
  Eventually([&] { return wal->durable_sequence() == 2; });
  CHECK(wal->stats().syncs == 1);
  wal->SetMode(WalFsync::kAlways);              // who waits for older writes must not wait in vain
  Eventually([&] { return wal->durable_sequence() == 3; });
}

TEST_CASE("a failed sync ends writing for good, and everybody hears why", "[wal]") {
  FaultFileSystem fs;
  const auto mode = GENERATE(WalFsync::kAlways, WalFsync::kEverySec);
  WaitingListener listener;
  const auto wal = OpenWal(fs, mode);
  wal->AddListener(&listener);
  AppendOne(*wal);
  REQUIRE(wal->Sync().ok());
  fs.FailSyncs("wal_000001");
  AppendOne(*wal);
  REQUIRE(wal->Commit().has_value());
  CHECK(wal->Sync().code() == StatusCode::kIoError);
  CHECK(listener.WaitForError().code() == StatusCode::kIoError);
  fs.ClearFaults();
  const std::uint64_t syncs = wal->stats().syncs;
  CHECK(wal->health().code() == StatusCode::kIoError);
  CHECK(wal->Commit().error().code() == StatusCode::kIoError);
  CHECK(wal->Sync().code() == StatusCode::kIoError);
  CHECK(wal->durable_sequence() == 1);
  CHECK(wal->Close().code() == StatusCode::kIoError);
  CHECK(wal->stats().syncs == syncs);
  wal->RemoveListener(&listener);
}

TEST_CASE("a failed write is permanent, a torn one is cut off at recovery", "[wal]") {
  FaultFileSystem fs;
  const auto wal = OpenWal(fs, WalFsync::kEverySec);
  AppendOne(*wal);
  REQUIRE(wal->Commit().has_value());
  fs.FailCall(1, Fault::kShortWrite);                  // before there is anything to write: the log's thread may write, too
  AppendOne(*wal, 1, 100);
  CHECK(wal->Commit().error().code() == StatusCode::kIoError);
  CHECK(wal->Commit().error().code() == StatusCode::kIoError);
  CHECK(Replay(fs, kFromTheStart).sequences == UpTo(1));
}

TEST_CASE("a full disk refuses commits, loses nothing, and passes by itself", "[wal]") {
  FaultFileSystem fs;
  const auto mode = GENERATE(WalFsync::kAlways, WalFsync::kEverySec);
  ManualClock clock;
  WaitingListener listener;
  const auto wal = OpenWal(fs, mode, clock);
  wal->AddListener(&listener);
  AppendOne(*wal);
  REQUIRE(wal->Sync().ok());
  Eventually([&] { return wal->RotationReady(); });
  fs.SetCapacity(*fs.FileSize(PathOf(1)) + 250);   // room for one record, and a piece of another
  AppendOne(*wal, 1, 100);
  AppendOne(*wal, 1, 400);
  const Result<SequenceNumber> commit = wal->Commit();
  if (mode == WalFsync::kEverySec) CHECK(commit.error().code() == StatusCode::kNoSpace);
  CHECK(listener.WaitForError().code() == StatusCode::kNoSpace);
  CHECK(wal->Commit().error().code() == StatusCode::kNoSpace);
  CHECK(wal->Sync().code() == StatusCode::kNoSpace);
  AppendOne(*wal);
  // Whole records only; read_only, since a retry may be half way.
  const auto look = [&] { return Replay(fs, {.read_only = true, .flushed_sequence = 0, .flushed_sequence_known = true}); };
  CHECK(look().sequences.size() <= 2);
  Eventually([&] { return look().summary.dropped_bytes == 0; });      // what a retry has half written is cut back

  fs.SetCapacity(1 << 20);
  EventuallyInTime(clock, [&] { return wal->health().ok(); });
  listener.WaitForRecovery();
  CHECK(wal->health().ok());
  CHECK(wal->Commit().has_value());
  REQUIRE(wal->Sync().ok());
  CHECK(wal->durable_sequence() == 4);
  CHECK(Replay(fs, kFromTheStart).sequences == UpTo(4));
  wal->RemoveListener(&listener);
}

TEST_CASE("a log that finds the disk full gives up what has come into tables before that", "[wal]") {
  FaultFileSystem fs;
  ManualClock clock;
  const auto mode = GENERATE(WalFsync::kAlways, WalFsync::kEverySec);
  const auto wal = OpenWal(fs, mode, clock);
  Eventually([&] { return wal->RotationReady(); });
  fs.SetCapacity(2000);
  AppendOne(*wal, 1, 4000);                                // the WAL thread has no reason to write it before Rotate()
  REQUIRE(wal->RemoveSegmentsBelow(2).ok());               // not yet: nothing is the matter
  REQUIRE(wal->Rotate() == 2);
  IgnoreError(wal->Commit().status(), "the WAL thread may have found it full by now");
  EventuallyInTime(clock, [&] { return !fs.FileSize(PathOf(1)); });
  EventuallyInTime(clock, [&] { return wal->health().ok(); });
  AppendOne(*wal);
  REQUIRE(wal->Commit());
  REQUIRE(wal->Sync().ok());
  CHECK(wal->durable_sequence() == 2);
}

TEST_CASE("who was told to wait for a sync is not forgotten when the log is full for a moment", "[wal]") {
  FaultFileSystem fs;
  ManualClock clock;
  const auto wal = OpenWal(fs, WalFsync::kAlways, clock);
  AppendOne(*wal);
  REQUIRE(wal->Sync().ok());
  Eventually([&] { return wal->RotationReady(); });
  fs.SetCapacity(2000);
  AppendOne(*wal, 1, 4000);
  REQUIRE(wal->Rotate() == 2);                             // what is left behind is written and synced unasked
  Eventually([&] { return wal->full(); });
  AppendOne(*wal);
  REQUIRE(wal->Commit().error().code() == StatusCode::kNoSpace);
  fs.SetCapacity(1 << 20);
  EventuallyInTime(clock, [&] { return wal->durable_sequence() == 3; });      // though nobody asks again
}

TEST_CASE("what is written and answered is safe at a close, though there is no room for the rest", "[wal][crash]") {
  FaultFileSystem fs;
  ManualClock clock;
  REQUIRE(fs.CreateDirectories(kDir).ok());
  REQUIRE(fs.SyncDirectory("").ok());
  REQUIRE(fs.SyncDirectory("db").ok());
  const auto mode = GENERATE(WalFsync::kEverySec, WalFsync::kNo);
  auto wal = OpenWal(fs, mode, clock);
  Eventually([&] { return wal->RotationReady(); });
  AppendOne(*wal);
  REQUIRE(wal->Commit());
  fs.SetCapacity(*fs.FileSize(PathOf(1)) + 10);
  AppendOne(*wal, 1, 4000);
  REQUIRE(wal->Commit().error().code() == StatusCode::kNoSpace);
  CHECK(wal->Close().code() == StatusCode::kNoSpace);
  wal.reset();
  fs.PowerCut(1, CutMode::kLost);
  CHECK(Replay(fs).sequences == UpTo(1));
}

TEST_CASE("what becomes durable while the disk is full is no news of room", "[wal]") {
  FaultFileSystem fs;
  ManualClock clock;
  struct : CommitListener {
    void OnDurable(SequenceNumber durable, const Status& status) override {
      if (durable == 1 && status.ok()) wrong = true;
      if (durable == 1) told = true;
    }
    std::atomic<bool> wrong{false};
    std::atomic<bool> told{false};
  } listener;
  const auto wal = OpenWal(fs, WalFsync::kAlways, clock);
  wal->AddListener(&listener);
  Eventually([&] { return wal->RotationReady(); });
  fs.SetCapacity(2000);
  AppendOne(*wal, 1, 4000);
  REQUIRE(wal->Commit());                                  // somebody waits for it: nothing has been tried before
  REQUIRE(wal->Rotate() == 2);
  AppendOne(*wal, 1, 4000);
  Eventually([&] { return wal->full(); });
  REQUIRE(wal->RemoveSegmentsBelow(2).ok());
  EventuallyInTime(clock, [&] { return listener.told.load(); });
  CHECK_FALSE(listener.wrong);
  CHECK(wal->health().code() == StatusCode::kNoSpace);
  wal->RemoveListener(&listener);
}

TEST_CASE("a sync that fails for want of room does not pass, though a write that does would", "[wal]") {
  const bool left_behind = GENERATE(false, true);      // of the current segment, or of the one before it
  CAPTURE(left_behind);
  FaultFileSystem fs;
  ManualClock clock;
  const auto wal = OpenWal(fs, left_behind ? WalFsync::kNo : WalFsync::kAlways, clock);
  AppendOne(*wal);
  Eventually([&] { return wal->RotationReady(); });
  fs.FailCall(1, Fault::kNoSpaceSync);                 // once: there is room right after
  if (left_behind) wal->Rotate();
  IgnoreError(wal->Commit().status(), "the sync may have failed by now");
  Eventually([&] { return !wal->health().ok(); });
  CHECK(fs.fired() == 1);
  for (int retries = 0; retries < 20; ++retries) {     // a full disk would be tried again every 100 ms
    clock.Advance(std::chrono::seconds(1));
    AppendOne(*wal);
    CHECK(wal->Commit().status().code() == StatusCode::kIoError);
    CHECK(wal->Sync().code() == StatusCode::kIoError);
    CHECK(wal->health().code() == StatusCode::kIoError);
    CHECK(wal->health().message().find("No space left on device") != std::string::npos);
  }
  CHECK(wal->durable_sequence() == 0);
  CHECK_FALSE(wal->Close().ok());
}

TEST_CASE("the next segment is made when that becomes possible", "[wal]") {
  FaultFileSystem fs;
  ManualClock clock;
  REQUIRE(fs.CreateDirectories(kDir).ok());
  fs.FailCall(3, Fault::kNoSpace, FaultSpan::kFromThenOn);   // the directory, the first segment, and no more
  const auto wal = OpenWal(fs, WalFsync::kNo, clock);
  Eventually([&] { return fs.fired() > 0; });
  CHECK(!wal->RotationReady());
  fs.ClearFaults();
  EventuallyInTime(clock, [&] { return wal->RotationReady(); });
}

TEST_CASE("listeners hear how long each sync took, before what it made durable", "[wal]") {
  const auto mode = GENERATE(WalFsync::kAlways, WalFsync::kEverySec, WalFsync::kNo);
  class Listener final : public CommitListener {
   public:
    void OnDurable(SequenceNumber durable, const Status&) override { heard_before = durable == 1 ? syncs.load() : heard_before.load(); }
    void OnSynced(std::chrono::microseconds took) override { syncs += took.count() >= 0 ? 1 : 0; }
    std::atomic<int> syncs{0}, heard_before{-1};
  } listener;
  FaultFileSystem fs;
  const auto wal = OpenWal(fs, mode);
  wal->AddListener(&listener);
  AppendOne(*wal);
  REQUIRE(wal->Sync().ok());
  Eventually([&] { return listener.heard_before == 1; });
  CHECK(listener.syncs == 1);
  wal->RemoveListener(&listener);
}

TEST_CASE("a listener that was removed is not called again", "[wal]") {
  FaultFileSystem fs;
  WaitingListener listener;
  const auto wal = OpenWal(fs, WalFsync::kAlways);
  wal->AddListener(&listener);
  AppendOne(*wal);
  REQUIRE(wal->Commit().has_value());
  listener.WaitForDurable(1);
  wal->RemoveListener(&listener);
  const int calls = listener.calls();
  AppendOne(*wal);
  REQUIRE(wal->Sync().ok());
  CHECK(listener.calls() == calls);
}

TEST_CASE("committers share syncs", "[wal]") {
  FaultFileSystem fs;
  const auto wal = OpenWal(fs, WalFsync::kAlways);
  constexpr int kThreads = 4, kRounds = 200;
  Mutex write_mutex;
  const auto work = [&] {
    for (int i = 0; i < kRounds; ++i) {
      SequenceNumber mine = 0;
      {
        MutexLock lock(write_mutex);
        AppendOne(*wal);
        mine = wal->appended_sequence();
      }
      if (!wal->Commit().has_value()) return;
      Eventually([&] { return wal->durable_sequence() >= mine; });
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  CHECK(wal->durable_sequence() == kThreads * kRounds);
  CHECK(wal->stats().syncs <= kThreads * kRounds);
  CHECK(Replay(fs, kFromTheStart).sequences == UpTo(kThreads * kRounds));
}

TEST_CASE("many appends before one commit are one sync", "[wal]") {
  FaultFileSystem fs;
  const auto wal = OpenWal(fs, WalFsync::kAlways);
  AppendMany(*wal, 1000);
  REQUIRE(*wal->Commit() == 1000);
  Eventually([&] { return wal->durable_sequence() == 1000; });
  CHECK(wal->stats().syncs == 1);
}

TEST_CASE("a commit that may wait names what to wait for and begins no sync; the next commit does", "[wal]") {
  FaultFileSystem fs;
  const auto wal = OpenWal(fs, WalFsync::kAlways);
  Eventually([&] { return wal->RotationReady(); });          // its thread has been round
  for (SequenceNumber first = 1; first <= 3; ++first) {
    AppendOne(*wal);
    CHECK(wal->CommitSoon() == first);
  }
  for (int look = 0; look < 1000; ++look) std::this_thread::yield();
  CHECK(wal->durable_sequence() == 0);
  CHECK(wal->stats().syncs == 0);
  CHECK(wal->Commit() == 3);
  Eventually([&] { return wal->durable_sequence() == 3; });
  CHECK(wal->stats().syncs == 1);
  CHECK(wal->CommitSoon() == 0);
}

TEST_CASE("appenders, committers, rotation and mode changes at once keep every record", "[wal]") {
  FaultFileSystem fs;
  const auto wal = OpenWal(fs, WalFsync::kEverySec);
  constexpr int kThreads = 4, kRounds = 500;
  Mutex write_mutex;
  const auto work = [&](int number) {
    for (int i = 0; i < kRounds; ++i) {
      {
        MutexLock lock(write_mutex);
        AppendOne(*wal, 1 + static_cast<std::uint32_t>(i % 3));
        if (i % 50 == 0 && wal->RotationReady()) wal->Rotate();
      }
      if (!wal->Commit().has_value()) return;
      if (number == 0 && i % 100 == 0) wal->SetMode(i % 200 == 0 ? WalFsync::kAlways : WalFsync::kEverySec);
      if (i % 125 == 0 && !wal->Sync().ok()) return;
      static_cast<void>(wal->stats());
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  REQUIRE(wal->Sync().ok());
  const SequenceNumber last = wal->appended_sequence();
  CHECK(wal->durable_sequence() == last);
  CHECK(Replay(fs, kFromTheStart).sequences == UpTo(last));
}

}  // namespace lsmkv::wal_test
