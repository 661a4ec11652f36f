#include "engine/admission.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>

#include "base/clock.h"

using namespace lsmkv;
using namespace std::chrono_literals;

namespace {

constexpr double kMega = 1 << 20;          // bytes

class ManualClock final : public Clock {
 public:
  std::uint64_t WallMillis() const override { return 0; }
  std::chrono::microseconds Monotonic() const override { return now_; }
  void Advance(std::chrono::microseconds time) { now_ += time; }

 private:
  std::chrono::microseconds now_ = 1s;
};

/// Wants to write so many megabytes a second, in pieces, and waits as long as it is told.
class Writer {
 public:
  /// Returns how many megabytes a second pass while the tree has this debt.
  double Write(double wanted, std::chrono::seconds time, double debt) {
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
      clock_.Advance(std::max(std::chrono::microseconds(static_cast<std::int64_t>(kPiece * 1e6 / (wanted * kMega))), admission.delay));
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
  SECTION("a second ago") { writer.Write(400, 5s, 0); }
  SECTION("an hour ago") {
    writer.Write(400, 5s, 0);
    writer.Write(100, 3600s, 0);
  }
  SECTION("at no time: nobody knows what it can take") {}
  const double wanted = writer.Write(100, 5s, 0);
  CHECK(writer.Write(100, 10s, 0.1) > 0.99 * wanted);
}

TEST_CASE("writers pass the slower the larger the debt is, without a step", "[engine][admission]") {
  Writer writer;
  double before = writer.Write(400, 5s, 0);
  for (const double debt : {0.02, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9}) {
    const double passed = writer.Write(400, 5s, debt);
    CHECK(passed < before);
    CHECK(passed == Approx(400 * (1 - debt) * (1 - debt)).epsilon(0.1));
    before = passed;
  }
  CHECK(writer.Write(400, 5s, 1) > 0.9);       // never nothing
  CHECK(writer.Write(400, 5s, 0) == Approx(400).epsilon(0.05));
}

TEST_CASE("what the tree has taken once fades", "[engine][admission]") {
  Writer writer;
  writer.Write(2000, 5s, 0);
  writer.Write(20, 3600s, 0);
  CHECK(writer.Write(400, 10s, 0.5) == Approx(64).epsilon(0.1));
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
