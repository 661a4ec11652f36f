#include "base/log.h"

#include <spdlog/spdlog.h>

namespace lsmkv {
namespace {

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace: return spdlog::level::trace;
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

bool LogEnabled(LogLevel level) { return spdlog::default_logger_raw()->should_log(ToSpdlog(level)); }

void LogLine(LogLevel level, std::string_view component, std::string_view text) {
  spdlog::default_logger_raw()->log(ToSpdlog(level), "[{}] {}", component, text);
}

}  // namespace lsmkv
