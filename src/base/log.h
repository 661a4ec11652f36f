// One line per event: LogInfo("compaction", "L{} needs compaction: {}", 0, why). Goes to spdlog's default logger, which
// main() makes asynchronous; nothing here waits for the log file.
#pragma once

#include <fmt/core.h>

#include <string_view>

namespace lsmkv {

enum class LogLevel { kTrace, kDebug, kInfo, kWarning, kError };

bool LogEnabled(LogLevel level);
void LogLine(LogLevel level, std::string_view component, std::string_view text);

template <typename... Args>
void Log(LogLevel level, std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  if (LogEnabled(level)) LogLine(level, component, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void LogDebug(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  Log(LogLevel::kDebug, component, format, std::forward<Args>(args)...);
}
template <typename... Args>
void LogInfo(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  Log(LogLevel::kInfo, component, format, std::forward<Args>(args)...);
}
template <typename... Args>
void LogWarning(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  Log(LogLevel::kWarning, component, format, std::forward<Args>(args)...);
}
template <typename... Args>
void LogError(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  Log(LogLevel::kError, component, format, std::forward<Args>(args)...);
}

}  // namespace lsmkv
