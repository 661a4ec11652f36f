#include "server/loop.h"

#include <array>

#include "loop_fixture.h"

using namespace lsmkv;

namespace {

constexpr std::string_view kRefused = "-MISCONF the write-ahead log cannot take the write, so it is not safe: ";

}  // namespace

TEST_CASE_METHOD(LoopFixture, "a pipeline is one commit and its replies come in order", "[loop]") {
  Client client = Connect();
  client.Send("PING\r\n");
  client.Receive(7);
  const unsigned before = engine.commits;
  client.Send("SET a 1\r\nINCR a\r\nGET a\r\n");
  CHECK(client.Receive(5 + 4 + 7) == "+OK\r\n:2\r\n$1\r\n2\r\n");
  CHECK(engine.commits == before + 1);
}

TEST_CASE_METHOD(LoopFixture, "no reply leaves before what it reveals is durable", "[loop]") {
  Client writer = Connect(), reader = Connect();
  engine.always = true;
  writer.Send("SET a 1\r\n");
  reader.Send("GET a\r\n");
  while (engine.commits < 2 && loop.stats().commands.Get() < 2) std::this_thread::yield();
  while (loop.stats().commands.Get() < 2) std::this_thread::yield();
  CHECK_FALSE(writer.HasAnswer());
  CHECK_FALSE(reader.HasAnswer());
  engine.MakeDurable();
  CHECK(writer.Receive(5) == "+OK\r\n");
  reader.Receive(5);
}

TEST_CASE_METHOD(LoopFixture, "a sync that is put off for what comes next begins when nothing comes, and soon when it does not end", "[loop]") {
  Client writer = Connect(), chatterer = Connect();
  engine.always = true;
  const bool others_go_on = GENERATE(false, true);
  writer.Send("SET a 1\r\n");
  while (engine.sync_wanted < 1) {
    if (others_go_on) chatterer.SendSome("PING\r\n");         // its replies are held too: it only keeps the loop from being idle
    std::this_thread::yield();
  }
  CHECK_FALSE(writer.HasAnswer());
  engine.MakeDurable();
  CHECK(writer.Receive(5) == "+OK\r\n");
}

TEST_CASE_METHOD(LoopFixture, "a sync that fails turns every held reply into one error, and reads go on", "[loop]") {
  Client client = Connect();
  engine.always = true;
  client.Send("SET a 1\r\nSET b 2\r\nGET a\r\n");
  while (loop.stats().commands.Get() < 3) std::this_thread::yield();
  engine.FailSync();
  for (int i = 0; i < 3; ++i) CHECK(client.ReceiveLine() == std::string(kRefused) + "fsync: the disk is gone\r\n");
  engine.always = false;
  client.Send("PING\r\n");
  CHECK(client.Receive(7) == "+PONG\r\n");
}

TEST_CASE_METHOD(LoopFixture, "a commit that fails refuses the writes, and later reads go on", "[loop]") {
  Client client = Connect();
  engine.commit_fails = true;
  client.Send("SET a 1\r\n");
  CHECK(client.ReceiveLine() == std::string(kRefused) + "wal_000001.log: no space left\r\n");
  client.Send("GET a\r\n");
  CHECK(client.Receive(7) == "$1\r\n1\r\n");
  client.Send("SET a 2\r\n");
  CHECK(client.ReceiveLine().starts_with("-MISCONF "));
  engine.commit_fails = false;   // there is room again
  client.Send("SET a 3\r\n");
  CHECK(client.Receive(5) == "+OK\r\n");
}

TEST_CASE_METHOD(LoopFixture, "a writer that must wait is parked, and the others are served", "[loop]") {
  const auto kind = GENERATE(Admission::Kind::kDelay, Admission::Kind::kStop);
  Client writer = Connect(), reader = Connect();
  engine.admission = kind;
  writer.Send("SET a 1\r\nPING\r\n");
  if (kind == Admission::Kind::kStop) {
    while (!engine.somebody_waits()) std::this_thread::yield();
    reader.Send("PING\r\n");
    CHECK(reader.Receive(7) == "+PONG\r\n");
    CHECK_FALSE(writer.HasAnswer());
    engine.MakeWritable();
  }
  CHECK(writer.Receive(12) == "+OK\r\n+PONG\r\n");
  CHECK(engine.stalls == 1);
}

TEST_CASE_METHOD(LoopFixture, "a parked writer whose client leaves never writes", "[loop]") {
  Client reader = Connect();
  {
    Client writer = Connect();
    engine.admission = Admission::Kind::kStop;
    writer.Send("SET a 1\r\n");
    while (!engine.somebody_waits()) std::this_thread::yield();
  }
  while (clients > 1) std::this_thread::yield();
  engine.MakeWritable();
  reader.Send("GET a\r\n");
  CHECK(reader.Receive(5) == "$-1\r\n");
}

