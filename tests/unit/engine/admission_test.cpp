#include "engine/admission.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>

#include "base/clock.h"
#include "manual_clock.h"

using namespace lsmkv;
using namespace std::chrono_literals;

namespace {

constexpr double kMega = 1 << 20;          // bytes

/// Wants to write so many megabytes a second, in pieces, and waits as long as it is told.
class Writer {
 public:
  /// Returns how many megabytes a second pass while the tree has this debt. `late`: so much later than told it is woken.
  double Write(double wanted, std::chrono::seconds time, const WriteDebt& debt, std::chrono::microseconds late = 0us) {
    const std::chrono::microseconds begin = clock_.Monotonic();
    const std::uint64_t before = written_;
    std::chrono::microseconds next_review = begin;
    while (clock_.Monotonic() - begin < time) {
      if (clock_.Monotonic() >= next_review) {
        admission_.SetPressure(debt, false, written_);
        next_review += 20ms;
      }
      const Admission admission = admission_.Admit(kPiece);
      written_ += kPiece;
      const std::chrono::microseconds delay = admission.kind == Admission::Kind::kDelay ? admission.delay + late : 0us;
      clock_.Advance(std::max(std::chrono::microseconds(static_cast<std::int64_t>(kPiece * 1e6 / (wanted * kMega))), delay));
    }
    return static_cast<double>(written_ - before) / kMega / std::chrono::duration<double>(clock_.Monotonic() - begin).count();
  }

 private:
  static constexpr std::uint64_t kPiece = 256 << 10;
  ManualClock clock_;
  WriteAdmission admission_{clock_};
  std::uint64_t written_ = 0;
};

}  // namespace

TEST_CASE("a small debt does not hold back who writes less than the tree has taken", "[engine][admission]") {
  Writer writer;
  SECTION("a second ago") { writer.Write(400, 5s, {}); }
  SECTION("an hour ago") {
    writer.Write(400, 5s, {});
    writer.Write(100, 3600s, {});
  }
  SECTION("at no time: nobody knows what it can take") {}
  const double wanted = writer.Write(100, 5s, {});
  CHECK(writer.Write(100, 10s, {0.1}) > 0.99 * wanted);
}

TEST_CASE("writers pass the slower the larger the debt is, without a step", "[engine][admission]") {
  Writer writer;
  double before = writer.Write(400, 5s, {});
  for (const double debt : {0.02, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9}) {
    const double passed = writer.Write(400, 5s, {debt});
    CHECK(passed < before);
    if (debt < 0.3) CHECK(passed == Approx(400 * (1 - debt) * (1 - debt)).epsilon(0.1));
    before = passed;
  }
  CHECK(writer.Write(400, 5s, {1}) > 0.9);       // never nothing
  CHECK(writer.Write(400, 5s, {}) == Approx(400).epsilon(0.05));
}

TEST_CASE("who is woken late does not write less for it", "[engine][admission]") {
  Writer writer;
  writer.Write(400, 5s, {});
  CHECK(writer.Write(400, 20s, {0.5}, 3ms) == Approx(100).epsilon(0.1));
}

TEST_CASE("who wants well less than was written of late is not held back by a debt, until it is large", "[engine][admission]") {
  Writer writer;
  writer.Write(400, 5s, {});
  writer.Write(400, 600s, {0.5});                // merges keep up with 100
  const double wanted = Writer().Write(60, 5s, {});
  for (const double debt : {0.6, 0.7, 0.8}) CHECK(writer.Write(60, 5s, {debt}) > 0.98 * wanted);
  CHECK(writer.Write(60, 5s, {0.95}) < 0.5 * wanted);
  CHECK(writer.Write(60, 5s, {0.5, 0.7}) < 0.7 * wanted);       // memtables are full soon
  writer.Write(5, 600s, {0.5});                  // long ago is not of late
  CHECK(writer.Write(60, 5s, {0.8}) < 0.5 * wanted);
}

TEST_CASE("a thread that was held up with an old count of what was written does not make the rate boundless", "[engine][admission]") {
  ManualClock clock;
  WriteAdmission admission(clock);
  for (const std::uint64_t written : {100'000u, 200'000u, 150'000u}) {      // the last is older than the one before
    clock.Advance(1s);
    admission.SetPressure({0.5}, false, written);
  }
  CHECK(admission.limit() < 256 << 20);
}

TEST_CASE("what the tree has taken once fades", "[engine][admission]") {
  Writer writer;
  writer.Write(2000, 5s, {});
  writer.Write(20, 3600s, {});
  CHECK(writer.Write(400, 10s, {0.5}) == Approx(64).epsilon(0.1));
}

TEST_CASE("pauses are counted: how many wait, how many have waited, how long in all, and the longest", "[engine][admission]") {
  ManualClock clock;
  WriteAdmission admission(clock);
  const auto figures = [&] {
    return std::array{admission.waiting(), admission.stalls(), admission.stall_micros(), admission.longest_stall_micros()};
  };
  using Figures = std::array<std::uint64_t, 4>;
  CHECK(figures() == Figures{0, 0, 0, 0});
  admission.StallBegins();
  admission.StallBegins();
  CHECK(figures() == Figures{2, 0, 0, 0});
  admission.StallEnds(300us);
  CHECK(figures() == Figures{1, 1, 300, 300});
  admission.StallEnds(100us);
  CHECK(figures() == Figures{0, 2, 400, 300});
}
