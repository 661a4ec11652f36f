#include "tool/report.h"

#include <fmt/core.h>

#include <charconv>
#include <nlohmann/json.hpp>

namespace lsmkv::tool {
namespace {

using JsonValue = nlohmann::ordered_json;

/// The number behind the first "offset " in `text`, which is taken out when it stands in front.
std::optional<std::uint64_t> TakeOffset(std::string* text) {
  constexpr std::string_view kWord = "offset ";
  const std::size_t at = text->find(kWord);
  if (at == std::string::npos) return std::nullopt;
  const char* const begin = text->data() + at + kWord.size();
  const char* const end = text->data() + text->size();
  std::uint64_t offset = 0;
  const auto [stop, error] = std::from_chars(begin, end, offset);
  if (error != std::errc()) return std::nullopt;
  if (at == 0 && std::string_view(stop, static_cast<std::size_t>(end - stop)).starts_with(": "))
    text->erase(0, static_cast<std::size_t>(stop - text->data()) + 2);
  return offset;
}

}  // namespace

std::string Report::WithoutDir(std::string_view path) const {
  if (path.starts_with(dir_) && path.substr(dir_.size()).starts_with("/")) path.remove_prefix(dir_.size() + 1);
  return std::string(path);
}

void Report::Damage(std::string_view file, std::optional<std::uint64_t> offset, std::string what) {
  findings_.push_back({Severity::kDamage, WithoutDir(file), offset, std::move(what)});
  damaged_ = true;
}

void Report::Note(std::string_view file, std::string what) {
  findings_.push_back({Severity::kNote, WithoutDir(file), std::nullopt, std::move(what)});
}

void Report::Damage(const Status& status, std::string_view file) {
  std::string what = status.message();
  const std::string in_front = std::string(file) + ": ";
  if (what.starts_with(in_front)) what.erase(0, in_front.size());
  const std::optional<std::uint64_t> offset = TakeOffset(&what);
  Damage(file, offset, std::move(what));
}

std::string Report::Text() const {
  std::string text;
  for (const Finding& finding : findings_) {
    text += finding.severity == Severity::kDamage ? "DAMAGE  " : "note    ";
    if (!finding.file.empty()) text += finding.file + ": ";
    if (finding.offset) text += fmt::format("offset {}: ", *finding.offset);
    text += finding.what + "\n";
  }
  if (!figures_.empty()) {
    std::string line;
    for (const auto& [name, value] : figures_) line += fmt::format("{}{} {}", line.empty() ? "" : ", ", value, name);
    text += line + "\n";
  }
  return text;
}

std::string Report::Json() const {
  JsonValue findings = JsonValue::array();
  for (const Finding& finding : findings_) {
    findings.push_back({{"severity", finding.severity == Severity::kDamage ? "damage" : "note"},
                        {"file", finding.file},
                        {"offset", finding.offset ? JsonValue(*finding.offset) : JsonValue(nullptr)},
                        {"what", finding.what}});
  }
  JsonValue document = {{"directory", dir_}, {"damaged", damaged_}, {"findings", std::move(findings)}};
  for (const auto& [name, value] : figures_) document[name] = value;
  return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace lsmkv::tool
