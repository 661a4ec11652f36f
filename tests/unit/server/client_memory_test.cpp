#include "server/client_memory.h"

#include <algorithm>
#include <vector>

#include "loop_fixture.h"

using namespace lsmkv;

namespace {

std::string SetCommand(const std::string& key, std::size_t value_bytes) {
  return "*3\r\n$3\r\nSET\r\n$" + std::to_string(key.size()) + "\r\n" + key + "\r\n$" + std::to_string(value_bytes) + "\r\n" +
         std::string(value_bytes, 'v') + "\r\n";
}

std::string GetCommands(const std::string& key, int count) {
  std::string commands;
  for (int i = 0; i < count; ++i) commands += "GET " + key + "\r\n";
  return commands;
}

struct Writer {
  Client client;
  std::string bytes;
  std::size_t sent = 0;
  bool Send(std::size_t up_to) {   // true: all of it has been taken
    const std::size_t end = std::min(up_to, bytes.size());
    if (sent < end) sent += client.SendSome(std::string_view(bytes).substr(sent, end - sent));
    return sent == end;
  }
};

constexpr std::uint64_t kLimit = 1 << 20;

}  // namespace

TEST_CASE("the fair share is a quarter of the limit divided by the clients, and never nothing", "[client-memory]") {
  const ClientMemory memory(1 << 20);
  CHECK(memory.FairShare(0) == 1 << 18);
  CHECK(memory.FairShare(1) == 1 << 18);
  CHECK(memory.FairShare(8) == 1 << 15);
  CHECK(memory.FairShare(1'000'000) == ClientMemory::kLeastShareBytes);
}

TEST_CASE("what is counted in is counted out", "[client-memory]") {
  ClientMemory memory(100);
  memory.Change(0, 51);
  CHECK(memory.tight());
  memory.Change(51, 45);
  CHECK_FALSE(memory.tight());
  CHECK_FALSE(memory.relieved());
  memory.Change(45, 36);
  CHECK(memory.relieved());
  memory.Change(36, 0);
  CHECK(memory.bytes() == 0);
}

TEST_CASE_METHOD(LoopFixture, "many clients in the middle of large arguments all get done, within the limit", "[client-memory]") {
  constexpr std::size_t kClients = 40, kValueBytes = 400 << 10;
  client_memory.SetLimit(kLimit);
  std::vector<Writer> writers;
  for (std::size_t i = 0; i < kClients; ++i) writers.push_back({Connect(), SetCommand("k" + std::to_string(i), kValueBytes)});
  std::uint64_t most = 0;
  // Half of everything first, so that all of them are in the middle.
  std::size_t done = 0, answered = 0;
  for (const std::size_t up_to : {kValueBytes / 2, kValueBytes * 2}) {
    const auto deadline = std::chrono::steady_clock::now() + 120s;
    for (int idle = 0; done < kClients && idle < 200;) {      // the first half need not be taken whole: sockets fill up
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      const auto before = loop.stats().net_input_bytes.Get();
      done = static_cast<std::size_t>(std::ranges::count_if(writers, [up_to](Writer& writer) { return writer.Send(up_to); }));
      most = std::max(most, client_memory.bytes());
      const bool moved = loop.stats().net_input_bytes.Get() != before;
      idle = moved || up_to > kValueBytes ? 0 : idle + 1;
      std::this_thread::yield();
    }
    done = 0;
  }
  for (Writer& writer : writers) answered += writer.client.Receive(5) == "+OK\r\n" ? 1 : 0;
  CHECK(answered == kClients);
  CHECK(loop.stats().memory_holds.Get() > 0);
  CHECK(most < kLimit + kValueBytes * 2);   // the favoured one holds a whole argument, in a buffer that grows by half
}

TEST_CASE_METHOD(LoopFixture, "clients that do not read cannot make the server hold more than the limit", "[client-memory]") {
  constexpr std::size_t kClients = 20, kValueBytes = 30 << 10;
  constexpr int kGets = 40;
  Client writer = Connect();
  writer.Send(SetCommand("k", kValueBytes));
  REQUIRE(writer.Receive(5) == "+OK\r\n");
  client_memory.SetLimit(kLimit);
  std::vector<Client> readers;
  for (std::size_t i = 0; i < kClients; ++i) readers.push_back(Connect());
  std::uint64_t most = 0;
  for (Client& reader : readers) reader.Send(GetCommands("k", kGets));
  // Until nothing moves any more: each session has met its bound.
  for (int still = 0; still < 50;) {
    const auto before = loop.stats().commands.Get();
    writer.Send("PING\r\n");
    REQUIRE(writer.Receive(7) == "+PONG\r\n");      // whoever reads is served meanwhile
    most = std::max(most, client_memory.bytes());
    still = loop.stats().commands.Get() == before + 1 ? still + 1 : 0;
  }
  CHECK(most < kLimit + kClients * kValueBytes);   // each has a reply that was running when memory became tight
  const std::string value = "$" + std::to_string(kValueBytes) + "\r\n" + std::string(kValueBytes, 'v') + "\r\n";
  for (Client& reader : readers) {
    bool right = true;
    for (int i = 0; i < kGets; ++i) right = right && reader.Receive(value.size()) == value;
    CHECK(right);
  }
}