TEST_CASE_METHOD(LoopFixture, "a client that has said all it had to say still gets its replies", "[loop]") {
  Client writer = Connect();
  engine.admission = Admission::Kind::kStop;
  writer.Send("SET a 1\r\nGET a\r\n");
  while (!engine.somebody_waits()) std::this_thread::yield();
  writer.HalfClose();
  Client other = Connect();      // the loop has met the half close once it has answered somebody else, twice
  for (int i = 0; i < 2; ++i) {
    other.Send("PING\r\n");
    REQUIRE(other.Receive(7) == "+PONG\r\n");
  }
  engine.MakeWritable();
  CHECK(writer.Receive(5 + 7) == "+OK\r\n$1\r\n1\r\n");
  CHECK(writer.IsClosedByServer());
}

TEST_CASE_METHOD(LoopFixture, "long upkeep does not hold up short work", "[loop]") {
  Client one = Connect(), two = Connect(), operator_client = Connect();
  engine.hold_compactions = true;
  one.Send("LSM COMPACT\r\n");
  two.Send("LSM COMPACT\r\n");
  while (engine.compactions == 0) std::this_thread::yield();
  operator_client.Send("SAVE\r\n");
  CHECK(operator_client.Receive(5) == "+OK\r\n");
  engine.hold_compactions = false;
  CHECK(one.Receive(5) == "+OK\r\n");
  CHECK(two.Receive(5) == "+OK\r\n");
}

TEST_CASE_METHOD(LoopFixture, "commands that would wait for the disk go to the pool and keep their place", "[loop]") {
  Client client = Connect();
  engine.map().would_block_one_in = 2;
  std::string sent, want;
  for (int i = 0; i < 500; ++i) {
    const std::string n = std::to_string(i);
    sent += "SET k" + n + " " + n + "\r\nGET k" + n + "\r\nECHO " + n + "\r\n";
    const std::string bulk = "$" + std::to_string(n.size()) + "\r\n" + n + "\r\n";
    want += "+OK\r\n" + bulk + bulk;
  }
  client.Send(sent);
  CHECK(client.Receive(want.size()) == want);
  CHECK(loop.stats().suspensions.Get() > 0);
}

TEST_CASE_METHOD(LoopFixture, "a wall clock that jumps closes no idle client and ends no pause later", "[loop]") {
  const auto jump = GENERATE(std::chrono::milliseconds(-3h), std::chrono::milliseconds(3h));
  CAPTURE(jump.count());
  REQUIRE(config.Set(std::array{Config::Assignment{"timeout", "60"}}));
  clock.Hold();
  Client idle = Connect(), other = Connect();
  const auto pass = [&](std::chrono::microseconds time) {   // and the loop sees it
    clock.Pass(time);
    other.Send("PING\r\n");
    CHECK(other.Receive(7) == "+PONG\r\n");
  };
  idle.Send("PING\r\n");
  CHECK(idle.Receive(7) == "+PONG\r\n");
  clock.MoveWall(jump);
  pass(10s);
  CHECK_FALSE(idle.HasAnswer());

  pause.Pause(clock.Monotonic(), 100, PauseMode::kWrite);
  idle.Send("SET a 1\r\nPING\r\n");
  pass(99ms);
  CHECK_FALSE(idle.HasAnswer());
  clock.MoveWall(jump);
  pass(1ms);
  CHECK(idle.Receive(12) == "+OK\r\n+PONG\r\n");

  for (int i = 0; i < 7; ++i) pass(10s);
  CHECK(idle.IsClosedByServer());
}

TEST_CASE_METHOD(LoopFixture, "a wall clock that jumps closes no client before its time over the soft limit", "[loop]") {
  const auto jump = GENERATE(std::chrono::milliseconds(-3h), std::chrono::milliseconds(3h));
  CAPTURE(jump.count());
  REQUIRE(config.Set(std::array{Config::Assignment{"client-output-buffer-limit", "normal 0 100kb 60"}}));
  clock.Hold();
  Client slow = Connect(), other = Connect();
  const auto pass = [&](std::chrono::microseconds time) {
    clock.Pass(time);
    other.Send("PING\r\n");
    CHECK(other.Receive(7) == "+PONG\r\n");
  };
  const std::string word(100'000, 'x');
  for (int i = 0; i < 8; ++i) slow.SendAll("*2\r\n$4\r\nECHO\r\n$100000\r\n" + word + "\r\n");
  const auto counted = [this] { return loop.stats().output_buffer_disconnects.Get(); };
  pass(2s);
  clock.MoveWall(jump);
  pass(2s);
  pass(2s);
  CHECK(counted() == 0);
  pass(60s);
  pass(2s);
  CHECK(counted() == 1);
}

TEST_CASE_METHOD(LoopFixture, "stopping answers what was read and then closes", "[loop]") {
  Client client = Connect();
  engine.admission = Admission::Kind::kStop;
  client.Send("SET a 1\r\nPING\r\n");
  while (!engine.somebody_waits()) std::this_thread::yield();
  std::atomic<bool> done{false};
  loop.Stop(Clock::System().Monotonic() + 20s, [&done] { done = true; });
  engine.MakeWritable();
  CHECK(client.Receive(12) == "+OK\r\n+PONG\r\n");
  loop.Join();
  CHECK(done);
  CHECK(clients == 0);
}
