#include "engine/manifest/history.h"

#include <nlohmann/json.hpp>

#include <algorithm>

#include "base/log.h"
#include "engine/manifest/text_values.h"

namespace lsmkv {
namespace {

using Json = nlohmann::ordered_json;

Json JsonOf(const HistoryEvent::Tables& tables) {
  constexpr std::size_t kMostIds = 256;     // a full compaction may take thousands; the count is always told
  Json json{{"level", tables.level}, {"count", tables.ids.size()}};
  json["tables"] = std::vector<std::uint64_t>(tables.ids.begin(), tables.ids.begin() + static_cast<std::ptrdiff_t>(std::min(kMostIds, tables.ids.size())));
  json["entries"] = tables.entries;
  json["bytes"] = tables.bytes;
  return json;
}

std::string LineOf(const HistoryEvent& event, std::uint64_t now_ms) {
  Json json{{"at", FormatIsoTime(std::min(now_ms, kLastIsoMillis))}, {"kind", event.kind}, {"reason", event.reason}};
  json["in"] = Json::array();
  for (const HistoryEvent::Tables& tables : event.in) json["in"].push_back(JsonOf(tables));
  json["out"] = JsonOf(event.out);
  json["ms"] = static_cast<double>(event.duration.count()) / 1000;
  json["pieces"] = event.pieces;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Of a line that may say anything: people edit files.
std::string TextOf(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}
std::uint64_t OutBytes(const Json& json) {
  const auto out = json.find("out");
  if (out == json.end() || !out->is_object()) return 0;
  const auto bytes = out->find("bytes");
  return bytes != out->end() && bytes->is_number_unsigned() ? bytes->get<std::uint64_t>() : 0;
}

}  // namespace

HistoryLog::HistoryLog(FileSystem& fs, std::string dir, Clock& clock)
    : fs_(fs), path_(std::move(dir) + "/history.jsonl"), clock_(clock) {
  Load();
}

void HistoryLog::Load() {
  const Result<std::uint64_t> bytes = fs_.FileSize(path_);
  if (!bytes || *bytes > 2 * kMostFileBytes) return;
  const Result<std::string> text = fs_.ReadWholeFile(path_);
  if (!text) return;
  MutexLock lock(mutex_);
  for (std::size_t at = 0; at < text->size();) {
    const std::size_t end = text->find('\n', at);
    if (end == std::string::npos) break;                       // cut off by a crash
    std::string line = text->substr(at, end - at);
    at = end + 1;
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object()) continue;
    const std::string kind = TextOf(json, "kind");
    const std::uint64_t written = OutBytes(json);
    Remember({std::move(line), ParseIsoTime(TextOf(json, "at")).value_or(0), kind == "flush" ? written : 0, kind == "merge" ? written : 0});
  }
}

void HistoryLog::Remember(Line line) {
  totals_.flushed_bytes += line.flushed_bytes;
  totals_.merged_bytes += line.merged_bytes;
  line_bytes_ += line.text.size() + 1;
  lines_.push_back(std::move(line));
  while (lines_.size() > 1 && (lines_.size() > kMostLines || line_bytes_ > kMostLineBytes)) {
    const Line& oldest = lines_.front();
    totals_.flushed_bytes -= oldest.flushed_bytes;
    totals_.merged_bytes -= oldest.merged_bytes;
    line_bytes_ -= oldest.text.size() + 1;
    lines_.pop_front();
  }
}

HistoryLog::Totals HistoryLog::totals() const {
  MutexLock lock(mutex_);
  Totals totals = totals_;
  if (!lines_.empty()) totals.since_ms = lines_.front().at_ms;
  return totals;
}

void HistoryLog::Add(const HistoryEvent& event) {
  const std::uint64_t now_ms = clock_.WallMillis();
  const std::string line = LineOf(event, now_ms);
  {
    MutexLock lock(mutex_);
    Remember({line, now_ms, event.kind == "flush" ? event.out.bytes : 0, event.kind == "merge" ? event.out.bytes : 0});
  }
  const Status status = file_ == nullptr || file_->size() > kMostFileBytes ? WriteAnew() : Append(line);
  if (status.ok()) {
    warned_ = false;
    return;
  }
  file_.reset();
  if (!std::exchange(warned_, true)) LogWarning("history", "{}; the data is not concerned", status.message());
}

Status HistoryLog::Append(const std::string& line) { return file_->Append(line + "\n"); }

Status HistoryLog::WriteAnew() {
  std::string text;
  {
    MutexLock lock(mutex_);
    for (const Line& line : lines_) text += line.text + "\n";
  }
  const std::string unfinished = path_ + ".tmp";
  Result<std::unique_ptr<WritableFile>> file = fs_.NewWritableFile(unfinished);
  if (!file) return file.error();
  if (Status status = (*file)->Append(text); !status.ok()) return status;
  if (Status status = fs_.Rename(unfinished, path_); !status.ok()) return status;
  file_ = std::move(*file);
  return {};
}

std::vector<std::string> HistoryLog::Last(std::size_t count) const {
  MutexLock lock(mutex_);
  const std::size_t shown = std::min(count, lines_.size());
  std::vector<std::string> last;
  for (auto line = lines_.end() - static_cast<std::ptrdiff_t>(shown); line != lines_.end(); ++line) last.push_back(line->text);
  return last;
}

}  // namespace lsmkv
