#include "resp/writer.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/numbers.h"

namespace lsmkv::resp {
namespace {

constexpr std::size_t kLongestIntegerBytes = 20;            // -9223372036854775808, 18446744073709551615
constexpr std::size_t kHeaderBytes = kLongestIntegerBytes + 3;   // the kind and CR LF

// "<number>\r\n" for the numbers nearly every reply starts with, copied as one 8-byte word; the last byte is the length.
constexpr std::uint64_t kSmallNumbers = 1024;
constexpr auto kNumberLines = [] {
  std::array<std::array<char, 8>, kSmallNumbers> lines{};
  for (std::size_t number = 0; number < kSmallNumbers; ++number) {
    char digits[4] = {};
    std::size_t count = 0;
    for (std::size_t rest = number; rest > 0 || count == 0; rest /= 10) digits[count++] = static_cast<char>('0' + rest % 10);
    std::array<char, 8>& line = lines[number];
    for (std::size_t i = 0; i < count; ++i) line[i] = digits[count - 1 - i];
    line[count] = '\r';
    line[count + 1] = '\n';
    line[7] = static_cast<char>(count + 2);
  }
  return lines;
}();

// Writes "<kind><value>\r\n" where kHeaderBytes are free and returns the end.
char* PutHeader(char* out, char kind, std::uint64_t value) {
  *out++ = kind;
  if (value < kSmallNumbers) [[likely]] {
    const std::array<char, 8>& line = kNumberLines[value];
    std::memcpy(out, line.data(), 8);
    return out + line[7];
  }
  out = std::to_chars(out, out + kLongestIntegerBytes, value).ptr;
  *out++ = '\r';
  *out++ = '\n';
  return out;
}

}  // namespace

void Writer::Header(char kind, std::uint64_t value) {
  char* const begin = out_.Reserve(kHeaderBytes);
  out_.Advance(static_cast<std::size_t>(PutHeader(begin, kind, value) - begin));
}

void Writer::SimpleString(std::string_view text) {
  char* const begin = out_.Reserve(text.size() + 3);
  begin[0] = '+';
  std::copy(text.begin(), text.end(), begin + 1);
  std::memcpy(begin + 1 + text.size(), "\r\n", 2);
  out_.Advance(text.size() + 3);
}

void Writer::Error(std::string_view message) {
  char* const begin = out_.Reserve(message.size() + 3);
  begin[0] = '-';
  std::transform(message.begin(), message.end(), begin + 1, [](char c) { return c == '\r' || c == '\n' ? ' ' : c; });
  std::memcpy(begin + 1 + message.size(), "\r\n", 2);
  out_.Advance(message.size() + 3);
}

void Writer::Integer(std::int64_t value) {
  if (value >= 0) return Header(':', static_cast<std::uint64_t>(value));
  char* const begin = out_.Reserve(kHeaderBytes);
  begin[0] = ':';
  char* end = std::to_chars(begin + 1, begin + 1 + kLongestIntegerBytes, value).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out_.Advance(static_cast<std::size_t>(end - begin));
}

void Writer::Bulk(std::string_view bytes) {
  char* const begin = out_.Reserve(bytes.size() + kHeaderBytes + 2);
  char* end = PutHeader(begin, '$', bytes.size());
  if (!bytes.empty()) std::memcpy(end, bytes.data(), bytes.size());
  end += bytes.size();
  *end++ = '\r';
  *end++ = '\n';
  out_.Advance(static_cast<std::size_t>(end - begin));
}

void Writer::BulkInPlace(std::string_view bytes, const std::shared_ptr<const void>& pin) {
  Header('$', bytes.size());
  out_.AppendPinned(bytes, pin);
  out_.Append("\r\n");
}

void Writer::Null() { out_.Append(resp3_ ? std::string_view("_\r\n") : std::string_view("$-1\r\n")); }
void Writer::NullArray() { out_.Append(resp3_ ? std::string_view("_\r\n") : std::string_view("*-1\r\n")); }
void Writer::Array(std::size_t count) { Header('*', count); }
void Writer::Map(std::size_t pairs) { resp3_ ? Header('%', pairs) : Header('*', pairs * 2); }
void Writer::Set(std::size_t count) { Header(resp3_ ? '~' : '*', count); }
void Writer::Push(std::size_t count) { Header(resp3_ ? '>' : '*', count); }

void Writer::Bool(bool value) {
  if (!resp3_) return Integer(value ? 1 : 0);
  out_.Append(value ? std::string_view("#t\r\n") : std::string_view("#f\r\n"));
}

void Writer::Double(double value) {
  char buffer[kDoubleTextBytes];
  const std::string_view text = FormatDouble(value, buffer);
  if (!resp3_) return Bulk(text);
  out_.Append(",");
  out_.Append(text);
  out_.Append("\r\n");
}

void Writer::BigNumber(std::string_view digits) {
  if (!resp3_) return Bulk(digits);
  out_.Append("(");
  out_.Append(digits);
  out_.Append("\r\n");
}

void Writer::Verbatim(std::string_view format, std::string_view text) {
  if (!resp3_) return Bulk(text);
  Header('=', text.size() + 4);
  out_.Append(format.substr(0, 3));
  out_.Append(":");
  out_.Append(text);
  out_.Append("\r\n");
}

}  // namespace lsmkv::resp
