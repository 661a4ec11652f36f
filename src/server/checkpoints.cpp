#include "server/checkpoints.h"

#include <fmt/core.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <system_error>
#include <vector>

#include "base/clock.h"
#include "base/log.h"

namespace lsmkv {
namespace {

// Sorts by time, and has no character that a shell or another file system minds: 2026-03-01T12-00-07.123Z
std::string TimeName(std::uint64_t now_ms) {
  const std::time_t seconds = static_cast<std::time_t>(now_ms / 1000);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}-{:02}-{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
                     utc.tm_min, utc.tm_sec, now_ms % 1000);
}

bool LooksLikeCheckpoint(const std::string& name) {
  static constexpr std::string_view kShape = "0000-00-00T00-00-00.000Z";
  return name.size() == kShape.size() && std::ranges::equal(name, kShape, [](char c, char shape) {
           return shape == '0' ? c >= '0' && c <= '9' : c == shape;
         });
}

/// The reverse of TimeName().
std::uint64_t TimeOf(const std::string& name) {
  const auto number = [&name](std::size_t from, std::size_t digits) { return std::stoi(name.substr(from, digits)); };
  std::tm utc{};
  utc.tm_year = number(0, 4) - 1900;
  utc.tm_mon = number(5, 2) - 1;
  utc.tm_mday = number(8, 2);
  utc.tm_hour = number(11, 2);
  utc.tm_min = number(14, 2);
  utc.tm_sec = number(17, 2);
  return static_cast<std::uint64_t>(std::max<std::time_t>(::timegm(&utc), 0)) * 1000 + static_cast<std::uint64_t>(number(20, 3));
}

}  // namespace

Status Checkpoints::Save(std::uint64_t kept, std::uint64_t now_ms) {
  if (running_.exchange(true)) return Status::Busy("a checkpoint is being made already");
  const std::int64_t began = Clock::System().Monotonic().count();
  began_micros_ = began;
  const SequenceNumber sequence = engine_.last_sequence();
  const std::vector<std::string> older = Names();
  // The clock may have gone back since the newest was made: the names' order stays the order in which they were made.
  const std::string name = TimeName(older.empty() ? now_ms : std::max(now_ms, TimeOf(older.back()) + 1));
  Status status = Make(dir_ + "/" + name);
  last_failed_ = !status.ok();
  took_micros_ = Clock::System().Monotonic().count() - began;
  if (status.ok()) {
    last_save_seconds_ = now_ms / 1000;
    saved_sequence_ = sequence;
    ++saves_;
    RemoveOld(older, kept);
  } else {
    LogError("server", "checkpoint failed: {}", status.message());
  }
  running_ = false;
  return status;
}

std::optional<std::chrono::seconds> Checkpoints::last_duration() const {
  const std::chrono::microseconds took(took_micros_.load());
  if (took.count() < 0) return std::nullopt;
  return std::chrono::floor<std::chrono::seconds>(took);
}

std::optional<std::chrono::seconds> Checkpoints::running_for() const {
  if (!running()) return std::nullopt;
  return std::chrono::floor<std::chrono::seconds>(Clock::System().Monotonic() - std::chrono::microseconds(began_micros_.load()));
}

Status Checkpoints::Make(const std::string& path) {
  RemoveUnfinished();
  if (Status status = engine_.Checkpoint(path); !status.ok()) return status;
  LogInfo("server", "checkpoint made: {}", path);
  return Status::Ok();
}

/// What a server that was killed in the middle left: its links keep the space of tables that are gone.
void Checkpoints::RemoveUnfinished() {
  std::error_code error;
  for (std::filesystem::directory_iterator entry(dir_, error); !error && entry != std::filesystem::directory_iterator();
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.ends_with(".tmp") || !LooksLikeCheckpoint(name.substr(0, name.size() - 4))) continue;
    std::error_code remove_error;
    std::filesystem::remove_all(entry->path(), remove_error);
    LogInfo("server", "unfinished checkpoint removed: {}", name);
  }
}

/// Of those that are there, in the order in which they were made.
std::vector<std::string> Checkpoints::Names() const {
  std::error_code error;
  std::vector<std::string> names;
  std::filesystem::directory_iterator entry(dir_, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (std::string name = entry->path().filename().string(); LooksLikeCheckpoint(name)) names.push_back(std::move(name));
  }
  std::ranges::sort(names);
  return names;
}

/// `older` are the names of those before the one that was just made, which stays in any case.
void Checkpoints::RemoveOld(const std::vector<std::string>& older, std::uint64_t kept) {
  for (std::size_t i = 0; i + std::max<std::uint64_t>(kept, 1) <= older.size(); ++i) {
    if (Status removed = engine_.RemoveCheckpoint(dir_ + "/" + older[i]); !removed.ok()) {
      LogWarning("server", "cannot remove the old checkpoint {}: {}", older[i], removed.message());
    } else {
      LogInfo("server", "old checkpoint removed: {}", older[i]);
    }
  }
}

}  // namespace lsmkv
