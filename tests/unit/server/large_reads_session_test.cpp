// Sessions whose replies are too large to be in memory together (large_reads.h), over a real loop.
#include <string>

#include "loop_fixture.h"
#include "server/client_memory.h"

using namespace lsmkv;

namespace {

class LargeReplies : public LoopFixture {
 public:
  static constexpr std::size_t kBytes = Engine::kLargeBatchBytes + 1;
  static constexpr std::uint64_t kLimit = kBytes + 1000;       // for one at a time

  LargeReplies() {
    const std::string value(kBytes, 'v');
    bystander.SendAll("*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n$" + std::to_string(kBytes) + "\r\n" + value + "\r\n");
    REQUIRE(bystander.Receive(5) == "+OK\r\n");
    reply = "$" + std::to_string(kBytes) + "\r\n" + value + "\r\n";
    client_memory.large_reads().SetLimit(kLimit);
  }
  /// One that has asked, has been answered, and takes nothing of it.
  Client Silent() {
    Client client = Connect();
    client.Send("GET large\r\n");
    while (!client.HasAnswer()) std::this_thread::yield();
    return client;
  }
  /// One that has asked and waits.
  Client Waiting(std::uint64_t others = 0) {
    Client client = Connect();
    client.Send("GET large\r\n");
    while (client_memory.large_reads().waiting() <= others) std::this_thread::yield();
    return client;
  }
  void Pass(std::chrono::microseconds time) {
    clock.Pass(time);
    for (int tick = 0; tick < 3; ++tick) {
      bystander.Send("PING\r\n");
      REQUIRE(bystander.Receive(7) == "+PONG\r\n");
    }
  }

  Client bystander = Connect();
  std::string reply;
};

}  // namespace

TEST_CASE_METHOD(LargeReplies, "a large read waits for the memory of another, and the others are served", "[loop][large_reads]") {
  Client first = Silent(), second = Waiting();
  bystander.Send("PING\r\n");
  CHECK(bystander.Receive(7) == "+PONG\r\n");
  CHECK_FALSE(second.HasAnswer());
  CHECK(engine.stalls == 0);                       // it is no writer
  CHECK(first.Receive(reply.size()) == reply);
  CHECK(second.Receive(reply.size()) == reply);
  bystander.Send("PING\r\n");
  CHECK(bystander.Receive(7) == "+PONG\r\n");
  CHECK(loop.stats().large_reads_put_off.Get() >= 1);
  while (client_memory.large_reads().held_bytes() > 0) std::this_thread::yield();
}

TEST_CASE_METHOD(LargeReplies, "who leaves, in whatever state, keeps nobody waiting", "[loop][large_reads]") {
  const bool holder_leaves = GENERATE(false, true);
  auto first = std::make_optional(Silent());
  auto second = std::make_optional(Waiting());
  Client third = Waiting(1);
  holder_leaves ? first.reset() : second.reset();
  if (!holder_leaves) {
    while (client_memory.large_reads().waiting() > 1) std::this_thread::yield();
    CHECK(first->Receive(reply.size()) == reply);
  } else {
    CHECK(second->Receive(reply.size()) == reply);
  }
  CHECK(third.Receive(reply.size()) == reply);
}

TEST_CASE_METHOD(LargeReplies, "who takes nothing of a large reply for a long time is closed, but only when others wait", "[loop][large_reads]") {
  clock.Hold();
  Client silent = Silent();
  Pass(LargeReads::kPatience * 2);
  Pass(2s);
  CHECK(loop.stats().output_buffer_disconnects.Get() == 0);
  Client waiting = Waiting();
  while (loop.stats().output_buffer_disconnects.Get() == 0) Pass(1s);
  CHECK(waiting.Receive(reply.size()) == reply);
  while (clients > 2) std::this_thread::yield();
}

TEST_CASE_METHOD(LargeReplies, "a large value that a short command makes waits for memory, too", "[loop][large_reads]") {
  Client holder = Silent();
  Client maker = Connect();
  maker.Send("SETRANGE made " + std::to_string(kBytes) + " x\r\n");
  while (client_memory.large_reads().waiting() == 0) std::this_thread::yield();
  CHECK_FALSE(maker.HasAnswer());
  CHECK(holder.Receive(reply.size()) == reply);
  const std::string length = ":" + std::to_string(kBytes + 1) + "\r\n";
  CHECK(maker.Receive(length.size()) == length);
  while (client_memory.large_reads().held_bytes() > 0) std::this_thread::yield();
}