TEST_CASE_METHOD(LoopFixture, "a client that stops in the middle of its argument does not hold the others up", "[client-memory]") {
  constexpr std::size_t kValueBytes = 300 << 10;
  client_memory.SetLimit(64 << 10);
  Writer silent{Connect(), SetCommand("silent", kValueBytes)};
  while (!silent.Send(100 << 10) || client_memory.bytes() < (64 << 10)) std::this_thread::yield();
  Writer other{Connect(), SetCommand("other", kValueBytes)};
  while (!other.Send(SIZE_MAX)) std::this_thread::yield();
  CHECK(other.client.Receive(5) == "+OK\r\n");
  while (!silent.Send(SIZE_MAX)) std::this_thread::yield();
  CHECK(silent.client.Receive(5) == "+OK\r\n");
}

// With large commands (Engine::kLargeBatchBytes), of which one is favoured at a time, and time that passes in steps.
class LargeCommands : public LoopFixture {
 public:
  static constexpr std::uint64_t kSilentId = 2;      // the second to connect
  static constexpr std::chrono::microseconds kStep = 10ms;
  LargeCommands() {
    client_memory.SetLimit(kLimit);
    clock.Hold();
  }

  /// `bytes` of a large command have arrived, and it is the one that may go on.
  void BecomeFavoured(Writer& writer, std::size_t bytes) {
    while (!writer.Send(bytes) || loop.stats().net_input_bytes.Get() < bytes || !client_memory.IsFavouredLarge(kSilentId)) Pass(kStep);
  }
  /// The loop's own work and each session's have been done with the new time.
  void Pass(std::chrono::microseconds time) {
    clock.Pass(time);
    for (int tick = 0; tick < 3; ++tick) {
      bystander.Send("PING\r\n");
      REQUIRE(bystander.Receive(7) == "+PONG\r\n");
    }
  }
  /// The rest of its command, and the answer.
  std::string Finish(Writer& writer) {
    while (!writer.Send(SIZE_MAX) || !writer.client.HasAnswer()) Pass(kStep);
    return writer.client.Receive(5);
  }
  std::uint64_t closed() { return loop.stats().query_buffer_disconnects.Get(); }

  Client bystander = Connect();
};

TEST_CASE_METHOD(LargeCommands, "who holds more than all may, is silent for seconds and lets others wait, is closed", "[client-memory]") {
  Writer silent{Connect(), SetCommand("silent", 8 << 20)};
  BecomeFavoured(silent, 2 << 20);
  Pass(60s);
  CHECK(closed() == 0);                               // nobody waits: it may be as slow as it likes
  const auto before = loop.stats().net_input_bytes.Get();
  REQUIRE(silent.Send((2 << 20) + 1));
  while (loop.stats().net_input_bytes.Get() < before + 1) std::this_thread::yield();
  Writer other{Connect(), SetCommand("other", GENERATE(300u << 10, 8u << 20))};      // of its loop, large or not
  std::chrono::microseconds silence{0};
  for (; !client_memory.IsInTheWay(kSilentId); silence += kStep) {
    REQUIRE_FALSE(other.Send(SIZE_MAX));
    Pass(kStep);
    REQUIRE(silence < 2s);
  }
  clock.MoveWall(1h);                           // nobody is silent for longer because of this
  Pass(2900ms - silence);
  Pass(0ms);
  CHECK(closed() == 0);
  Pass(1s);                                           // sessions are looked at once a second
  CHECK(silent.client.IsClosedByServer());
  CHECK(closed() == 1);
  CHECK(Finish(other) == "+OK\r\n");
}

TEST_CASE_METHOD(LargeCommands, "who holds less lets others pass, and is not closed", "[client-memory]") {
  Writer silent{Connect(), SetCommand("silent", 8 << 20)};
  for (std::size_t bytes = 0; !client_memory.IsFavouredLarge(kSilentId);) {
    silent.Send(bytes += 16 << 10);
    Pass(kStep);
  }
  REQUIRE(client_memory.bytes() < kLimit);
  Writer other{Connect(), SetCommand("other", 8 << 20)};
  CHECK(Finish(other) == "+OK\r\n");
  CHECK(Finish(silent) == "+OK\r\n");
  CHECK(closed() == 0);
}

TEST_CASE_METHOD(LoopFixture, "what all sessions hold is nothing when they have gone", "[client-memory]") {
  clock.Hold();                                        // or what is idle for seconds is given back
  {
    std::vector<Client> some;
    for (int i = 0; i < 10; ++i) some.push_back(Connect());
    for (Client& client : some) client.Send(SetCommand("k", 20'000));
    for (Client& client : some) REQUIRE(client.Receive(5) == "+OK\r\n");
    CHECK(client_memory.bytes() > 10 * 20'000);
  }
  while (client_memory.bytes() > 0) std::this_thread::yield();
  CHECK(clients == 0);
}
