#include "server/large_reads.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

using namespace lsmkv;
using namespace std::chrono_literals;

namespace {

struct Reader {
  explicit Reader(LargeReads& all) : turn(all, [this] { ++wakes; }) {}
  int wakes = 0;
  LargeReads::Turn turn;
};

}  // namespace

TEST_CASE("large reads hold no more than the limit together, and one always may", "[large_reads]") {
  LargeReads all(100, 1);
  Reader a(all), b(all), c(all);
  CHECK(a.turn.Admit(1000));
  CHECK_FALSE(b.turn.Admit(10));
  CHECK(b.turn.waits());
  CHECK_FALSE(b.turn.MayRun(1us));
  CHECK(a.turn.IsInTheWay());
  a.turn.Leave();
  CHECK(b.wakes == 1);
  CHECK(b.turn.MayRun(2us));
  CHECK(b.turn.Admit(10));
  CHECK_FALSE(b.turn.waits());
  CHECK(c.turn.Admit(90));
  CHECK_FALSE(a.turn.Admit(1));
  CHECK(all.held_bytes() == 100);
}

TEST_CASE("who waits goes in the order of coming, so that a large one is not passed for ever", "[large_reads]") {
  LargeReads all(100, 1);
  Reader first(all), large(all), small(all);
  REQUIRE(first.turn.Admit(50));
  CHECK_FALSE(large.turn.Admit(80));
  CHECK_FALSE(small.turn.Admit(10));          // there would be room
  CHECK_FALSE(small.turn.MayRun(1us));
  first.turn.Leave();
  CHECK(large.wakes == 1);
  CHECK(large.turn.Admit(80));
  CHECK(small.wakes == 1);                    // and there still is
  CHECK(small.turn.Admit(10));
}

TEST_CASE("a command that asks several times and is refused gives back what it had", "[large_reads]") {
  LargeReads all(100, 1);
  Reader a(all), b(all);
  REQUIRE(a.turn.Admit(60));
  REQUIRE(b.turn.Admit(30));
  CHECK_FALSE(b.turn.Admit(30));
  CHECK_FALSE(b.turn.holds());
  CHECK(all.held_bytes() == 60);
  CHECK_FALSE(b.turn.MayRun(1us));            // it wants 60 now
  a.turn.Leave();
  CHECK(b.turn.MayRun(2us));
  b.turn.Begin();
  CHECK(b.turn.Admit(30));
  CHECK(b.turn.Admit(30));
  CHECK(b.turn.Admit(300));                   // alone it may
  CHECK(all.held_bytes() == 360);
  b.turn.Begin();
  CHECK(all.held_bytes() == 0);
}

TEST_CASE("when nothing is given back for long, one large read after the other runs whatever the others hold", "[large_reads]") {
  constexpr auto kPatience = LargeReads::kPatience;
  LargeReads all(100, 1);
  Reader slow(all), a(all), b(all), c(all);
  REQUIRE(slow.turn.Admit(100));
  REQUIRE_FALSE(a.turn.Admit(40));
  REQUIRE_FALSE(b.turn.Admit(40));
  REQUIRE_FALSE(a.turn.MayRun(1us));
  CHECK_FALSE(a.turn.MayRun(kPatience));
  CHECK_FALSE(b.turn.MayRun(kPatience + 1us));                // it is not the first
  CHECK(a.turn.MayRun(kPatience + 1us));
  CHECK(a.turn.MayRun(kPatience + 2us));
  CHECK(a.turn.Admit(40));
  CHECK(a.turn.Admit(40));                                    // for all that its command asks for
  CHECK_FALSE(b.turn.MayRun(kPatience * 2));
  CHECK(all.held_bytes() == 180);
  CHECK(b.turn.MayRun(kPatience * 2 + 1us));
  CHECK(b.turn.Admit(40));
  a.turn.Leave();
  CHECK_FALSE(a.turn.Admit(40));                              // the next command is as patient as any
  CHECK_FALSE(a.turn.MayRun(kPatience * 2 + 2us));
  a.turn.Leave();
  CHECK_FALSE(c.turn.Admit(40));                              // and so is who comes when nobody has waited for a while
  CHECK_FALSE(c.turn.MayRun(kPatience * 9));
}

