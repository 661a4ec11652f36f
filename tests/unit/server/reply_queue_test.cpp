#include "server/reply_queue.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

using lsmkv::ReplyQueue;
using lsmkv::SequenceNumber;

namespace {

void Reply(ReplyQueue* queue, std::string_view bytes) {
  queue->buffer().Append(bytes);
  queue->CountReply();
}

std::string Sendable(const ReplyQueue& queue) {
  std::array<std::string_view, 64> pieces;
  std::string bytes;
  const std::size_t count = queue.Sendable(pieces);
  for (std::size_t i = 0; i < count; ++i) {
    CHECK_FALSE(pieces[i].empty());
    bytes += pieces[i];
  }
  if (count < pieces.size()) CHECK(bytes.size() == queue.sendable_bytes());
  return bytes;
}

std::string TakeAll(ReplyQueue* queue) {
  const std::string bytes = Sendable(*queue);
  queue->Sent(bytes.size());
  return bytes;
}

/// `*pinned`: what tells whether the bytes are still kept.
void ReplyPinned(ReplyQueue* queue, const std::string& bytes, std::vector<std::weak_ptr<const void>>* pinned) {
  auto value = std::make_shared<const std::string>(bytes);
  pinned->push_back(value);
  const std::string_view there = *value;
  queue->buffer().AppendPinned(there, std::move(value));
  queue->CountReply();
}

}  // namespace

TEST_CASE("nothing leaves before its tick has ended", "[reply_queue]") {
  ReplyQueue queue;
  Reply(&queue, "a");
  CHECK(Sendable(queue).empty());
  queue.Release();
  CHECK(Sendable(queue) == "a");
}

TEST_CASE("held replies leave when their sequence number is durable, in order", "[reply_queue]") {
  ReplyQueue queue;
  Reply(&queue, "a");
  queue.Hold(10);
  Reply(&queue, "b");
  queue.Hold(20);
  Reply(&queue, "c");
  queue.Release();   // free by itself, but behind "b"
  CHECK(Sendable(queue).empty());
  CHECK_FALSE(queue.ReleaseUpTo(9));
  CHECK(queue.ReleaseUpTo(10));
  CHECK(TakeAll(&queue) == "a");
  CHECK(queue.holding());
  CHECK(queue.ReleaseUpTo(25));
  CHECK(TakeAll(&queue) == "bc");
  CHECK_FALSE(queue.holding());
  CHECK(queue.unsent_bytes() == 0);
}

TEST_CASE("a failed hold gives one error for each reply and leaves released ones alone", "[reply_queue]") {
  ReplyQueue queue;
  Reply(&queue, "free ");
  queue.Release();
  Reply(&queue, "one");
  Reply(&queue, "two");
  queue.Hold(5);
  Reply(&queue, "three");
  queue.Hold(6);
  queue.FailHeld("E ");
  CHECK(TakeAll(&queue) == "free E E E ");
}

TEST_CASE("a failed commit replaces this tick's replies only", "[reply_queue]") {
  ReplyQueue queue;
  Reply(&queue, "held ");
  queue.Hold(5);
  Reply(&queue, "x");
  Reply(&queue, "y");
  queue.FailUncovered("E ");
  CHECK(Sendable(queue).empty());
  CHECK(queue.ReleaseUpTo(5));
  CHECK(TakeAll(&queue) == "held E E ");
}

TEST_CASE("pinned bytes leave in their place and are let go as soon as they have", "[reply_queue]") {
  ReplyQueue queue;
  std::vector<std::weak_ptr<const void>> pinned;
  Reply(&queue, "a");
  ReplyPinned(&queue, "large", &pinned);
  Reply(&queue, "b");
  ReplyPinned(&queue, "huge", &pinned);
  queue.Release();
  CHECK(Sendable(queue) == "alargebhuge");
  CHECK(queue.memory_bytes() >= 9);
  queue.Sent(5);
  CHECK_FALSE(pinned[0].expired());
  queue.Sent(2);
  CHECK(pinned[0].expired());
  CHECK_FALSE(pinned[1].expired());
  CHECK(TakeAll(&queue) == "huge");
  CHECK(pinned[1].expired());
  CHECK(queue.unsent_bytes() == 0);
}

