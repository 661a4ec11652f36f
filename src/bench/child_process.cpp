#include "bench/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <vector>

#include "bench/engines.h"
#include "bench/run_workload.h"

namespace lsmkv::bench {
namespace {

constexpr int kResultFd = 3;                     // where a child writes its measurement
constexpr std::size_t kMostResultBytes = 1 << 20;
constexpr int kCannotStart = 127;                // a child's exit code when it never came to run

Status SystemError(const char* what) { return Status::IoError(fmt::format("{}: {}", what, std::strerror(errno))); }

/// In the new process, after fork(): system calls only.
[[noreturn]] void BecomeChild(int result_fd, const char* log_file, char* const* arguments) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);              // a benchmark that was interrupted leaves nobody behind
  const int log = open(log_file, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (log < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0) _exit(kCannotStart);
  // Not dup2 alone: onto itself it would leave close-on-exec set.
  if (result_fd == kResultFd ? fcntl(result_fd, F_SETFD, 0) < 0 : dup2(result_fd, kResultFd) < 0) _exit(kCannotStart);
  execv("/proc/self/exe", arguments);
  _exit(kCannotStart);
}

Result<std::string> ReadAll(int fd) {
  std::string text;
  char buffer[4096];
  while (text.size() < kMostResultBytes) {
    const ssize_t bytes = read(fd, buffer, sizeof buffer);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return SystemError("reading from a child process");
    if (bytes == 0) break;
    text.append(buffer, static_cast<std::size_t>(bytes));
  }
  return text;
}

Status WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t bytes = write(fd, text.data(), text.size());
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return SystemError("writing to the parent process");
    text.remove_prefix(static_cast<std::size_t>(bytes));
  }
  return {};
}

Result<Measurement> RunHere(std::span<const std::string> arguments) {
  if (arguments.size() < 3) return Status::InvalidArgument(fmt::format("{} wants an engine, a benchmark and a directory", kChildFlag));
  Result<Settings> settings = ParseSettings(arguments.subspan(3));
  if (!settings) return settings.error();
  const EngineKind* engine = FindEngine(arguments[0]);
  const Workload* workload = FindWorkload(arguments[1]);
  if (engine == nullptr || workload == nullptr) return Status::InvalidArgument(fmt::format("no {} on {} in this build", arguments[1], arguments[0]));
  prctl(PR_SET_NAME, fmt::format("bench-{}", arguments[0]).c_str());     // what top and perf show; engines' threads inherit it
  if (workload->synced) settings->wal_sync = WalFsync::kAlways;
  Result<std::unique_ptr<EngineAdapter>> adapter = engine->open(OptionsFor(*settings, arguments[2]));
  if (!adapter) return adapter.error();
  return RunWorkload(**adapter, *workload, *settings, arguments[2]);
}

}  // namespace

Result<Measurement> MeasureInChild(const Settings& settings, const std::string& engine, const std::string& workload, const std::string& dir,
                                   const std::string& log_file) {
  std::vector<std::string> words{"lsmkv-bench", kChildFlag, engine, workload, dir};
  for (std::string& argument : ToArguments(settings)) words.push_back(std::move(argument));
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SystemError("pipe2");
  const pid_t child = fork();
  if (child == 0) BecomeChild(ends[1], log_file.c_str(), arguments.data());
  close(ends[1]);
  if (child < 0) {
    close(ends[0]);
    return SystemError("fork");
  }
  const Result<std::string> text = ReadAll(ends[0]);
  close(ends[0]);
  int exit_status = 0;
  while (waitpid(child, &exit_status, 0) < 0) {
    if (errno != EINTR) return SystemError("waitpid");
  }
  const std::string what = fmt::format("{} on {}", workload, engine);
  if (WIFSIGNALED(exit_status))
    return Status::IoError(fmt::format("{}: its process was ended by signal {} ({}); what it said is in {}", what, WTERMSIG(exit_status),
                                       strsignal(WTERMSIG(exit_status)), log_file));
  if (!text) return text.status().WithContext(what);
  if (text->empty())
    return Status::IoError(fmt::format("{}: its process ended with code {} and no result; what it said is in {}", what, WEXITSTATUS(exit_status), log_file));
  Result<Measurement> measurement = ParseMeasurement(*text);
  if (!measurement) return measurement.status().WithContext(what);
  return measurement;
}

int RunAsChild(std::span<const std::string> arguments) {
  const Result<Measurement> measurement = RunHere(arguments);
  if (Status status = WriteAll(kResultFd, measurement ? ToJson(*measurement) : ErrorToJson(measurement.error())); !status.ok()) {
    std::fprintf(stderr, "lsmkv-bench: %s\n", status.message().c_str());
    return 1;
  }
  return measurement ? 0 : 1;
}

}  // namespace lsmkv::bench
