#include "tool/build_input.h"

#include <fmt/core.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/numbers.h"
#include "tool/build_commands.h"

namespace lsmkv::tool {
namespace {

constexpr std::size_t kPieceBytes = 1u << 20;
constexpr std::size_t kLongestLine = (1u << 31) - 1;

Status Wrong(std::string what) { return Status::InvalidArgument(std::move(what)); }

// ---- lines

/// Calls `take` for each line, without its end.
Status ForEachLine(const ReadBytes& read, const std::function<Status(std::string_view line)>& take) {
  std::string buffer;
  std::size_t scanned = 0;
  while (true) {
    const std::size_t had = buffer.size();
    if (had > kLongestLine) return Wrong("a line of more than 2 GiB");
    buffer.resize(had + kPieceBytes);
    const Result<std::size_t> got = read(buffer.data() + had, kPieceBytes);
    if (!got) return got.error();
    buffer.resize(had + *got);
    std::size_t begin = 0;
    for (std::size_t end; (end = buffer.find('\n', std::max(begin, scanned))) != std::string::npos; begin = end + 1) {
      std::string_view line(buffer.data() + begin, end - begin);
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (Status status = take(line); !status.ok()) return status;
    }
    if (*got == 0) return begin < buffer.size() ? take(std::string_view(buffer).substr(begin)) : Status();
    buffer.erase(0, begin);
    scanned = buffer.size();
  }
}

Status ReadLines(const std::string& name, const ReadBytes& read, Result<InputEntry> (*parse)(std::string_view, std::string*),
                 const TakeEntry& take) {
  std::uint64_t number = 0;
  std::string scratch;
  const auto place = [&](const Status& status) { return status.WithContext(fmt::format("{}:{}", name, number)); };
  const Status status = ForEachLine(read, [&](std::string_view line) -> Status {
    ++number;
    if (line.find_first_not_of(" \t") == std::string_view::npos) return {};
    const Result<InputEntry> entry = parse(line, &scratch);
    if (!entry) return place(entry.error());
    const Status taken = take(*entry);
    return taken.code() == StatusCode::kInvalidArgument ? place(taken) : taken;
  });
  return status;
}

// ---- TSV

int HexValue(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

/// Appends what `text` means to `out`.
Status Unescape(std::string_view text, std::string* out) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::size_t plain = std::min(text.find('\\', at), text.size());
    out->append(text.substr(at, plain - at));
    at = plain;
    if (at == text.size()) break;
    if (++at == text.size()) return Wrong("a backslash at the end of a field");
    switch (text[at]) {
      case 't': out->push_back('\t'); break;
      case 'n': out->push_back('\n'); break;
      case 'r': out->push_back('\r'); break;
      case '\\': out->push_back('\\'); break;
      case 'x': {
        const int high = at + 1 < text.size() ? HexValue(text[at + 1]) : -1;
        const int low = at + 2 < text.size() ? HexValue(text[at + 2]) : -1;
        if (high < 0 || low < 0) return Wrong("\\x without two hexadecimal digits");
        out->push_back(static_cast<char>(high * 16 + low));
        at += 2;
        break;
      }
      default: return Wrong(fmt::format("'\\{}' is no escape; those are \\t \\n \\r \\\\ \\xNN", text[at]));
    }
  }
  return {};
}

// ---- JSON

/// nullopt: not base64.
std::optional<std::string> FromBase64(std::string_view text) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  static const std::array<std::int8_t, 256> values = [] {
    std::array<std::int8_t, 256> table;
    table.fill(-1);
    for (std::size_t i = 0; i < kDigits.size(); ++i) table[static_cast<unsigned char>(kDigits[i])] = static_cast<std::int8_t>(i);
    return table;
  }();
  if (text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t at = 0; at < text.size(); at += 4) {
    std::uint32_t word = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const bool pad = at + i >= text.size() - padding;
      const int value = pad ? 0 : values[static_cast<unsigned char>(text[at + i])];
      if (value < 0) return std::nullopt;
      word = word << 6 | static_cast<std::uint32_t>(value);
    }
    for (const int shift : {16, 8, 0}) bytes.push_back(static_cast<char>(word >> shift & 0xff));
  }
  bytes.resize(bytes.size() - padding);
  return bytes;
}

