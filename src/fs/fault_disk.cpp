#include "fs/fault_disk.h"

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "fs/errno_status.h"

namespace lsmkv {
namespace {

constexpr std::size_t kPageBytes = 4096;

bool TossCoin(std::mt19937_64& random) { return (random() & 1) != 0; }

std::vector<std::string> PathParts(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (part == ".." && !parts.empty()) parts.pop_back();
    if (!part.empty() && part != "." && part != "..") parts.emplace_back(part);
  }
  return parts;
}

void AddUsedBytes(const DiskNode& node, std::set<const DiskNode*>* counted, std::uint64_t* bytes) {
  if (!counted->insert(&node).second) return;
  *bytes += node.file.bytes().size();
  for (const auto& [name, child] : node.directory.names()) AddUsedBytes(*child, counted, bytes);
}

std::uint64_t CountNamesBelow(const DiskNode& directory, const DiskNode& node) {
  std::uint64_t names = 0;
  for (const auto& [name, child] : directory.directory.names()) names += (child.get() == &node ? 1 : 0) + CountNamesBelow(*child, node);
  return names;
}

}  // namespace

// ---- files

void DiskFile::SetDurableAside(std::uint64_t begin) {
  if (begin >= durable_prefix_) return;
  durable_tail_.insert(0, bytes_, begin, durable_prefix_ - begin);
  durable_prefix_ = begin;
}

void DiskFile::WriteAt(std::uint64_t offset, std::string_view data) {
  if (data.empty()) return;
  SetDurableAside(offset);
  if (bytes_.size() < offset) bytes_.resize(offset, '\0');
  bytes_.replace(offset, data.size(), data);
  unsynced_.push_back({offset, std::string(data)});
  if (disk_ == nullptr) return;
  const std::size_t begin = offset / kPageBytes * kPageBytes;      // whole pages, as they are seen, go to the disk
  const std::size_t end = std::min((offset + data.size() + kPageBytes - 1) / kPageBytes * kPageBytes, bytes_.size());
  disk_->WriteAt(begin, std::string_view(bytes_).substr(begin, end - begin));
}

void DiskFile::Truncate(std::uint64_t size) {
  SetDurableAside(size);
  bytes_.resize(size, '\0');
  unsynced_.push_back({size, ""});
  if (disk_ != nullptr) disk_->Truncate(size);
}

void DiskFile::GiveUpUnsynced() {
  if (IsDurable()) return;
  auto left = std::make_unique<DiskFile>();
  left->Replace(disk_ != nullptr ? disk_->DurableBytes() : DurableBytes());
  disk_ = std::move(left);
}

void DiskFile::Sync() {
  if (disk_ != nullptr) {
    disk_->Sync();
    if (disk_->bytes_ != bytes_) return;
    disk_.reset();                       // all that was given up has been written again
  }
  durable_prefix_ = bytes_.size();
  durable_tail_.clear();
  unsynced_.clear();
}

void DiskFile::Replace(std::string bytes) {
  disk_.reset();
  bytes_ = std::move(bytes);
  Sync();
}

void DiskFile::PowerCut(CutMode mode, std::mt19937_64& random) {
  if (IsDurable()) return;
  if (disk_ != nullptr) {
    disk_->PowerCut(mode, random);
    return Replace(disk_->bytes_);
  }
  switch (mode) {
    case CutMode::kLost:
    case CutMode::kNamesKept: bytes_ = DurableBytes(); break;
    case CutMode::kKept: break;
    case CutMode::kTorn512: Tear(512, random); break;
    case CutMode::kTorn4096: Tear(4096, random); break;
    case CutMode::kOutOfOrder: LosePages(kPageBytes, random); break;
  }
  Sync();
}

std::string DiskFile::DurableBytesLeft() const {
  std::string left = DurableBytes();
  for (const Write& write : unsynced_) {
    if (write.Cuts() && write.begin < left.size()) left.resize(write.begin);
  }
  return left;
}

void DiskFile::Tear(std::size_t sector_bytes, std::mt19937_64& random) {
  // Durable bytes that were cut off or written over may be back: then nothing that came later has arrived.
  if (!durable_tail_.empty() && TossCoin(random)) {
    bytes_ = DurableBytes();
    return;
  }
  const std::size_t first_sector = durable_prefix_ / sector_bytes + 1;   // ends of sectors behind the durable part
  const std::size_t last_sector = bytes_.size() / sector_bytes;
  std::vector<std::size_t> ends = {durable_prefix_, bytes_.size()};
  for (std::size_t sector = first_sector; sector <= last_sector; ++sector) ends.push_back(sector * sector_bytes);
  const std::size_t full_bytes = bytes_.size();
  const std::size_t end = ends[random() % ends.size()];
  const std::string durable = DurableBytesLeft();
  bytes_.resize(end);
  if (durable.size() > end) bytes_.append(durable, end);
  if (bytes_.size() < full_bytes && TossCoin(random)) bytes_.resize(full_bytes, '\0');
}