TEST_CASE("while large reads are given back in time they stay within the limit, however many wait", "[large_reads]") {
  LargeReads all(100, 1);
  std::vector<std::unique_ptr<Reader>> readers;
  for (int i = 0; i < 30; ++i) readers.push_back(std::make_unique<Reader>(all));
  for (const auto& reader : readers) reader->turn.Admit(100);
  auto now = 1us;
  for (std::size_t holder = 0; holder < readers.size(); now += LargeReads::kPatience / 2) {
    for (const auto& reader : readers) {
      if (reader->turn.waits() && reader->turn.MayRun(now)) REQUIRE(reader->turn.Admit(100));
    }
    REQUIRE(all.held_bytes() == 100);
    REQUIRE(readers[holder]->turn.holds());
    readers[holder++]->turn.Leave();
  }
}

TEST_CASE("when the first who waits does not ask, another may run", "[large_reads]") {
  LargeReads all(100, 1);
  Reader slow(all), busy(all), other(all);
  REQUIRE(slow.turn.Admit(100));
  REQUIRE_FALSE(busy.turn.Admit(40));
  REQUIRE_FALSE(other.turn.Admit(40));
  CHECK_FALSE(other.turn.MayRun(1us));
  CHECK_FALSE(other.turn.MayRun(LargeReads::kPatience + 1us));
  CHECK(other.turn.MayRun(LargeReads::kPatience + LargeReads::kFirstAsks + 1us));
}

TEST_CASE("a command that is refused what it asks for next goes before those who wait", "[large_reads]") {
  LargeReads all(100, 1);
  Reader holder(all), several(all), later(all);
  REQUIRE(holder.turn.Admit(40));
  REQUIRE(several.turn.Admit(50));
  REQUIRE_FALSE(later.turn.Admit(50));
  REQUIRE_FALSE(several.turn.Admit(50));
  CHECK_FALSE(later.turn.MayRun(1us));        // there would be room
  holder.turn.Leave();
  CHECK(several.wakes == 1);
  CHECK(several.turn.MayRun(2us));
  CHECK(several.turn.Admit(50));
  CHECK(several.turn.Admit(50));
  several.turn.Leave();
  CHECK(later.turn.Admit(50));
}

TEST_CASE("small amounts of one command are asked for together", "[large_reads]") {
  LargeReads all(100, 10);
  Reader a(all), b(all);
  CHECK(a.turn.Admit(9));
  CHECK_FALSE(a.turn.holds());
  CHECK(a.turn.Admit(1));
  CHECK(all.held_bytes() == 10);
  CHECK(a.turn.Admit(9));
  a.turn.Begin();                             // what it has not asked for is forgotten
  CHECK(a.turn.Admit(9));
  CHECK(all.held_bytes() == 0);
  CHECK(a.turn.Admit(91));
  CHECK(all.held_bytes() == 100);
  CHECK(b.turn.Admit(9));
  CHECK_FALSE(b.turn.Admit(1));
}

TEST_CASE("what a command needs for a moment only it gives back", "[large_reads]") {
  LargeReads all(100, 10);
  Reader a(all), b(all);
  REQUIRE(a.turn.Admit(90));
  REQUIRE_FALSE(b.turn.Admit(50));
  a.turn.KeepOnly(40);
  CHECK(all.held_bytes() == 40);
  CHECK(b.wakes == 1);
  REQUIRE(b.turn.Admit(50));
  a.turn.KeepOnly(95);                        // no more than it was admitted
  CHECK(all.held_bytes() == 90);
  a.turn.End(9);                              // what it has written is small after all
  CHECK(all.held_bytes() == 50);
  CHECK_FALSE(a.turn.holds());
  b.turn.End(50);
  CHECK(all.held_bytes() == 50);
}

