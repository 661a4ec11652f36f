// The process's log: spdlog, asynchronous, to standard output or a file that can be reopened.
//
//   2026-03-01T12:00:07.123Z info  4711 [compaction] L0 needs compaction: ...
//   time in UTC              level thread [component] what happened
//
// A line goes to a queue and one thread writes it; when that thread is stuck the oldest lines are lost, never an event loop.
#pragma once

#include <string>

#include "config/settings.h"
#include "lsmkv/status.h"

namespace lsmkv {

/// Opens the log. `logfile` empty: standard output. Errors: kIoError, the file cannot be opened.
Status StartLogging(const std::string& logfile, LogVerbosity verbosity);
void SetLogVerbosity(LogVerbosity verbosity);
/// Opens the log file anew by its name (after a rotation). Any thread; the log's own thread does it.
void ReopenLog();
/// Writes out what is queued and ends the log's thread.
void StopLogging();

}  // namespace lsmkv
