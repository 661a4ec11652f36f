// How much a level may hold, and when it asks for compaction. Pure arithmetic; DESIGN calls these the hard and the soft
// limits. Level N holds base x ratio^N; soft = max(1, floor(hard x soft_limit_ratio)); 0 means no limit.
#pragma once

#include <cstdint>

#include "lsmkv/options.h"

namespace lsmkv {

inline constexpr std::uint32_t kMaxLevels = 24;   ///< the deepest possible level is kMaxLevels - 1 and never overflows

struct Limit {
  std::uint64_t hard = 0;
  std::uint64_t soft = 0;
};

struct LevelLimits {
  Limit entries;
  Limit bytes;
  Limit sstables;   ///< L0 only
};

/// What a level holds at present.
struct LevelFigures {
  std::uint64_t sstables = 0;
  std::uint64_t entries = 0;
  std::uint64_t tombstones = 0;
  std::uint64_t bytes = 0;
};

/// Which figure of a level is the largest part of its soft limit.
enum class LimitKind : std::uint8_t { kSstables, kEntries, kBytes };

struct Score {
  double ratio = 0;                           ///< figure / soft limit; 1 or more asks for compaction
  LimitKind kind = LimitKind::kSstables;
  std::uint64_t figure = 0;
  Limit limit;
};

/// `ratio` as the user wrote it, taken to six decimals, so that 0.85 of 1000 is 850 and not 849.
std::uint64_t SoftLimit(std::uint64_t hard, double ratio);
/// base x ratio^level, saturating; 0 stays 0.
std::uint64_t HardLimit(std::uint64_t base, std::uint32_t ratio, std::uint32_t level);
LevelLimits LimitsOfLevel(const Options& options, std::uint32_t level);
Score ScoreOf(const LevelFigures& figures, const LevelLimits& limits);
const char* LimitName(LimitKind kind);   ///< "sstables", "entries", "bytes"

}  // namespace lsmkv
