#include "base/numbers.h"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace lsmkv {
namespace {

constexpr std::size_t kLongestInt64Text = 20;
constexpr std::size_t kLongestFloatText = 5 * 1024;   // a long double written out has at most 4933 digits before the point

bool IsCanonical(std::string_view digits) {
  if (digits.empty()) return false;
  if (digits[0] == '0') return digits.size() == 1;
  return digits[0] >= '1' && digits[0] <= '9';
}

template <typename Integer>
std::optional<Integer> ParseWhole(std::string_view text) {
  Integer value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

template <typename Float, typename Convert>
std::optional<Float> ParseFloat(std::string_view text, Convert convert) {
  if (text.empty() || text.size() >= kLongestFloatText) return std::nullopt;
  if (text[0] == ' ' || (text[0] >= '\t' && text[0] <= '\r')) return std::nullopt;   // strtold would skip it
  char buffer[kLongestFloatText];
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  char* stop = nullptr;
  errno = 0;
  const Float value = convert(buffer, &stop);
  if (stop != buffer + text.size() || std::isnan(value)) return std::nullopt;
  if (errno == ERANGE && (std::isinf(value) || value == 0)) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::int64_t> ParseInt64(std::string_view text) {
  if (text.empty() || text.size() > kLongestInt64Text) return std::nullopt;
  const bool negative = text[0] == '-';
  const std::string_view digits = text.substr(negative ? 1 : 0);
  if (!IsCanonical(digits) || (negative && digits == "0")) return std::nullopt;
  return ParseWhole<std::int64_t>(text);
}

std::optional<std::uint64_t> ParseUint64(std::string_view text) {
  if (!IsCanonical(text)) return std::nullopt;
  return ParseWhole<std::uint64_t>(text);
}

std::optional<long double> ParseLongDouble(std::string_view text) {
  return ParseFloat<long double>(text, [](const char* begin, char** stop) { return std::strtold(begin, stop); });
}

std::optional<double> ParseDouble(std::string_view text) {
  return ParseFloat<double>(text, [](const char* begin, char** stop) { return std::strtod(begin, stop); });
}

std::string FormatLongDouble(long double value) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[kLongestFloatText];
  const int length = std::snprintf(buffer, sizeof(buffer), "%.17Lf", value);
  std::string text(buffer, static_cast<std::size_t>(length));
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text == "-0" ? "0" : text;
}

// Layout after fpconv (Redis 7.2's addReplyDouble): plain while the exponent is small, scientific beyond.
std::string_view FormatDouble(double value, std::span<char, kDoubleTextBytes> buffer) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (value == 0) return std::signbit(value) ? "-0" : "0";
  char scientific[kDoubleTextBytes];
  const char* const end = std::to_chars(scientific, scientific + sizeof(scientific), value, std::chars_format::scientific).ptr;
  const char* from = scientific;
  char* out = buffer.data();
  const bool negative = *from == '-';
  if (negative) *out++ = *from++;
  char digits[20];
  int count = 0;
  for (; *from != 'e'; ++from) {
    if (*from != '.') digits[count++] = *from;
  }
  int exponent = 0;                                 // of the first digit
  std::from_chars(from + (from[1] == '+' ? 2 : 1), end, exponent);
  const int scale = exponent - count + 1;           // of the last digit
  const int magnitude = exponent < 0 ? -exponent : exponent;
  const auto put = [&out](const char* bytes, int bytes_count) {
    std::memcpy(out, bytes, static_cast<std::size_t>(bytes_count));
    out += bytes_count;
  };
  if (scale >= 0 && magnitude < count + (negative ? 6 : 7)) {
    put(digits, count);
    put("0000000000", scale);
  } else if (scale < 0 && (scale > -7 || magnitude < 4)) {
    if (exponent >= 0) {
      put(digits, exponent + 1);
      put(".", 1);
      put(digits + exponent + 1, count - exponent - 1);
    } else {
      put("0.", 2);
      put("0000000000", -exponent - 1);
      put(digits, count);
    }
  } else {
    put(digits, 1);
    if (count > 1) put(".", 1);
    put(digits + 1, count - 1);
    put(exponent < 0 ? "e-" : "e+", 2);
    out = std::to_chars(out, buffer.data() + buffer.size(), magnitude).ptr;
  }
  return {buffer.data(), static_cast<std::size_t>(out - buffer.data())};
}

}  // namespace lsmkv
