#include "fs/fault_file_system.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.h"
#include "base/simulated_thread.h"
#include "fs/errno_status.h"
#include "fs/fault_handles.h"

namespace lsmkv {
namespace {

/// What FreeBytes() says of a disk without a capacity.
constexpr std::uint64_t kPlentyBytes = std::uint64_t{1} << 40;

}  // namespace

// ---- faults

bool FaultFileSystem::Concerns(Fault fault, Call call) {
  const bool reads = call == Call::kLook || call == Call::kOpen || call == Call::kRead;
  switch (fault) {
    case Fault::kIoError: return true;
    case Fault::kReadError: return reads;
    case Fault::kWriteError: return !reads;
    case Fault::kNoSpace:
      return call == Call::kCreate || call == Call::kAppend || call == Call::kRename || call == Call::kLink;
    case Fault::kShortWrite: return call == Call::kAppend;
    case Fault::kFailedSync: return call == Call::kSync;
    case Fault::kFailedRename: return call == Call::kRename;
    case Fault::kNoSpaceSync: return call == Call::kSync || call == Call::kClose;
  }
  return false;
}

std::optional<FaultFileSystem::Struck> FaultFileSystem::Strike(Call call, const std::string& path) {
  ++calls_;
  NoteForTrace(static_cast<std::uint64_t>(call));
  for (std::size_t fault = 0; fault < kFaults; ++fault) {
    if (Concerns(static_cast<Fault>(fault), call)) ++calls_concerned_[fault];
  }
  std::optional<Struck> struck;
  for (ArmedFault& armed : armed_) {
    if (!Concerns(armed.fault, call)) continue;
    if (armed.calls_left > 1) {
      --armed.calls_left;
    } else {
      struck = Struck{armed.fault, armed.span};
      if (armed.span == FaultSpan::kOnce) armed.calls_left = 0;
    }
  }
  std::erase_if(armed_, [](const ArmedFault& armed) { return armed.calls_left == 0; });
  if (on_call_) on_call_(call, path, struck ? std::optional(struck->fault) : std::nullopt);
  if (!struck) return struck;
  ++fired_;
  if (on_fault_) on_fault_();
  return struck;
}

Status FaultFileSystem::Count(Call call, const std::string& path, std::string_view operation) {
  const std::optional<Struck> struck = Strike(call, path);
  return struck ? ErrnoStatus(path, operation, ErrnoOf(struck->fault)) : Status::Ok();
}

Status FaultFileSystem::CountSync(const std::string& path, std::string_view operation, DiskNode* node) {
  std::optional<Struck> struck = Strike(Call::kSync, path);
  const auto matches = [&](const std::string& part) { return path.find(part) != std::string::npos; };
  if (!struck && std::ranges::any_of(failing_syncs_, matches)) {
    ++fired_;
    struck = Struck{Fault::kFailedSync, FaultSpan::kFromThenOn};
  }
  if (!struck) return Status::Ok();
  const bool all_is_over = struck->span == FaultSpan::kFromThenOn && (struck->fault == Fault::kIoError || struck->fault == Fault::kWriteError);
  if (!all_is_over && node != nullptr) node->file.GiveUpUnsynced();
  return ErrnoStatus(path, operation, ErrnoOf(struck->fault));
}

Status FaultFileSystem::CountRead(const std::string& path, std::uint64_t offset, std::size_t size) {
  if (Status counted = Count(Call::kRead, path, "read"); !counted.ok()) return counted;
  for (const auto& [part, bad] : bad_sectors_) {
    if (path.find(part) != std::string::npos && offset <= bad && bad - offset < size) return ErrnoStatus(path, "read", EIO);
  }
  return Status::Ok();
}

std::uint64_t FaultFileSystem::MostWithoutWriteback(const std::string& path_substring) const {
  MutexLock lock(mutex_);
  std::uint64_t most = 0;
  for (const auto& [path, bytes] : most_without_writeback_)
    if (path.find(path_substring) != std::string::npos) most = std::max(most, bytes);
  return most;
}

void FaultFileSystem::LieAboutSyncs(std::function<bool(const std::string& path)> lies_about) {
  MutexLock lock(mutex_);
  lies_about_ = std::move(lies_about);
}

void FaultFileSystem::LagSyncs(std::function<bool(const std::string& path)> lags, int by) {
  MutexLock lock(mutex_);
  lags_ = std::move(lags);
  lag_syncs_ = by;
  lagging_.clear();
}

void FaultFileSystem::MakeDurable(const std::string& path, const std::shared_ptr<DiskNode>& node) {
  const auto sync = [](DiskNode& synced) { synced.is_directory ? synced.directory.Sync() : synced.file.Sync(); };
  std::erase_if(lagging_, [&](LaggingSync& lagging) {
    if (--lagging.syncs_left > 0) return false;
    sync(*lagging.node);
    return true;
  });
  if (LiesAbout(path)) return;
  if (lags_ && lags_(path)) return lagging_.push_back({node, lag_syncs_});
  sync(*node);
}

void FaultFileSystem::FailCall(std::uint64_t n, Fault fault, FaultSpan span) {
  LSMKV_ASSERT(n > 0);
  MutexLock lock(mutex_);
  armed_.push_back({fault, n, span});
}

void FaultFileSystem::FailSyncs(const std::string& path_substring) {
  MutexLock lock(mutex_);
  failing_syncs_.push_back(path_substring);
}

void FaultFileSystem::FailReads(const std::string& path_substring, std::uint64_t offset) {
  MutexLock lock(mutex_);
  bad_sectors_.emplace_back(path_substring, offset);
}

void FaultFileSystem::OnFault(std::function<void()> told) {
  MutexLock lock(mutex_);
  on_fault_ = std::move(told);
}

void FaultFileSystem::OnCall(CallListener told) {
  MutexLock lock(mutex_);
  on_call_ = std::move(told);
}

void FaultFileSystem::ClearFaults() {
  MutexLock lock(mutex_);
  armed_.clear();
  failing_syncs_.clear();
  bad_sectors_.clear();
}

void FaultFileSystem::SetCapacity(std::uint64_t bytes) {
  MutexLock lock(mutex_);
  capacity_bytes_ = bytes;
}

void FaultFileSystem::PowerCut(std::uint64_t seed, CutMode mode) {
  MutexLock lock(mutex_);
  lagging_.clear();
  disk_.PowerCut(seed, mode);
}

Status FaultFileSystem::Mutate(const std::string& path, const std::function<void(std::string& bytes)>& change) {
  MutexLock lock(mutex_);
  const Result<std::shared_ptr<DiskNode>> node = disk_.FindFile(path, "mutate");
  if (!node) return node.error();
  std::string bytes = (*node)->file.bytes();
  change(bytes);
  (*node)->file.Replace(std::move(bytes));
  return Status::Ok();
}

Status FaultFileSystem::FlipBit(const std::string& path, std::uint64_t bit) {
  bool inside = false;
  Status found = Mutate(path, [&](std::string& bytes) {
    inside = bit / 8 < bytes.size();
    if (inside) bytes[bit / 8] = static_cast<char>(static_cast<std::uint8_t>(bytes[bit / 8]) ^ (1u << (bit % 8)));
  });
  if (!found.ok() || inside) return found;
  return Status::InvalidArgument(path + ": has no bit " + std::to_string(bit));
}

std::vector<FaultFileSystem::ReadSeen> FaultFileSystem::TakeReads() {
  const MutexLock lock(mutex_);
  std::vector<ReadSeen> seen;
  if (reads_) seen.swap(*reads_);
  reads_.emplace();
  return seen;
}

std::uint64_t FaultFileSystem::calls() const {
  MutexLock lock(mutex_);
  return calls_;
}

std::uint64_t FaultFileSystem::calls(Fault fault) const {
  MutexLock lock(mutex_);
  return calls_concerned_[static_cast<std::size_t>(fault)];
}

std::uint64_t FaultFileSystem::fired() const {
  MutexLock lock(mutex_);
  return fired_;
}

std::uint64_t FaultFileSystem::FreeBytesLocked() const {
  if (!capacity_bytes_) return kPlentyBytes;
  return *capacity_bytes_ - std::min(*capacity_bytes_, disk_.UsedBytes());
}

// ---- FileSystem

Result<std::unique_ptr<WritableFile>> FaultFileSystem::NewWritableFile(const std::string& path) {
  MutexLock lock(mutex_);
  if (Status counted = Count(Call::kCreate, path, "open"); !counted.ok()) return counted;
  Result<std::shared_ptr<DiskNode>> node = disk_.MakeFile(path, "open");
  if (!node) return node.error();
  (*node)->file.Truncate(0);
  return std::make_unique<WritableHandle>(*this, path, std::move(*node), disk_.power_cuts());
}

Result<std::unique_ptr<RandomAccessFile>> FaultFileSystem::NewRandomAccessFile(const std::string& path) {
  MutexLock lock(mutex_);
  if (Status counted = Count(Call::kOpen, path, "open"); !counted.ok()) return counted;
  Result<std::shared_ptr<DiskNode>> node = disk_.FindFile(path, "open");
  if (!node) return node.error();
  return std::make_unique<ReadHandle>(*this, path, std::move(*node), disk_.power_cuts());
}

Result<std::string> FaultFileSystem::ReadWholeFile(const std::string& path) {
  MutexLock lock(mutex_);
  if (Status counted = Count(Call::kRead, path, "read"); !counted.ok()) return counted;
  const Result<std::shared_ptr<DiskNode>> node = disk_.FindFile(path, "open");
  if (!node) return node.error();
  return (*node)->file.bytes();
}

Status FaultFileSystem::SyncFile(const std::string& path) {
  MutexLock lock(mutex_);
  const Result<std::shared_ptr<DiskNode>> node = disk_.FindFile(path, "fdatasync");
  if (Status counted = CountSync(path, "fdatasync", node ? node->get() : nullptr); !counted.ok()) return counted;
  if (!node) return node.error();
  MakeDurable(path, *node);
  return Status::Ok();
}

Status FaultFileSystem::Truncate(const std::string& path, std::uint64_t size) {
  MutexLock lock(mutex_);
  if (Status counted = Count(Call::kResize, path, "truncate"); !counted.ok()) return counted;
  const Result<std::shared_ptr<DiskNode>> node = disk_.FindFile(path, "truncate");
  if (!node) return node.error();
  if (size > (*node)->file.bytes().size()) return ErrnoStatus(path, "truncate", EINVAL);
  (*node)->file.Truncate(size);
  return Status::Ok();
}

Result<std::unique_ptr<WritableFile>> FaultFileSystem::OpenToRewrite(const std::string& path, std::uint64_t offset) {
  MutexLock lock(mutex_);
  if (Status counted = Count(Call::kResize, path, "open"); !counted.ok()) return counted;
  Result<std::shared_ptr<DiskNode>> node = disk_.FindFile(path, "open");
  if (!node) return node.error();
  if (offset > (*node)->file.bytes().size()) return ErrnoStatus(path, "open", EINVAL);
  return std::make_unique<WritableHandle>(*this, path, std::move(*node), disk_.power_cuts(), offset);
}

Status FaultFileSystem::Rename(const std::string& from, const std::string& to) {
  MutexLock lock(mutex_);
  if (Status counted = Count(Call::kRename, from, "rename to " + to); !counted.ok()) return counted;
  return disk_.Rename(from, to);
}

Result<std::unique_ptr<WritableFile>> FaultFileSystem::RenameToOverwrite(const std::string& from, const std::string& to,
                                                                         std::uint64_t zeros_behind) {
  MutexLock lock(mutex_);
  if (Status counted = Count(Call::kRename, from, "rename to " + to); !counted.ok()) return counted;
  Result<std::shared_ptr<DiskNode>> node = disk_.FindFile(from, "open");
  if (!node) return node.error();
  if (disk_.CountNames(**node) != 1) return Status::Busy(from + ": has another name, and may not be written over");
  if (Status renamed = disk_.Rename(from, to); !renamed.ok()) return renamed;
  const std::uint64_t old_bytes = (*node)->file.bytes().size();
  return std::make_unique<WritableHandle>(*this, to, std::move(*node), disk_.power_cuts(), old_bytes, zeros_behind);
}

Status FaultFileSystem::Link(const std::string& from, const std::string& to) {
  MutexLock lock(mutex_);
  if (Status counted = Count(Call::kLink, from, "link to " + to); !counted.ok()) return counted;
  return disk_.Link(from, to);
}

Status FaultFileSystem::RemoveFile(const std::string& path) {
  MutexLock lock(mutex_);
  if (Status counted = Count(Call::kRemove, path, "unlink"); !counted.ok()) return counted;
  return disk_.RemoveFile(path);
}

Status FaultFileSystem::RemoveDirectory(const std::string& path) {
  MutexLock lock(mutex_);
  if (Status counted = Count(Call::kRemove, path, "rmdir"); !counted.ok()) return counted;
  return disk_.RemoveDirectory(path);
}

Status FaultFileSystem::CreateDirectories(const std::string& path) {
  MutexLock lock(mutex_);
  if (Status counted = Count(Call::kCreate, path, "mkdir"); !counted.ok()) return counted;
  return disk_.MakeDirectories(path);
}

Status FaultFileSystem::SyncDirectory(const std::string& path) {
  MutexLock lock(mutex_);
  if (Status counted = CountSync(path, "fsync", nullptr); !counted.ok()) return counted;
  const Result<std::shared_ptr<DiskNode>> node = disk_.FindDirectory(path, "fsync");
  if (!node) return node.error();
  MakeDurable(path, *node);
  return Status::Ok();
}

Result<std::vector<std::string>> FaultFileSystem::ListDirectory(const std::string& path) {
  MutexLock lock(mutex_);
  if (Status counted = Count(Call::kLook, path, "opendir"); !counted.ok()) return counted;
  const Result<std::shared_ptr<DiskNode>> node = disk_.FindDirectory(path, "opendir");
  if (!node) return node.error();
  std::vector<std::string> names;
  for (const auto& [name, child] : (*node)->directory.names()) names.push_back(name);
  return names;
}

Result<std::uint64_t> FaultFileSystem::FileSize(const std::string& path) {
  MutexLock lock(mutex_);
  if (Status counted = Count(Call::kLook, path, "stat"); !counted.ok()) return counted;
  const Result<std::shared_ptr<DiskNode>> node = disk_.FindFile(path, "stat");
  if (!node) return node.error();
  return (*node)->file.bytes().size();
}

bool FaultFileSystem::Exists(const std::string& path) {
  MutexLock lock(mutex_);
  return disk_.Find(path, "stat").has_value();
}

Result<std::uint64_t> FaultFileSystem::FreeBytes(const std::string& path) {
  MutexLock lock(mutex_);
  if (Status counted = Count(Call::kLook, path, "statvfs"); !counted.ok()) return counted;
  if (const auto node = disk_.Find(path, "statvfs"); !node) return node.error();
  return FreeBytesLocked();
}

Result<std::uint64_t> FaultFileSystem::TotalBytes(const std::string& path) {
  MutexLock lock(mutex_);
  if (Status counted = Count(Call::kLook, path, "statvfs"); !counted.ok()) return counted;
  if (const auto node = disk_.Find(path, "statvfs"); !node) return node.error();
  return capacity_bytes_.value_or(kPlentyBytes);
}

Result<std::unique_ptr<FileLock>> FaultFileSystem::Lock(const std::string& path) {
  MutexLock lock(mutex_);
  if (Status counted = Count(Call::kCreate, path, "open"); !counted.ok()) return counted;
  Result<std::shared_ptr<DiskNode>> node = disk_.MakeFile(path, "open");
  if (!node) return node.error();
  if ((*node)->locked) return Status::Busy(path + ": lock: held by another");
  (*node)->locked = true;
  return std::make_unique<LockHandle>(*this, std::move(*node), disk_.power_cuts());
}

}  // namespace lsmkv
