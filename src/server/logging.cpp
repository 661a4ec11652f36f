#include "server/logging.h"

#include <spdlog/async.h>
#include <spdlog/details/file_helper.h>
#include <spdlog/details/registry.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>
#include <mutex>

namespace lsmkv {
namespace {

constexpr std::size_t kQueuedLines = 8192;

/// A file sink that opens its file again when asked to, on the thread that writes. Where that fails it goes on with the one it has:
/// spdlog's own reopen() would have closed that first, and write into nothing from then on.
class ReopeningFileSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit ReopeningFileSink(const std::string& path) : file_(OpenFile(path)) {}
  void RequestReopen() { reopen_.store(true, std::memory_order_relaxed); }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (reopen_.exchange(false, std::memory_order_relaxed)) Reopen();
    Write(message);
  }
  void flush_() override { file_->flush(); }

 private:
  using File = spdlog::details::file_helper;

  static std::unique_ptr<File> OpenFile(const std::string& path) {
    auto file = std::make_unique<File>();
    file->open(path);
    return file;
  }
  void Reopen() {
    try {
      file_ = OpenFile(file_->filename());
    } catch (const spdlog::spdlog_ex& error) {
      const std::string text = std::string("the log file could not be opened again, and goes on where it was: ") + error.what();
      Write(spdlog::details::log_msg("", spdlog::level::err, text));
    }
  }
  void Write(const spdlog::details::log_msg& message) {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    file_->write(line);
  }

  std::unique_ptr<File> file_;
  std::atomic<bool> reopen_{false};
};

// Both are set before other threads run. The logger is never destroyed: whoever is late may still log, and finds a logger
// without a thread instead of no logger.
std::shared_ptr<ReopeningFileSink> g_file_sink;
std::shared_ptr<spdlog::logger>* g_logger = nullptr;

spdlog::level::level_enum ToSpdlog(LogVerbosity verbosity) {
  switch (verbosity) {
    case LogVerbosity::kDebug: return spdlog::level::trace;
    case LogVerbosity::kVerbose: return spdlog::level::debug;
    case LogVerbosity::kNotice: return spdlog::level::info;
    case LogVerbosity::kWarning: return spdlog::level::warn;
  }
  return spdlog::level::info;
}

}  // namespace

Status StartLogging(const std::string& logfile, LogVerbosity verbosity) {
  try {
    std::shared_ptr<spdlog::sinks::sink> sink;
    if (logfile.empty()) {
      sink = std::make_shared<spdlog::sinks::stdout_sink_mt>();
    } else {
      g_file_sink = std::make_shared<ReopeningFileSink>(logfile);
      sink = g_file_sink;
    }
    spdlog::init_thread_pool(kQueuedLines, 1);
    auto logger = std::make_shared<spdlog::async_logger>("lsmkv", std::move(sink), spdlog::thread_pool(),
                                                         spdlog::async_overflow_policy::overrun_oldest);
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %-7l %t %v", spdlog::pattern_time_type::utc);
    logger->set_level(ToSpdlog(verbosity));
    logger->flush_on(spdlog::level::trace);   // lines are few, and people tail them
    spdlog::set_default_logger(logger);
    g_logger = new std::shared_ptr<spdlog::logger>(std::move(logger));
    return Status::Ok();
  } catch (const spdlog::spdlog_ex& error) {
    return Status::IoError("cannot open the log file '" + logfile + "': " + error.what());
  }
}

void SetLogVerbosity(LogVerbosity verbosity) {
  if (g_logger != nullptr) (*g_logger)->set_level(ToSpdlog(verbosity));
}

void ReopenLog() {
  if (g_file_sink != nullptr) g_file_sink->RequestReopen();
}

void StopLogging() { spdlog::details::registry::instance().set_tp(nullptr); }   // its destructor drains the queue and joins

}  // namespace lsmkv
