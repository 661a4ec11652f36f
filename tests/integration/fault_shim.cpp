// Faults of the operating system for a real server, preloaded (LD_PRELOAD): what no test can make happen otherwise.
//
//   LSMKV_FAULTS=DIR    DIR/fail              while it exists, calls fail. Each line is a rule: a call, an error, and a part of the file's path.
//                                             Calls: sync (fsync, fdatasync), sync-dir (fsync of a directory), write, read, open, rename;
//                                             errors: EIO, ENOSPC, EMFILE.
//                       DIR/slow              while it exists, calls take longer, at most until it is gone. Rules as above, with milliseconds in
//                                             place of the error; calls: sync, sync-dir, write.
//                       DIR/clock-offset-ms   holds a number, which is added to the wall clock; read again every few milliseconds
//                       DIR/short-io          while it exists, reads and writes of files, and sockets, now and then do a part of what they are asked for, or
//                                             nothing because a signal came (EINTR): all that they may do while nothing is wrong
//                       DIR/short-io-count    is there once it has done so a thousand times
//   LSMKV_LOSE_WRITES   set: writes to files in a directory wal/ say that they went well, and go nowhere. For a test of tests:
//                       whoever looks for lost writes must find some.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <vector>

namespace {

template <typename Function>
Function Next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

bool PathOf(int descriptor, char (&path)[4096]) {
  char link[64];
  std::snprintf(link, sizeof(link), "/proc/self/fd/%d", descriptor);
  const ssize_t size = ::readlink(link, path, sizeof(path) - 1);
  path[std::max<ssize_t>(size, 0)] = '\0';
  return size >= 0;
}

bool IsWalFile(int descriptor) {
  char path[4096];
  return PathOf(descriptor, path) && std::strstr(path, "/wal/wal_") != nullptr;
}

bool FaultPath(const char* name, char (&path)[4096]) {
  const char* const dir = std::getenv("LSMKV_FAULTS");
  if (dir == nullptr) return false;
  std::snprintf(path, sizeof(path), "%s/%s", dir, name);
  return true;
}

/// What DIR/`name` holds; "" when it is not there. Past this library's own open() and read().
void ReadFaultFile(const char* name, char (&text)[512]) {
  text[0] = '\0';
  char path[4096];
  if (!FaultPath(name, path)) return;
  const int file = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC));
  if (file < 0) return;
  const long size = ::syscall(SYS_read, file, text, sizeof(text) - 1);
  text[std::max(size, 0L)] = '\0';
  ::close(file);
}

int ErrorNamed(const char* name) { return std::strcmp(name, "ENOSPC") == 0 ? ENOSPC : std::strcmp(name, "EMFILE") == 0 ? EMFILE : EIO; }

/// Looks for the rule in DIR/`fault` that concerns `call` on `path`; `what` is the word between them then.
bool FindRule(const char* fault, const char* call, const char* path, char (&what)[32]) {
  char rules[512];
  const int before = errno;
  ReadFaultFile(fault, rules);
  errno = before;
  char* rest = nullptr;
  for (char* line = ::strtok_r(rules, "\n", &rest); line != nullptr; line = ::strtok_r(nullptr, "\n", &rest)) {
    char concerned[32], part[256];
    if (std::sscanf(line, "%31s %31s %255s", concerned, what, part) != 3) continue;
    if (std::strcmp(concerned, call) == 0 && std::strstr(path, part) != nullptr) return true;
  }
  return false;
}

bool FindRule(const char* fault, const char* call, int descriptor, char (&what)[32]) {
  char file[4096];
  if (!FaultPath(fault, file) || ::access(file, F_OK) != 0) return false;    // what is not wrong shall cost little
  char path[4096];
  return PathOf(descriptor, path) && FindRule(fault, call, path, what);
}

/// Whether a rule says that `call` on `file`, a path or a descriptor, fails; errno is set then.
template <typename File>
bool Fails(const char* call, File file) {
  char error[32];
  if (!FindRule("fail", call, file, error)) return false;
  errno = ErrorNamed(error);
  return true;
}

/// Takes the time that a rule says `call` takes.
void TakeTime(const char* call, int descriptor) {
  constexpr timespec kStep{0, 10'000'000};
  timespec begin{}, now{};
  ::clock_gettime(CLOCK_MONOTONIC, &begin);
  char text[32];
  while (FindRule("slow", call, descriptor, text)) {
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    if ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1'000'000 >= std::atol(text)) return;
    ::nanosleep(&kStep, nullptr);
  }
}

bool SyncFails(int descriptor) {
  struct stat info {};
  const char* const call = ::fstat(descriptor, &info) == 0 && S_ISDIR(info.st_mode) ? "sync-dir" : "sync";
  TakeTime(call, descriptor);
  return Fails(call, descriptor);
}

bool WriteFails(int descriptor) {
  TakeTime("write", descriptor);
  return Fails("write", descriptor);
}

bool IsFile(int descriptor) {
  struct stat info {};
  return ::fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode);
}

