// Which keys the commands behind the present one name: a hint, for who wants to fetch them before they are asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace lsmkv::resp {

struct CommandAhead {
  std::string_view key;        ///< the second word, a view into the buffer
  bool only_key = false;       ///< there is no third: GET, INCR, TTL, ...
};

/// Looks at the commands at the front of `buffer`, which are arrays of at least two words, of at most a few dozen words, and there
/// whole; at the first that is not so it ends. Fills `ahead` from its front and returns how many. Nothing is checked beyond that.
std::size_t LookAhead(std::string_view buffer, std::span<CommandAhead> ahead);

}  // namespace lsmkv::resp
