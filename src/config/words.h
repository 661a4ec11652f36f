#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ascii.h"

namespace lsmkv {

/// Splits a line as Redis does: words between spaces; "…" with \n \r \t \b \a \" \\ and \xNN; '…' with \' only. A closing
/// quote must be followed by a space or the end. nullopt: the quotes do not balance.
std::optional<std::vector<std::string>> SplitWords(std::string_view line);
/// `word` as SplitWords will read it back: in double quotes when it is empty or has anything but plain characters.
std::string QuoteWord(std::string_view word);

/// Digits and a unit, any case: b, k 1000, kb 1024, m, mb, g, gb. nullopt: malformed or more than 64 bits.
std::optional<std::uint64_t> ParseByteSize(std::string_view text);
/// The shortest exact form: 64mb, 1gb, 1000.
std::string FormatByteSize(std::uint64_t bytes);

}  // namespace lsmkv
