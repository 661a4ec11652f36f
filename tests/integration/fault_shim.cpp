// Faults of the operating system for a real server, preloaded (LD_PRELOAD): what no test can make happen otherwise.
//
//   LSMKV_FAULTS=DIR    DIR/fail-wal-sync     while it exists, fsync and fdatasync of files in a directory wal/ fail with EIO
//                       DIR/clock-offset-ms   holds a number, which is added to the wall clock; read again every few milliseconds
//   LSMKV_LOSE_WRITES   set: writes to files in a directory wal/ say that they went well, and go nowhere. For a test of tests:
//                       whoever looks for lost writes must find some.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace {

template <typename Function>
Function Next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

bool IsWalFile(int descriptor) {
  char link[64];
  char path[4096];
  std::snprintf(link, sizeof(link), "/proc/self/fd/%d", descriptor);
  const ssize_t size = ::readlink(link, path, sizeof(path) - 1);
  if (size < 0) return false;
  path[size] = '\0';
  return std::strstr(path, "/wal/wal_") != nullptr;
}

bool FaultPath(const char* name, char (&path)[4096]) {
  const char* const dir = std::getenv("LSMKV_FAULTS");
  if (dir == nullptr) return false;
  std::snprintf(path, sizeof(path), "%s/%s", dir, name);
  return true;
}

bool SyncFails(int descriptor) {
  char path[4096];
  if (!FaultPath("fail-wal-sync", path) || ::access(path, F_OK) != 0 || !IsWalFile(descriptor)) return false;
  errno = EIO;
  return true;
}

long long ReadOffset() {
  char path[4096];
  if (!FaultPath("clock-offset-ms", path)) return 0;
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[32] = {};
  const ssize_t size = ::read(file, text, sizeof(text) - 1);
  ::close(file);
  return size > 0 ? std::atoll(text) : 0;
}

long long OffsetMs(const timespec& monotonic) {
  constexpr long long kReadEveryMs = 5;
  static std::atomic<long long> offset{0};
  static std::atomic<long long> read_at{-kReadEveryMs};
  const long long now = monotonic.tv_sec * 1000LL + monotonic.tv_nsec / 1'000'000;
  if (now - read_at.load() >= kReadEveryMs) {
    read_at.store(now);
    offset.store(ReadOffset());
  }
  return offset.load();
}

}  // namespace

extern "C" {

int fdatasync(int descriptor) {
  static const auto next = Next<int (*)(int)>("fdatasync");
  return SyncFails(descriptor) ? -1 : next(descriptor);
}

int fsync(int descriptor) {
  static const auto next = Next<int (*)(int)>("fsync");
  return SyncFails(descriptor) ? -1 : next(descriptor);
}

ssize_t pwrite(int descriptor, const void* data, size_t size, off_t offset) {
  static const auto next = Next<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  static const bool loses = std::getenv("LSMKV_LOSE_WRITES") != nullptr;
  return loses && IsWalFile(descriptor) ? static_cast<ssize_t>(size) : next(descriptor, data, size, offset);
}

ssize_t pwrite64(int descriptor, const void* data, size_t size, off_t offset) { return pwrite(descriptor, data, size, offset); }

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  static const auto next = Next<int (*)(clockid_t, timespec*)>("clock_gettime");
  const int failed = next(clock, time);
  if (failed != 0 || clock != CLOCK_REALTIME) return failed;
  timespec monotonic{};
  next(CLOCK_MONOTONIC, &monotonic);
  const long long nanos = time->tv_nsec + (OffsetMs(monotonic) % 1000) * 1'000'000;
  time->tv_sec += static_cast<time_t>(OffsetMs(monotonic) / 1000 + (nanos < 0 ? -1 : nanos >= 1'000'000'000 ? 1 : 0));
  time->tv_nsec = static_cast<long>((nanos + 1'000'000'000) % 1'000'000'000);
  return 0;
}

}  // extern "C"
