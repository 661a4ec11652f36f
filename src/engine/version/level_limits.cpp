#include "engine/version/level_limits.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lsmkv {

std::uint64_t SoftLimit(std::uint64_t hard, double ratio) {
  if (hard == 0) return 0;
  const auto millionths = static_cast<unsigned __int128>(std::llround(ratio * 1e6));
  return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(hard * millionths / 1'000'000));
}

std::uint64_t HardLimit(std::uint64_t base, std::uint32_t ratio, std::uint32_t level) {
  std::uint64_t limit = base;
  for (std::uint32_t i = 0; i < level; ++i) {
    if (limit > std::numeric_limits<std::uint64_t>::max() / ratio) return std::numeric_limits<std::uint64_t>::max();
    limit *= ratio;
  }
  return limit;
}

LevelLimits LimitsOfLevel(const Options& options, std::uint32_t level) {
  LevelLimits limits;
  limits.entries.hard = HardLimit(options.base_level_entries, options.level_ratio, level);
  limits.bytes.hard = HardLimit(options.base_level_bytes, options.level_ratio, level);
  limits.sstables.hard = level == 0 ? options.max_l0_sstables : 0;
  for (Limit* limit : {&limits.entries, &limits.bytes, &limits.sstables})
    limit->soft = SoftLimit(limit->hard, options.soft_limit_ratio);
  return limits;
}

Score ScoreOf(const LevelFigures& figures, const LevelLimits& limits) {
  Score best;
  const auto consider = [&best](LimitKind kind, std::uint64_t figure, const Limit& limit) {
    if (limit.soft == 0) return;
    const double ratio = static_cast<double>(figure) / static_cast<double>(limit.soft);
    if (ratio > best.ratio) best = {ratio, kind, figure, limit};
  };
  consider(LimitKind::kSstables, figures.sstables, limits.sstables);
  consider(LimitKind::kEntries, figures.entries, limits.entries);
  consider(LimitKind::kBytes, figures.bytes, limits.bytes);
  return best;
}

const char* LimitName(LimitKind kind) {
  switch (kind) {
    case LimitKind::kSstables: return "sstables";
    case LimitKind::kEntries: return "entries";
    case LimitKind::kBytes: return "bytes";
  }
  return "?";
}

}  // namespace lsmkv