long long ReadOffset() {
  char text[512];
  ReadFaultFile("clock-offset-ms", text);
  return std::atoll(text);
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

/// How much of `size` to do: all of it, a part, or 0 for EINTR. Ends of files and empty calls are left alone.
size_t Shortened(size_t size) {
  constexpr long long kLookEveryMs = 5;
  static std::atomic<bool> on{false};
  static std::atomic<long long> looked_at{-kLookEveryMs};
  static std::atomic<unsigned> count{0};
  char path[4096];
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const long long ms = now.tv_sec * 1000LL + now.tv_nsec / 1'000'000;
  if (ms - looked_at.load() >= kLookEveryMs) {
    looked_at.store(ms);
    on.store(FaultPath("short-io", path) && ::access(path, F_OK) == 0);
  }
  if (!on.load() || size < 2) return size;
  thread_local unsigned state = static_cast<unsigned>(now.tv_nsec) | 1;
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  if (state % 3 != 0) return size;
  constexpr unsigned kTold = 1000;
  if (count.fetch_add(1) + 1 == kTold && FaultPath("short-io-count", path)) ::close(::open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  return state % 4 == 0 ? 0 : 1 + state / 16 % (size - 1);
}

/// `call(size)` with a part of the size, or EINTR.
template <typename Call>
ssize_t Shorter(size_t size, Call call) {
  const size_t part = Shortened(size);
  if (part > 0 || size == 0) return call(part);
  errno = EINTR;
  return -1;
}

/// What the first `size` bytes of `pieces` are.
std::vector<iovec> FirstBytes(const iovec* pieces, int count, size_t size) {
  std::vector<iovec> first;
  for (int i = 0; i < count && size > 0; ++i) {
    first.push_back({pieces[i].iov_base, std::min(pieces[i].iov_len, size)});
    size -= first.back().iov_len;
  }
  return first;
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
  if (loses && IsWalFile(descriptor)) return static_cast<ssize_t>(size);
  if (WriteFails(descriptor)) return -1;
  return Shorter(size, [&](size_t part) { return next(descriptor, data, part, offset); });
}

ssize_t pwritev(int descriptor, const iovec* pieces, int count, off_t offset) {
  static const auto next = Next<ssize_t (*)(int, const iovec*, int, off_t)>("pwritev");
  static const bool loses = std::getenv("LSMKV_LOSE_WRITES") != nullptr;
  size_t size = 0;
  for (int i = 0; i < count; ++i) size += pieces[i].iov_len;
  if (loses && IsWalFile(descriptor)) return static_cast<ssize_t>(size);
  if (WriteFails(descriptor)) return -1;
  return Shorter(size, [&](size_t part) {
    const std::vector<iovec> shorter = FirstBytes(pieces, count, part);
    return next(descriptor, shorter.data(), static_cast<int>(shorter.size()), offset);
  });
}

ssize_t pwritev64(int descriptor, const iovec* pieces, int count, off_t offset) { return pwritev(descriptor, pieces, count, offset); }

ssize_t pread(int descriptor, void* data, size_t size, off_t offset) {
  static const auto next = Next<ssize_t (*)(int, void*, size_t, off_t)>("pread");
  if (Fails("read", descriptor)) return -1;
  return Shorter(size, [&](size_t part) { return next(descriptor, data, part, offset); });
}

ssize_t read(int descriptor, void* data, size_t size) {
  static const auto next = Next<ssize_t (*)(int, void*, size_t)>("read");
  if (size < 16 || !IsFile(descriptor)) return next(descriptor, data, size);    // an eventfd is read whole or not at all
  if (Fails("read", descriptor)) return -1;
  return Shorter(size, [&](size_t part) { return next(descriptor, data, part); });
}

ssize_t write(int descriptor, const void* data, size_t size) {
  static const auto next = Next<ssize_t (*)(int, const void*, size_t)>("write");
  if (size < 16 || !IsFile(descriptor)) return next(descriptor, data, size);
  return WriteFails(descriptor) ? -1 : next(descriptor, data, size);
}

int open(const char* path, int flags, ...) {
  static const auto next = Next<int (*)(const char*, int, ...)>("open");
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return Fails("open", path) ? -1 : next(path, flags, mode);
}

int rename(const char* from, const char* to) noexcept {
  static const auto next = Next<int (*)(const char*, const char*)>("rename");
  return Fails("rename", to) ? -1 : next(from, to);
}

ssize_t pread64(int descriptor, void* data, size_t size, off_t offset) { return pread(descriptor, data, size, offset); }

ssize_t preadv2(int descriptor, const iovec* pieces, int count, off_t offset, int flags) {
  static const auto next = Next<ssize_t (*)(int, const iovec*, int, off_t, int)>("preadv2");
  if (Fails("read", descriptor)) return -1;
  if (count != 1) return next(descriptor, pieces, count, offset, flags);
  return Shorter(pieces->iov_len, [&](size_t part) {
    const iovec shorter{pieces->iov_base, part};
    return next(descriptor, &shorter, 1, offset, flags);
  });
}

ssize_t preadv64v2(int descriptor, const iovec* pieces, int count, off_t offset, int flags) {
  return preadv2(descriptor, pieces, count, offset, flags);
}

ssize_t recv(int descriptor, void* data, size_t size, int flags) {
  static const auto next = Next<ssize_t (*)(int, void*, size_t, int)>("recv");
  return Shorter(size, [&](size_t part) { return next(descriptor, data, part, flags); });
}

ssize_t send(int descriptor, const void* data, size_t size, int flags) {
  static const auto next = Next<ssize_t (*)(int, const void*, size_t, int)>("send");
  return Shorter(size, [&](size_t part) { return next(descriptor, data, part, flags); });
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