TEST_CASE_METHOD(LargeReplies, "who takes nothing of another kind of large reply is closed, but only when all together hold too much", "[loop][large_reads]") {
  clock.Hold();
  const std::string text(2 * kBytes, 'e');
  Client silent = Connect();
  silent.SendAll("*2\r\n$4\r\nECHO\r\n$" + std::to_string(text.size()) + "\r\n" + text + "\r\n");
  while (!silent.HasAnswer()) std::this_thread::yield();
  Pass(LargeReads::kPatience * 2);
  Pass(2s);
  CHECK(loop.stats().output_buffer_disconnects.Get() == 0);
  client_memory.SetLimit(3 * kBytes);
  Pass(2s);
  CHECK(loop.stats().output_buffer_disconnects.Get() == 1);
  while (clients > 1) std::this_thread::yield();
}

TEST_CASE_METHOD(LargeReplies, "a slow reader is not closed, and others do not wait for it for ever", "[loop][large_reads]") {
  clock.Hold();
  Client slow = Silent();
  Client waiting = Waiting();
  const auto start = clock.Monotonic();
  std::string got;
  while (!waiting.HasAnswer()) {
    const bool patient = clock.Monotonic() < start + LargeReads::kPatience + 1s;
    if (patient) got += slow.Receive(100'000);
    Pass(patient ? 1s : 0s);
  }
  CHECK(clock.Monotonic() >= start + LargeReads::kPatience);
  CHECK(waiting.Receive(reply.size()) == reply);
  got += slow.Receive(reply.size() - got.size());
  CHECK(got == reply);
  CHECK(loop.stats().output_buffer_disconnects.Get() == 0);
}

TEST_CASE_METHOD(LargeReplies, "a reply that is not sent holds nothing", "[loop][large_reads]") {
  Client off = Connect();
  off.Send("CLIENT REPLY OFF\r\nGET large\r\nGET large\r\nSET done 1\r\n");
  std::string done;
  while (done != "$1\r\n1\r\n") {
    bystander.Send("GET done\r\n");
    done = bystander.Receive(4);
    done += bystander.Receive(done == "$-1\r" ? 1 : 3);
  }
  CHECK(client_memory.large_reads().held_bytes() == 0);
  Client client = Connect();
  client.Send("GET large\r\n");
  CHECK(client.Receive(reply.size()) == reply);
}

TEST_CASE_METHOD(LargeReplies, "who waits keeps its place when its earlier replies leave", "[loop][large_reads]") {
  Client first = Silent();
  engine.always = true;
  Client second = Connect();
  second.Send("SET small 1\r\nGET large\r\n");           // the first reply is held until it is durable
  while (client_memory.large_reads().waiting() == 0) std::this_thread::yield();
  Client third = Waiting(1);
  engine.always = false;
  engine.MakeDurable();
  CHECK(second.Receive(5) == "+OK\r\n");
  bystander.Send("PING\r\n");
  CHECK(bystander.Receive(7) == "+PONG\r\n");
  CHECK(client_memory.large_reads().waiting() == 2);
  CHECK(first.Receive(reply.size()) == reply);
  CHECK(second.Receive(reply.size()) == reply);
  CHECK(third.Receive(reply.size()) == reply);
}

TEST_CASE_METHOD(LargeReplies, "several large values of one command are one reply", "[loop][large_reads]") {
  Client first = Silent();
  Client second = Connect();
  second.Send("MGET large large large\r\n");
  while (client_memory.large_reads().waiting() == 0) std::this_thread::yield();
  CHECK(first.Receive(reply.size()) == reply);
  CHECK(second.Receive(4 + 3 * reply.size()) == "*3\r\n" + reply + reply + reply);
}

// A reader's, and those of commands that write, which have written nothing when they are made to wait.
TEST_CASE_METHOD(LargeReplies, "whatever replies with a large value waits for room, and happens once", "[loop][large_reads]") {
  struct Case {
    const char* commands;
    std::string reply;
    const char* left;       // what there is of `count` and `large` afterwards
  };
  const std::string queued = "+OK\r\n+QUEUED\r\n+QUEUED\r\n";
  const std::string all = reply;
  const auto c = GENERATE_COPY(values<Case>({
      {"MULTI\r\nGET large\r\nGET large\r\nEXEC\r\n", queued + "*2\r\n" + all + all, "*2\r\n:0\r\n:1\r\n"},
      {"MULTI\r\nINCR count\r\nGET large\r\nEXEC\r\n", queued + "*2\r\n:1\r\n" + all, "*2\r\n:1\r\n:1\r\n"},
      {"MULTI\r\nINCR count\r\nGETDEL large\r\nEXEC\r\n", queued + "*2\r\n:1\r\n" + all, "*2\r\n:1\r\n:0\r\n"},
      {"GETDEL large\r\n", all, "*2\r\n:0\r\n:0\r\n"},
      {"GETSET large new\r\n", all, "*2\r\n:0\r\n:1\r\n"},
  }));
  CAPTURE(c.commands);
  Client holder = Silent();
  Client client = Connect();
  client.Send(c.commands);
  while (client_memory.large_reads().waiting() == 0) std::this_thread::yield();
  const std::string_view before = "*2\r\n:0\r\n:1\r\n";
  bystander.Send("MULTI\r\nEXISTS count\r\nEXISTS large\r\nEXEC\r\n");      // nothing is locked while it waits
  CHECK(bystander.Receive(queued.size() + before.size()) == queued + std::string(before));
  CHECK(engine.stalls == 0);
  CHECK(holder.Receive(reply.size()) == reply);
  CHECK(client.Receive(c.reply.size()) == c.reply);
  bystander.Send("MULTI\r\nEXISTS count\r\nEXISTS large\r\nEXEC\r\n");
  CHECK(bystander.Receive(queued.size() + before.size()) == queued + c.left);
  bystander.Send("GET count\r\n");
  const std::string count = c.left[5] == '1' ? "$1\r\n1\r\n" : "$-1\r\n";
  CHECK(bystander.Receive(count.size()) == count);
  while (client_memory.large_reads().held_bytes() > 0) std::this_thread::yield();
}

TEST_CASE_METHOD(LargeReplies, "many values that are not large are one large reply", "[loop][large_reads]") {
  const std::string value(kBytes / 3, 'm');
  for (const char* key : {"m1", "m2", "m3", "m4"}) {
    bystander.SendAll("*3\r\n$3\r\nSET\r\n$2\r\n" + std::string(key) + "\r\n$" + std::to_string(value.size()) + "\r\n" + value + "\r\n");
    REQUIRE(bystander.Receive(5) == "+OK\r\n");
  }
  const std::string one = "$" + std::to_string(value.size()) + "\r\n" + value + "\r\n";
  Client first = Silent();
  Client second = Connect();
  second.Send("MGET m1 m2 m3 m4\r\n");
  while (client_memory.large_reads().waiting() == 0) std::this_thread::yield();
  CHECK(first.Receive(reply.size()) == reply);
  CHECK(second.Receive(4 + 4 * one.size()) == "*4\r\n" + one + one + one + one);
}

TEST_CASE_METHOD(LargeReplies, "a transaction holds what it replies with, not all that it has looked at", "[loop][large_reads]") {
  Client client = Connect();
  std::string commands = "MULTI\r\n";
  std::string replies = "+OK\r\n";
  constexpr std::size_t kRanges = 200;                          // of far more than one reply may hold
  static_assert(kRanges * kBytes > LargeReads::kLargestReply);
  for (std::size_t i = 0; i < kRanges; ++i) {
    commands += "GETRANGE large 0 0\r\n";
    replies += "+QUEUED\r\n";
  }
  client.SendAll(commands + "EXEC\r\n");
  replies += "*" + std::to_string(kRanges) + "\r\n";
  for (std::size_t i = 0; i < kRanges; ++i) replies += "$1\r\nv\r\n";
  CHECK(client.Receive(replies.size()) == replies);
}