TEST_CASE("who is overdue stays so when it gives something back", "[large_reads]") {
  LargeReads all(100, 10);
  Reader slow(all), a(all);
  REQUIRE(slow.turn.Admit(100));
  REQUIRE_FALSE(a.turn.Admit(40));
  REQUIRE_FALSE(a.turn.MayRun(1us));
  REQUIRE(a.turn.MayRun(LargeReads::kPatience + 1us));
  REQUIRE(a.turn.Admit(40));
  a.turn.KeepOnly(0);
  CHECK(a.turn.Admit(40));
}

TEST_CASE("one reply holds no more than the largest value, or the limit, however many values it is of", "[large_reads]") {
  constexpr std::uint64_t kMost = LargeReads::kLargestReply;
  LargeReads all(100);
  Reader a(all), b(all);
  CHECK(a.turn.Admit(2 * kMost));             // one value is as large as it is
  CHECK_FALSE(b.turn.Admit(kMost));
  CHECK_FALSE(b.turn.too_large());
  CHECK_FALSE(a.turn.Admit(kMost / 2));
  CHECK(a.turn.too_large());
  CHECK_FALSE(a.turn.waits());                // it need not try again
  CHECK(b.wakes == 1);
  CHECK(all.held_bytes() == 0);
  CHECK(b.turn.Admit(kMost / 2));
  CHECK(b.turn.Admit(kMost / 2));
  CHECK_FALSE(b.turn.Admit(kMost / 2));
  b.turn.Begin();
  CHECK_FALSE(b.turn.too_large());
  all.SetLimit(3 * kMost);
  CHECK(b.turn.Admit(kMost));
  CHECK(b.turn.Admit(2 * kMost));
}

TEST_CASE("who is refused on its way begins again only when there is room for well more than it had", "[large_reads]") {
  LargeReads all(1000, 10);
  Reader holder(all), several(all);
  REQUIRE(holder.turn.Admit(500));
  REQUIRE(several.turn.Admit(400));
  REQUIRE(several.turn.Admit(100));
  REQUIRE_FALSE(several.turn.Admit(20));
  holder.turn.KeepOnly(450);                  // room for what it has asked for, and for nothing else
  CHECK_FALSE(several.turn.MayRun(1us));
  holder.turn.Leave();
  CHECK(several.turn.MayRun(2us));
}

TEST_CASE("whoever goes leaves nothing behind", "[large_reads]") {
  const auto seed = GENERATE(range(0u, 50u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  LargeReads all(1000, 1);
  std::vector<std::unique_ptr<Reader>> readers(6);
  for (int step = 0; step < 2000; ++step) {
    std::unique_ptr<Reader>& reader = readers[random() % readers.size()];
    if (reader == nullptr) reader = std::make_unique<Reader>(all);
    switch (random() % 5) {
      case 0: reader.reset(); break;
      case 1: reader->turn.Leave(); break;
      case 2: reader->turn.Begin(); break;
      default:
        if (!reader->turn.waits()) reader->wakes = 0;
        if (reader->turn.MayRun(std::chrono::microseconds(1 + step))) reader->turn.Admit(1 + random() % 700);
    }
    std::uint64_t waiting = 0, holding = 0;
    for (const auto& one : readers) {
      if (one == nullptr) continue;
      CHECK_FALSE((one->turn.holds() && one->turn.waits()));
      waiting += one->turn.waits();
      holding += one->turn.holds();
    }
    REQUIRE(all.waiting() == waiting);
    REQUIRE((all.held_bytes() == 0) == (holding == 0));
    REQUIRE((all.held_bytes() <= 1000 || holding == 1));
    const auto has_been_woken = [](const auto& one) { return one != nullptr && one->turn.waits() && one->wakes > 0; };
    REQUIRE((waiting == 0 || holding > 0 || std::ranges::any_of(readers, has_been_woken)));
  }
  readers.clear();
  CHECK(all.held_bytes() == 0);
  CHECK(all.waiting() == 0);
}
