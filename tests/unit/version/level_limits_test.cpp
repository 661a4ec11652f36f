#include <catch2/catch.hpp>

#include "engine/version/level_limits.h"

using namespace lsmkv;

TEST_CASE("a soft limit is the floor of hard times ratio, and at least 1", "[limits]") {
  struct Case { std::uint64_t hard; double ratio; std::uint64_t soft; };
  const auto c = GENERATE(values<Case>({{4, 0.85, 3}, {1000, 0.85, 850}, {1048576, 0.85, 891289}, {1, 0.85, 1}, {2, 0.3, 1},
                                        {100, 0.29, 29}, {1000, 1.0, 1000}, {4, 1.0, 4}, {0, 0.85, 0},
                                        {UINT64_MAX, 1.0, UINT64_MAX}, {UINT64_MAX, 0.5, UINT64_MAX / 2}}));
  CAPTURE(c.hard, c.ratio);
  CHECK(SoftLimit(c.hard, c.ratio) == c.soft);
}

TEST_CASE("the hard limit of level N is base times ratio to the N, without overflow", "[limits]") {
  CHECK(HardLimit(1000, 10, 0) == 1000);
  CHECK(HardLimit(1000, 10, 2) == 100'000);
  CHECK(HardLimit(0, 10, 5) == 0);
  CHECK(HardLimit(1ull << 40, 10, 23) == UINT64_MAX);
}

TEST_CASE("limits of a level: only L0 counts sstables", "[limits]") {
  Options options;
  options.base_level_entries = 1000;
  options.base_level_bytes = 1 << 20;
  const LevelLimits l0 = LimitsOfLevel(options, 0);
  CHECK(l0.sstables.hard == 4);
  CHECK(l0.sstables.soft == 3);
  CHECK(l0.entries.soft == 850);
  CHECK(l0.bytes.soft == 891289);
  const LevelLimits l2 = LimitsOfLevel(options, 2);
  CHECK(l2.sstables.hard == 0);
  CHECK(l2.entries.hard == 100'000);
  CHECK(l2.entries.soft == 85'000);
  options.soft_limit_ratio = 1.0;
  CHECK(LimitsOfLevel(options, 2).entries.soft == 100'000);
}

TEST_CASE("any figure at its soft limit asks for compaction, and the largest ratio is the score", "[limits]") {
  Options options;
  options.base_level_entries = 1000;
  options.base_level_bytes = 1 << 20;
  const LevelLimits limits = LimitsOfLevel(options, 0);
  struct Case { LevelFigures figures; bool needs; LimitKind kind; };
  const auto c = GENERATE(values<Case>({{{2, 849, 0, 891288}, false, LimitKind::kBytes},
                                        {{3, 0, 0, 0}, true, LimitKind::kSstables},
                                        {{1, 850, 0, 1}, true, LimitKind::kEntries},
                                        {{1, 1, 0, 891289}, true, LimitKind::kBytes},
                                        {{3, 1700, 0, 1}, true, LimitKind::kEntries}}));
  const Score score = ScoreOf(c.figures, limits);
  CHECK((score.ratio >= 1) == c.needs);
  if (c.needs) CHECK(score.kind == c.kind);
}
