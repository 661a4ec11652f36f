// The tree's figures under the names users see. LSM LEVELS, LSM STATS and INFO lsm all take them from here, so they agree.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "lsmkv/stats.h"

namespace lsmkv {

using LsmValue = std::variant<std::uint64_t, double, bool>;
using LsmFields = std::vector<std::pair<std::string, LsmValue>>;

/// One level, as LSM LEVELS shows it.
LsmFields LevelFields(const LevelInfo& level);
/// The whole tree, as LSM STATS and INFO lsm show it; with l0_sstables, l0_size_bytes, l1_... for each level.
LsmFields StatsFields(const EngineStats& stats);
/// As INFO writes it: yes is 1, a double has the fewest digits that read back the same.
std::string LsmText(const LsmValue& value);

}  // namespace lsmkv
