#include "bench/work_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace lsmkv::bench {
namespace {

constexpr const char* kMark = "/.lsmkv-bench";

Status Failed(const std::string& what, const std::error_code& error) { return Status::IoError(fmt::format("{}: {}", what, error.message())); }

Status EmptyMarked(const std::string& dir) {
  std::error_code error;
  std::vector<std::filesystem::path> entries;
  for (const auto& entry : std::filesystem::directory_iterator(dir, error))
    if (entry.path().filename() != std::string_view(kMark).substr(1)) entries.push_back(entry.path());
  for (const auto& entry : entries) {
    if (error) break;
    std::filesystem::remove_all(entry, error);
  }
  return error ? Failed("emptying " + dir, error) : Status();
}

}  // namespace

Result<WorkDirectory> WorkDirectory::Open(std::string dir, bool keep_contents) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error) return Failed("making " + dir, error);
  const bool marked = std::filesystem::exists(dir + kMark, error);
  const bool empty = std::filesystem::is_empty(dir, error);
  if (error) return Failed("looking into " + dir, error);
  if (!marked && !empty)
    return Status::InvalidArgument(fmt::format("--dir {}: it holds files that are not this benchmark's; name an empty or a new directory", dir));
  if (marked && !keep_contents) {
    if (Status status = EmptyMarked(dir); !status.ok()) return status;
  }
  if (!std::ofstream(dir + kMark)) return Status::IoError(fmt::format("cannot write into {}", dir));
  return WorkDirectory(std::move(dir));
}

bool WorkDirectory::HasData(const std::string& engine) const {
  std::error_code error;
  return std::filesystem::exists(DataOf(engine), error);
}

Status WorkDirectory::RemoveData(const std::string& engine) const {
  std::error_code error;
  std::filesystem::remove_all(DataOf(engine), error);
  return error ? Failed("removing " + DataOf(engine), error) : Status();
}

Status WorkDirectory::Remove() const {
  std::error_code error;
  std::filesystem::remove_all(dir_, error);
  return error ? Failed("removing " + dir_, error) : Status();
}

Status WorkDirectory::SyncDisk() const {
  const int fd = open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Status::IoError(fmt::format("{}: {}", dir_, std::strerror(errno)));
  const bool synced = syncfs(fd) == 0;
  const int why = errno;
  close(fd);
  return synced ? Status() : Status::IoError(fmt::format("syncing {}: {}", dir_, std::strerror(why)));
}

}  // namespace lsmkv::bench
