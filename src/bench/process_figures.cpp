#include "bench/process_figures.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

#include "base/numbers.h"

// jemalloc's, where it is linked in.
extern "C" int mallctl(const char* name, void* old, std::size_t* old_bytes, void* fresh, std::size_t fresh_bytes) __attribute__((weak));

namespace lsmkv::bench {
namespace {

/// What stands behind "name:" in a file of such lines; nullopt when there is none.
std::optional<std::string> LineOf(const char* path, std::string_view name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::string_view text = line;
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos || text.substr(0, colon).find_last_not_of(" \t") + 1 != name.size() || !text.starts_with(name)) continue;
    const std::size_t begin = text.find_first_not_of(" \t", colon + 1);
    return begin == std::string_view::npos ? std::string() : std::string(text.substr(begin));
  }
  return std::nullopt;
}

/// The number at the head of such a line.
Result<std::uint64_t> NumberOf(const char* path, std::string_view name) {
  const std::optional<std::string> text = LineOf(path, name);
  const std::optional<std::uint64_t> number = text ? ParseUint64(text->substr(0, text->find(' '))) : std::nullopt;
  if (!number) return Status::Unsupported(fmt::format("{} has no '{}': the benchmark's figures come from there", path, name));
  return *number;
}

std::uint64_t Micros(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(time.tv_usec);
}

}  // namespace

Result<ProcessFigures> ReadProcessFigures() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return Status::IoError(fmt::format("getrusage: {}", std::strerror(errno)));
  constexpr const char* kIo = "/proc/self/io";
  const Result<std::uint64_t> device = NumberOf(kIo, "write_bytes");
  const Result<std::uint64_t> written = NumberOf(kIo, "wchar");
  const Result<std::uint64_t> read = NumberOf(kIo, "rchar");
  for (const auto* number : {&device, &written, &read})
    if (!*number) return number->error();
  return ProcessFigures{Micros(usage.ru_utime) + Micros(usage.ru_stime), *device, *written, *read};
}

Result<MemoryFigures> ReadMemoryFigures() {
  constexpr const char* kStatus = "/proc/self/status";
  const Result<std::uint64_t> peak = NumberOf(kStatus, "VmHWM");
  const Result<std::uint64_t> anonymous = NumberOf(kStatus, "RssAnon");
  if (!peak) return peak.error();
  if (!anonymous) return anonymous.error();
  return MemoryFigures{*peak * 1024, *anonymous * 1024};
}

Result<DirectoryFigures> MeasureDirectory(const std::string& dir) {
  constexpr std::uint64_t kStatBlockBytes = 512;     // whatever the file system's own block is
  DirectoryFigures figures;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator entry(dir, error), end; !error && entry != end; entry.increment(error)) {
    struct stat status{};
    if (lstat(entry->path().c_str(), &status) != 0) continue;      // removed meanwhile by the engine
    const std::uint64_t bytes = static_cast<std::uint64_t>(status.st_blocks) * kStatBlockBytes;
    figures.bytes += bytes;
    if (entry->path().extension() == ".log") figures.log_bytes += bytes;
  }
  if (error) return Status::IoError(fmt::format("reading {}: {}", dir, error.message()));
  return figures;
}

Machine ReadMachine() {
  Machine machine;
  machine.cpu = LineOf("/proc/cpuinfo", "model name").value_or("unknown");
  machine.cores = static_cast<std::uint64_t>(std::max(sysconf(_SC_NPROCESSORS_ONLN), 1L));
  machine.memory_mb = NumberOf("/proc/meminfo", "MemTotal").value_or(0) / 1024;
  utsname kernel{};
  machine.kernel = uname(&kernel) == 0 ? fmt::format("{} {}", kernel.sysname, kernel.release) : "unknown";
  machine.allocator = "the C library's malloc";
  const char* version = nullptr;
  std::size_t bytes = sizeof version;
  if (mallctl != nullptr && mallctl("version", &version, &bytes, nullptr, 0) == 0)
    machine.allocator = fmt::format("jemalloc {}", std::string_view(version).substr(0, std::string_view(version).find('-')));
  return machine;
}

Result<std::string> FileSystemOf(const std::string& dir) {
  struct statfs status{};
  if (statfs(dir.c_str(), &status) != 0) return Status::IoError(fmt::format("{}: {}", dir, std::strerror(errno)));
  struct Name { std::uint64_t type; const char* name; };
  constexpr Name kNames[] = {{0xEF53, "ext4"}, {0x58465342, "xfs"}, {0x9123683E, "btrfs"}, {0x01021994, "tmpfs"}, {0x794C7630, "overlayfs"}, {0x2FC12FC1, "zfs"}};
  const auto type = static_cast<std::uint64_t>(status.f_type) & 0xFFFFFFFFu;
  for (const Name& name : kNames)
    if (name.type == type) return std::string(name.name);
  return fmt::format("file system {:#x}", type);
}

}  // namespace lsmkv::bench
