#include "engine/manifest/text_values.h"

#include <fmt/core.h>

#include <chrono>
#include <optional>

#include "base/assert.h"

namespace lsmkv {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

bool IsPrintable(char byte) { return byte >= 0x20 && byte < 0x7f; }

int HexValue(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return -1;
}

/// The number that the decimal digits text[begin, begin + count) mean.
std::optional<int> Digits(std::string_view text, std::size_t begin, std::size_t count) {
  int value = 0;
  for (std::size_t at = begin; at < begin + count; ++at) {
    if (at >= text.size() || text[at] < '0' || text[at] > '9') return std::nullopt;
    value = value * 10 + (text[at] - '0');
  }
  return value;
}

Status BadTime(std::string_view text) {
  return Status::Corruption(fmt::format("\"{}\" is not a time like 2026-03-01T12:00:07.123Z", text));
}

}  // namespace

std::string EscapeKey(std::string_view key) {
  std::string text;
  text.reserve(key.size());
  for (const char byte : key) {
    if (byte == '\\') {
      text += "\\\\";
    } else if (IsPrintable(byte)) {
      text += byte;
    } else {
      const auto value = static_cast<std::uint8_t>(byte);
      text += {'\\', 'x', kHexDigits[value >> 4], kHexDigits[value & 15]};
    }
  }
  return text;
}

Result<std::string> UnescapeKey(std::string_view text) {
  std::string key;
  key.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (!IsPrintable(text[at])) return Status::Corruption("a key has a byte that is not escaped");
    if (text[at] != '\\') {
      key += text[at];
    } else if (text.substr(at, 2) == "\\\\") {
      key += '\\';
      at += 1;
    } else {
      const bool whole = text.substr(at, 2) == "\\x" && text.size() - at >= 4;
      const int high = whole ? HexValue(text[at + 2]) : -1;
      const int low = whole ? HexValue(text[at + 3]) : -1;
      if (high < 0 || low < 0) return Status::Corruption("a key has a malformed escape");
      key += static_cast<char>(high * 16 + low);
      at += 3;
    }
  }
  return key;
}

std::string FormatIsoTime(std::uint64_t ms) {
  LSMKV_ASSERT(ms <= kLastIsoMillis);
  const std::chrono::sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds(ms)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

Result<std::uint64_t> ParseIsoTime(std::string_view text) {
  const bool has_fraction = text.size() == 24;
  if (!has_fraction && text.size() != 20) return BadTime(text);
  const bool shaped = text[4] == '-' && text[7] == '-' && text[10] == 'T' && text[13] == ':' && text[16] == ':' &&
                      text.back() == 'Z' && (!has_fraction || text[19] == '.');
  const auto year = Digits(text, 0, 4), month = Digits(text, 5, 2), day = Digits(text, 8, 2);
  const auto hour = Digits(text, 11, 2), minute = Digits(text, 14, 2), second = Digits(text, 17, 2);
  const auto fraction = has_fraction ? Digits(text, 20, 3) : 0;
  if (!shaped || !year || !month || !day || !hour || !minute || !second || !fraction) return BadTime(text);
  const std::chrono::year_month_day date(std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok() || *year < 1970 || *hour > 23 || *minute > 59 || *second > 59) return BadTime(text);
  const std::chrono::milliseconds since_1970 =
      std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
      std::chrono::seconds(*second) + std::chrono::milliseconds(*fraction);
  return static_cast<std::uint64_t>(since_1970.count());
}

}  // namespace lsmkv
