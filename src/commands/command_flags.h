// The names of CommandFlag's bits, in proto/commands/*.json and in COMMAND INFO's reply, in the order of the latter.
#pragma once

#include <cstdint>
#include <string_view>

#include "commands/command.h"

namespace lsmkv {

struct FlagName {
  std::string_view name;
  std::string_view enumerator;   ///< for the generator
  std::uint32_t bit;
};

inline constexpr FlagName kFlagNames[] = {
    {"write", "kWrite", kWrite},
    {"readonly", "kReadOnly", kReadOnly},
    {"denyoom", "kDenyOom", kDenyOom},
    {"admin", "kAdmin", kAdmin},
    {"pubsub", "kPubSub", kPubSub},
    {"noscript", "kNoScript", kNoScript},
    {"random", "kRandom", kRandom},
    {"blocking", "kBlocking", kBlocking},
    {"loading", "kLoading", kLoading},
    {"stale", "kStale", kStale},
    {"skip_monitor", "kSkipMonitor", kSkipMonitor},
    {"skip_slowlog", "kSkipSlowlog", kSkipSlowlog},
    {"fast", "kFast", kFast},
    {"no_auth", "kNoAuth", kNoAuth},
    {"movablekeys", "kMovableKeys", kMovableKeys},
    {"allow_busy", "kAllowBusy", kAllowBusy},
    {"no_async_loading", "kNoAsyncLoading", kNoAsyncLoading},
    {"no_multi", "kNoMulti", kNoMulti},
    {"protected", "kProtected", kProtected},
};

}  // namespace lsmkv