using JsonValue = nlohmann::json;

/// The field `name`, or `name`_base64, of `object`.
Result<std::string> BytesField(const JsonValue& object, const std::string& name) {
  const auto plain = object.find(name);
  const auto packed = object.find(name + "_base64");
  if ((plain == object.end()) == (packed == object.end()))
    return Wrong(fmt::format("\"{0}\" or \"{0}_base64\" is needed, and not both", name));
  const JsonValue& value = plain != object.end() ? *plain : *packed;
  if (!value.is_string()) return Wrong(fmt::format("\"{}\" is not a string", plain != object.end() ? name : name + "_base64"));
  const std::string& text = value.get_ref<const std::string&>();
  if (plain != object.end()) return text;
  std::optional<std::string> bytes = FromBase64(text);
  if (!bytes) return Wrong(fmt::format("\"{}_base64\" is not base64", name));
  return *std::move(bytes);
}

}  // namespace

Result<InputEntry> ParseTsvLine(std::string_view line, std::string* scratch) {
  const std::size_t first = line.find('\t');
  if (first == std::string_view::npos) return Wrong("no tab: a line is key TAB value [TAB expire-at-ms]");
  std::string_view value = line.substr(first + 1);
  InputEntry entry;
  if (const std::size_t second = value.find('\t'); second != std::string_view::npos) {
    const std::string_view deadline = value.substr(second + 1);
    const std::optional<std::uint64_t> ms = ParseUint64(deadline);
    if (!ms) return Wrong(fmt::format("'{}' is not a time in milliseconds since 1970", deadline));
    entry.expire_at_ms = *ms;
    value = value.substr(0, second);
  }
  scratch->clear();
  if (Status status = Unescape(line.substr(0, first), scratch); !status.ok()) return status;
  const std::size_t key_bytes = scratch->size();
  if (Status status = Unescape(value, scratch); !status.ok()) return status;
  entry.key = std::string_view(*scratch).substr(0, key_bytes);
  entry.value = std::string_view(*scratch).substr(key_bytes);
  return entry;
}

Result<InputEntry> ParseJsonLine(std::string_view line, std::string* scratch) {
  const JsonValue object = JsonValue::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return Wrong("not a JSON object");
  for (const auto& [name, value] : object.items()) {
    if (name != "key" && name != "key_base64" && name != "value" && name != "value_base64" && name != "expire_at_ms")
      return Wrong(fmt::format("there is no field \"{}\"", name));
  }
  const Result<std::string> key = BytesField(object, "key");
  if (!key) return key.error();
  const Result<std::string> value = BytesField(object, "value");
  if (!value) return value.error();
  InputEntry entry;
  if (const auto deadline = object.find("expire_at_ms"); deadline != object.end() && !deadline->is_null()) {
    if (!deadline->is_number_unsigned()) return Wrong("\"expire_at_ms\" is not a time in milliseconds since 1970");
    entry.expire_at_ms = deadline->get<std::uint64_t>();
  }
  *scratch = *key + *value;
  entry.key = std::string_view(*scratch).substr(0, key->size());
  entry.value = std::string_view(*scratch).substr(key->size());
  return entry;
}

Status ReadInput(const std::string& name, const ReadBytes& read, const InputOptions& options, const TakeEntry& take) {
  switch (options.format) {
    case InputFormat::kTsv: return ReadLines(name, read, &ParseTsvLine, take);
    case InputFormat::kJsonLines: return ReadLines(name, read, &ParseJsonLine, take);
    case InputFormat::kResp: break;
  }
  return ReadCommands(name, read, options, take);
}

ReadBytes ReadFrom(std::FILE* file, const std::string& name) {
  return [file, name](char* buffer, std::size_t size) -> Result<std::size_t> {
    const std::size_t got = std::fread(buffer, 1, size, file);
    if (got == 0 && std::ferror(file) != 0) return Status::IoError(fmt::format("{}: read: {}", name, std::strerror(errno)));
    return got;
  };
}

}  // namespace lsmkv::tool