bool DiskFile::PageArrives(std::uint64_t begin, std::uint64_t end, std::string* disk, std::mt19937_64& random) const {
  const auto touches = [&](const Write& write) { return write.begin < end && (write.Cuts() || write.begin + write.data.size() > begin); };
  const auto writes = static_cast<std::uint64_t>(std::ranges::count_if(unsynced_, touches));
  std::uint64_t arrived = random() % (writes + 1);
  if (arrived == 0) return false;
  for (const Write& write : unsynced_) {
    if (!touches(write)) continue;
    const std::uint64_t from = std::max(begin, write.begin);
    const std::uint64_t to = write.Cuts() ? end : std::min<std::uint64_t>(end, write.begin + write.data.size());
    for (std::uint64_t at = from; at < to; ++at) (*disk)[at] = write.Cuts() ? '\0' : write.data[at - write.begin];
    if (--arrived == 0) break;
  }
  return true;
}

void DiskFile::LosePages(std::size_t page_bytes, std::mt19937_64& random) {
  if (!durable_tail_.empty() && TossCoin(random)) {
    bytes_ = DurableBytes();
    return;
  }
  std::string disk = DurableBytesLeft();
  std::size_t end = disk.size();
  disk.resize(std::max(end, bytes_.size()), '\0');
  for (std::size_t begin = durable_prefix_; begin < bytes_.size();) {
    const std::size_t page_end = std::min((begin / page_bytes + 1) * page_bytes, bytes_.size());
    if (PageArrives(begin, page_end, &disk, random)) end = std::max(end, page_end);
    begin = page_end;
  }
  bytes_ = std::move(disk);
  if (TossCoin(random)) bytes_.resize(end);   // the size, too, may or may not have arrived before the data
}

// ---- directories

std::shared_ptr<DiskNode> DiskDirectory::Find(const std::string& name) const {
  const auto found = visible_.find(name);
  return found == visible_.end() ? nullptr : found->second;
}

void DiskDirectory::Apply(const NameChange& change, DiskNames* names) {
  if (!change.removed.empty()) names->erase(change.removed);
  if (!change.added.empty()) (*names)[change.added] = change.node;
}

void DiskDirectory::Change(NameChange change) {
  Apply(change, &visible_);
  unsynced_.push_back(std::move(change));
}

void DiskDirectory::Sync() {
  durable_ = visible_;
  unsynced_.clear();
}

void DiskDirectory::PowerCut(CutMode mode, std::mt19937_64& random) {
  if (mode == CutMode::kLost) {
    visible_ = durable_;
  } else if (mode != CutMode::kKept && mode != CutMode::kNamesKept) {
    visible_ = durable_;
    for (const NameChange& change : unsynced_) {
      if (TossCoin(random)) Apply(change, &visible_);
    }
  }
  Sync();
}

// ---- the tree

Result<FaultDisk::Place> FaultDisk::FindPlace(const std::string& path, std::string_view operation) const {
  std::vector<std::string> parts = PathParts(path);
  if (parts.empty()) return Place{nullptr, "", root_};
  Place place{root_, std::move(parts.back()), nullptr};
  parts.pop_back();
  for (const std::string& part : parts) {
    place.parent = place.parent->directory.Find(part);
    if (!place.parent) return ErrnoStatus(path, operation, ENOENT);
    if (!place.parent->is_directory) return ErrnoStatus(path, operation, ENOTDIR);
  }
  place.node = place.parent->directory.Find(place.name);
  return place;
}

Result<std::shared_ptr<DiskNode>> FaultDisk::Find(const std::string& path, std::string_view operation) const {
  Result<Place> place = FindPlace(path, operation);
  if (!place) return place.error();
  if (!place->node) return ErrnoStatus(path, operation, ENOENT);
  return std::move(place->node);
}

Result<std::shared_ptr<DiskNode>> FaultDisk::FindFile(const std::string& path, std::string_view operation) const {
  Result<std::shared_ptr<DiskNode>> node = Find(path, operation);
  if (node && (*node)->is_directory) return ErrnoStatus(path, operation, EISDIR);
  return node;
}

Result<std::shared_ptr<DiskNode>> FaultDisk::FindDirectory(const std::string& path, std::string_view operation) const {
  Result<std::shared_ptr<DiskNode>> node = Find(path, operation);
  if (node && !(*node)->is_directory) return ErrnoStatus(path, operation, ENOTDIR);
  return node;
}