TEST_CASE("what has not left is moved a few times, not each time that pinned bytes have", "[reply_queue]") {
  ReplyQueue queue;
  std::vector<std::weak_ptr<const void>> pinned;
  constexpr std::size_t kPairs = 1000, kBytes = 1000;
  for (std::size_t i = 0; i < kPairs; ++i) {
    Reply(&queue, std::string(kBytes, 'o'));
    ReplyPinned(&queue, std::string(kBytes, 'p'), &pinned);
  }
  Reply(&queue, "last");
  queue.Release();
  const auto last = [&queue] { return queue.buffer().From(queue.buffer().size() - 4); };
  int moves = 0;
  for (std::size_t i = 0; i < kPairs; ++i) {
    const char* const before = last().data();
    const std::size_t memory = queue.memory_bytes();
    queue.Sent(2 * kBytes);
    CHECK(pinned[i].expired());
    CHECK(queue.memory_bytes() == memory - kBytes);
    CHECK(queue.unsent_bytes() == (kPairs - i - 1) * 2 * kBytes + 4);
    REQUIRE(last() == "last");
    moves += last().data() != before;
  }
  CHECK(moves < 10);
  CHECK(TakeAll(&queue) == "last");
}

TEST_CASE("what fails lets its pinned bytes go", "[reply_queue]") {
  ReplyQueue queue;
  std::vector<std::weak_ptr<const void>> pinned;
  ReplyPinned(&queue, "released ", &pinned);
  queue.Release();
  ReplyPinned(&queue, "held", &pinned);
  queue.Hold(5);
  queue.FailHeld("E ");
  ReplyPinned(&queue, "uncovered", &pinned);
  queue.FailUncovered("F ");
  CHECK_FALSE(pinned[0].expired());
  CHECK(pinned[1].expired());
  CHECK(pinned[2].expired());
  CHECK(TakeAll(&queue) == "released E F ");
}

TEST_CASE("who disposes is given each pin once, whichever way it goes", "[reply_queue]") {
  struct Counting final : lsmkv::resp::PinDisposer {
    void Dispose(std::shared_ptr<const void> pin, std::size_t bytes) override {
      CHECK(pin != nullptr);
      total += bytes;
    }
    std::size_t total = 0;
  } disposer;
  std::vector<std::weak_ptr<const void>> pinned;
  {
    lsmkv::resp::OutputBuffer job;
    job.Append("x");
    const auto value = std::make_shared<const std::string>(1000, 'v');
    job.AppendPinned(*value, value);
    job.AppendPinned(*value, value);
    ReplyQueue queue(&disposer);
    ReplyPinned(&queue, "sent", &pinned);
    queue.Release();
    CHECK(TakeAll(&queue) == "sent");
    CHECK(disposer.total == 4);
    ReplyPinned(&queue, "never sent", &pinned);
    const std::size_t before = queue.buffer().size();
    queue.buffer().Append(std::move(job));
    CHECK(queue.buffer().size() == before + 2001);
    CHECK(queue.buffer().From(before) == "x");
    queue.buffer().Truncate(before + 1001);
    CHECK(disposer.total == 1004);
  }
  CHECK(disposer.total == 2014);
}

TEST_CASE("any history of ticks, sends and syncs sends every reply once and in order", "[reply_queue][model]") {
  const auto seed = GENERATE(range(0u, 20u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  ReplyQueue queue;
  std::string sent, expected;
  std::vector<std::weak_ptr<const void>> pinned;
  struct Pending {
    SequenceNumber sequence;
    std::size_t end;
  };
  std::deque<Pending> pending;
  SequenceNumber sequence = 1, durable = 1;
  std::size_t may_go = 0;
  for (int step = 0; step < 400; ++step) {
    switch (random() % 4) {
      case 0: {
        const std::string reply(random() % 5000, static_cast<char>('a' + random() % 26));
        if (random() % 3 == 0) {
          ReplyPinned(&queue, reply, &pinned);
        } else {
          Reply(&queue, reply);
        }
        expected += reply;
        if (random() % 2 == 0) {
          queue.Release();
          if (pending.empty()) may_go = expected.size(); else pending.back().end = expected.size();
        } else {
          queue.Hold(++sequence);
          pending.push_back({sequence, expected.size()});
          if (reply.empty()) pending.pop_back();
        }
        break;
      }
      case 1:
        durable += random() % 3;
        queue.ReleaseUpTo(durable);
        while (!pending.empty() && pending.front().sequence <= durable) {
          may_go = pending.front().end;
          pending.pop_front();
        }
        break;
      default: {
        const std::string bytes = Sendable(queue);
        const std::size_t taken = bytes.empty() ? 0 : random() % (bytes.size() + 1);
        sent += bytes.substr(0, taken);
        queue.Sent(taken);
        if (sent == expected) CHECK(std::ranges::all_of(pinned, [](const auto& value) { return value.expired(); }));
      }
    }
    REQUIRE(sent + Sendable(queue) == expected.substr(0, may_go));
  }
}
