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
    if (!Json::accept(line)) continue;
    lines_.push_back(std::move(line));
    if (lines_.size() > kMostLines) lines_.pop_front();
  }
}

void HistoryLog::Add(const HistoryEvent& event) {
  const std::string line = LineOf(event, clock_.WallMillis());
  {
    MutexLock lock(mutex_);
    lines_.push_back(line);
    if (lines_.size() > kMostLines) lines_.pop_front();
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
    for (const std::string& line : lines_) text += line + "\n";
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
  return {lines_.end() - static_cast<std::ptrdiff_t>(shown), lines_.end()};
}

}  // namespace lsmkv