Result<std::shared_ptr<DiskNode>> FaultDisk::MakeFile(const std::string& path, std::string_view operation) {
  Result<Place> place = FindPlace(path, operation);
  if (!place) return place.error();
  if (place->node && place->node->is_directory) return ErrnoStatus(path, operation, EISDIR);
  if (!place->node) {
    place->node = std::make_shared<DiskNode>(false);
    place->parent->directory.Set(place->name, place->node);
  }
  return std::move(place->node);
}

Status FaultDisk::MakeDirectories(const std::string& path) {
  std::shared_ptr<DiskNode> directory = root_;
  for (const std::string& part : PathParts(path)) {
    std::shared_ptr<DiskNode> child = directory->directory.Find(part);
    if (!child) {
      child = std::make_shared<DiskNode>(true);
      directory->directory.Set(part, child);
    }
    if (!child->is_directory) return ErrnoStatus(path, "mkdir", ENOTDIR);
    directory = std::move(child);
  }
  return Status::Ok();
}

Status FaultDisk::Rename(const std::string& from, const std::string& to) {
  const std::string operation = "rename to " + to;
  const Result<Place> source = FindPlace(from, operation);
  const Result<Place> target = FindPlace(to, operation);
  if (!source) return source.error();
  if (!target) return target.error();
  if (!source->node) return ErrnoStatus(from, operation, ENOENT);
  if (!source->parent || !target->parent) return ErrnoStatus(from, operation, EBUSY);
  if (source->node == target->node) return Status::Ok();   // as rename(2): two links of one file both stay
  if (source->node->is_directory && source->parent != target->parent) return ErrnoStatus(from, operation, EXDEV);
  if (target->node) {
    if (target->node->is_directory && !source->node->is_directory) return ErrnoStatus(from, operation, EISDIR);
    if (!target->node->is_directory && source->node->is_directory) return ErrnoStatus(from, operation, ENOTDIR);
    if (!target->node->directory.names().empty()) return ErrnoStatus(from, operation, ENOTEMPTY);
  }
  if (source->parent == target->parent) {
    source->parent->directory.Rename(source->name, target->name);
  } else {
    target->parent->directory.Set(target->name, source->node);
    source->parent->directory.Remove(source->name);
  }
  return Status::Ok();
}

Status FaultDisk::Link(const std::string& from, const std::string& to) {
  const std::string operation = "link to " + to;
  const Result<std::shared_ptr<DiskNode>> source = Find(from, operation);
  const Result<Place> target = FindPlace(to, operation);
  if (!source) return source.error();
  if (!target) return target.error();
  if (target->node) return ErrnoStatus(from, operation, EEXIST);
  if ((*source)->is_directory) return ErrnoStatus(from, operation, EPERM);
  target->parent->directory.Set(target->name, *source);
  return Status::Ok();
}

Status FaultDisk::RemoveFile(const std::string& path) {
  const Result<Place> place = FindPlace(path, "unlink");
  if (!place) return place.error();
  if (!place->node) return ErrnoStatus(path, "unlink", ENOENT);
  if (place->node->is_directory) return ErrnoStatus(path, "unlink", EISDIR);
  place->parent->directory.Remove(place->name);
  return Status::Ok();
}

Status FaultDisk::RemoveDirectory(const std::string& path) {
  const Result<Place> place = FindPlace(path, "rmdir");
  if (!place) return place.error();
  if (!place->node) return ErrnoStatus(path, "rmdir", ENOENT);
  if (!place->node->is_directory) return ErrnoStatus(path, "rmdir", ENOTDIR);
  if (!place->parent) return ErrnoStatus(path, "rmdir", EBUSY);
  if (!place->node->directory.names().empty()) return ErrnoStatus(path, "rmdir", ENOTEMPTY);
  place->parent->directory.Remove(place->name);
  return Status::Ok();
}

std::uint64_t FaultDisk::CountNames(const DiskNode& node) const { return CountNamesBelow(*root_, node); }

std::uint64_t FaultDisk::UsedBytes() const {
  std::uint64_t bytes = 0;
  std::set<const DiskNode*> counted;
  AddUsedBytes(*root_, &counted, &bytes);
  return bytes;
}

void FaultDisk::PowerCut(std::uint64_t seed, CutMode mode) {
  ++power_cuts_;
  std::mt19937_64 random(seed);
  CutNode(root_.get(), mode, random);
}

void FaultDisk::CutNode(DiskNode* node, CutMode mode, std::mt19937_64& random) {
  if (node->power_cuts == power_cuts_) return;
  node->power_cuts = power_cuts_;
  node->locked = false;
  node->file.PowerCut(mode, random);
  node->directory.PowerCut(mode, random);
  for (const auto& [name, child] : node->directory.names()) CutNode(child.get(), mode, random);
}

}  // namespace lsmkv
