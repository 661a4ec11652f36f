// What the tree did: one line of JSON for each flush, compaction, move, drop and reload, newest last, in DIR/history.jsonl.
//
//   {"at":"2026-03-01T12:00:07.123Z","kind":"merge","reason":"L0 has 4 sstables >= soft limit 3 (hard 4)",
//    "in":[{"level":0,"tables":[4,5,6],"entries":120000,"bytes":8388608}],"out":{"level":1,"tables":[7],...},"ms":812.5,"pieces":1}
//
// For people only: recovery never reads it, losing it costs nothing, so it is not synced and a failure to write it is no more
// than a warning. When the file has grown past kMostFileBytes it is written anew with the lines that are kept.
// Threads  Add: one at a time, the scheduler's. Last: any.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "fs/file_system.h"

namespace lsmkv {

struct HistoryEvent {
  struct Tables {
    std::uint32_t level = 0;
    std::vector<std::uint64_t> ids;
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
  };
  std::string kind;                   ///< "flush", "merge", "move", "drop", "ingest", "reload"
  std::string reason;
  std::vector<Tables> in;             ///< a flush has none
  Tables out;
  std::chrono::microseconds duration{0};
  std::uint32_t pieces = 1;
};

class HistoryLog {
 public:
  HistoryLog(FileSystem& fs, std::string dir, Clock& clock);

  void Add(const HistoryEvent& event) LSMKV_EXCLUDES(mutex_);
  /// The last `count` events, oldest of them first; kMostLines and kMostLineBytes at most.
  std::vector<std::string> Last(std::size_t count) const LSMKV_EXCLUDES(mutex_);

  /// What the events that are remembered wrote.
  struct Totals {
    std::uint64_t since_ms = 0;       ///< of the first of them, since 1970; 0: there is none
    std::uint64_t flushed_bytes = 0;
    std::uint64_t merged_bytes = 0;
  };
  Totals totals() const LSMKV_EXCLUDES(mutex_);

  static constexpr std::size_t kMostLines = 1000;
  static constexpr std::uint64_t kMostFileBytes = 4 << 20;
  /// Of the lines that are kept, so that a file that is written anew is not at once too large again.
  static constexpr std::uint64_t kMostLineBytes = kMostFileBytes / 2;

 private:
  struct Line {
    std::string text;
    std::uint64_t at_ms;
    std::uint64_t flushed_bytes;
    std::uint64_t merged_bytes;
  };
  void Load();
  void Remember(Line line) LSMKV_REQUIRES(mutex_);
  Status Append(const std::string& line);
  Status WriteAnew();

  FileSystem& fs_;
  const std::string path_;
  Clock& clock_;
  std::unique_ptr<WritableFile> file_;      // null until the first event, and after a failure
  bool warned_ = false;
  mutable Mutex mutex_;                     // a leaf
  std::deque<Line> lines_ LSMKV_GUARDED_BY(mutex_);
  std::uint64_t line_bytes_ LSMKV_GUARDED_BY(mutex_) = 0;
  Totals totals_ LSMKV_GUARDED_BY(mutex_);  // of lines_; since_ms apart
};

}  // namespace lsmkv
