#include "config/byte_size.h"

#include <charconv>
#include <limits>

#include "base/ascii.h"

namespace lsmkv {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t bytes;
};
constexpr Unit kUnits[] = {{"", 1},         {"b", 1},           {"k", 1000},          {"kb", 1024},
                           {"m", 1000'000}, {"mb", 1024 * 1024}, {"g", 1000'000'000}, {"gb", 1ull << 30}};

}  // namespace

std::optional<std::uint64_t> ParseByteSize(std::string_view text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc()) return std::nullopt;
  const std::string_view unit_name(rest, static_cast<std::size_t>(end - rest));
  for (const Unit& unit : kUnits) {
    if (!EqualsIgnoringCase(unit.name, unit_name)) continue;
    if (number > std::numeric_limits<std::uint64_t>::max() / unit.bytes) return std::nullopt;
    return number * unit.bytes;
  }
  return std::nullopt;
}

std::string FormatByteSize(std::uint64_t bytes) {
  for (const Unit& unit : {Unit{"gb", 1ull << 30}, Unit{"mb", 1ull << 20}, Unit{"kb", 1ull << 10}}) {
    if (bytes != 0 && bytes % unit.bytes == 0) return std::to_string(bytes / unit.bytes) + std::string(unit.name);
  }
  return std::to_string(bytes);
}

}  // namespace lsmkv
