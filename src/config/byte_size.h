#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lsmkv {

/// Digits and a unit, any case: b, k 1000, kb 1024, m, mb, g, gb. nullopt: malformed or more than 64 bits.
std::optional<std::uint64_t> ParseByteSize(std::string_view text);
/// The shortest exact form: 64mb, 1gb, 1000.
std::string FormatByteSize(std::uint64_t bytes);

}  // namespace lsmkv
