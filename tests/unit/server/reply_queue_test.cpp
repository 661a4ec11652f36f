#include "server/reply_queue.h"

#include <catch2/catch.hpp>

#include <deque>
#include <random>
#include <string>

using lsmkv::ReplyQueue;
using lsmkv::SequenceNumber;

namespace {

void Reply(ReplyQueue* queue, std::string_view bytes) {
  queue->buffer().Append(bytes);
  queue->CountReply();
}

std::string TakeAll(ReplyQueue* queue) {
  const std::string bytes(queue->Sendable());
  queue->Sent(bytes.size());
  return bytes;
}

}  // namespace

TEST_CASE("nothing leaves before its tick has ended", "[reply_queue]") {
  ReplyQueue queue;
  Reply(&queue, "a");
  CHECK(queue.Sendable().empty());
  queue.Release();
  CHECK(queue.Sendable() == "a");
}

TEST_CASE("held replies leave when their sequence number is durable, in order", "[reply_queue]") {
  ReplyQueue queue;
  Reply(&queue, "a");
  queue.Hold(10);
  Reply(&queue, "b");
  queue.Hold(20);
  Reply(&queue, "c");
  queue.Release();   // free by itself, but behind "b"
  CHECK(queue.Sendable().empty());
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
  CHECK(queue.Sendable().empty());
  CHECK(queue.ReleaseUpTo(5));
  CHECK(TakeAll(&queue) == "held E E ");
}

TEST_CASE("any history of ticks, sends and syncs sends every reply once and in order", "[reply_queue][model]") {
  const auto seed = GENERATE(range(0u, 20u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  ReplyQueue queue;
  std::string sent, expected;
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
        Reply(&queue, reply);
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
        const std::string_view bytes = queue.Sendable();
        const std::size_t taken = bytes.empty() ? 0 : random() % (bytes.size() + 1);
        sent += bytes.substr(0, taken);
        queue.Sent(taken);
      }
    }
    REQUIRE(sent + std::string(queue.Sendable()) == expected.substr(0, may_go));
  }
}
