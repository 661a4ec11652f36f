// A disk in memory that knows two states of everything: what the running system sees, and what is certain to be
// there after a power cut. The second catches up only on a sync.
//
//   file       bytes as written. Durable are the first `durable_prefix_` of them followed by `durable_tail_`, the durable
//              bytes that were cut off or written over since without a sync; and the list of changes that lead from these to those.
//   directory  names as visible, names as durable, and the list of changes that lead from these to those.
//
// A power cut turns both into one state. It may keep or lose each unsynced part on its own, as the mode says and, where
// that leaves a choice, as the seed says. What it may not do: touch a durable byte or name that nobody changed, or split
// a rename within one directory into halves.
// Threads: none of its own; FaultFileSystem holds a lock around it.
// Source: "All File Systems Are Not Created Equal" (Pillai et al., OSDI 2014) for what to expect of file systems.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "lsmkv/status.h"

namespace lsmkv {

/// What a power cut does to what was not synced.
enum class CutMode : std::uint8_t {
  kLost,        ///< all of it is gone, data and names
  kKept,        ///< all of it had just reached the disk
  kNamesKept,   ///< names are kept, data is gone: a renamed file may turn out empty
  kTorn512,     ///< each file keeps a part of its unsynced bytes that ends at a multiple of 512; behind it is what was durable
                ///< there, and then the file ends, or is zeros to its full size. Each changed name is kept or lost.
  kTorn4096,    ///< the same with 4096
  kOutOfOrder,  ///< each 4096-byte page with unsynced bytes arrived as it was after any of the writes to it, whatever happened to those
                ///< before it; one that did not arrive reads as what was durable, or zeros. Each changed name is kept or lost.
};

class DiskFile {
 public:
  const std::string& bytes() const { return bytes_; }
  bool IsDurable() const { return disk_ == nullptr && durable_prefix_ == bytes_.size() && durable_tail_.empty(); }
  /// Writes over what is there; a hole before `offset` is zeros.
  void WriteAt(std::uint64_t offset, std::string_view data);
  void Truncate(std::uint64_t size);
  void Sync();
  /// A sync has failed: what it should have made durable stays visible, but Sync() leaves it out from now on, until its page is written again.
  void GiveUpUnsynced();
  /// Replaces the contents; durable at once.
  void Replace(std::string bytes);
  void PowerCut(CutMode mode, std::mt19937_64& random);

 private:
  /// `data` at `begin`; or, where it is empty, the file was cut there.
  struct Write {
    std::uint64_t begin = 0;
    std::string data;
    bool Cuts() const { return data.empty(); }
  };

  /// Keeps the durable bytes from `begin` on, which are about to change, aside.
  void SetDurableAside(std::uint64_t begin);
  std::string DurableBytes() const { return bytes_.substr(0, durable_prefix_) + durable_tail_; }
  /// What is there of the durable bytes if nothing but the cuts has arrived.
  std::string DurableBytesLeft() const;
  void Tear(std::size_t sector_bytes, std::mt19937_64& random);
  void LosePages(std::size_t page_bytes, std::mt19937_64& random);
  /// Page [begin, end) after some of the writes to it; false: after none.
  bool PageArrives(std::uint64_t begin, std::uint64_t end, std::string* disk, std::mt19937_64& random) const;

  std::string bytes_;
  std::size_t durable_prefix_ = 0;   // at most bytes_.size()
  std::string durable_tail_;
  std::vector<Write> unsynced_;
  std::unique_ptr<DiskFile> disk_;   // once something was given up: what there is without it, and then what is durable or not is told here
};

struct DiskNode;
using DiskNames = std::map<std::string, std::shared_ptr<DiskNode>>;

class DiskDirectory {
 public:
  const DiskNames& names() const { return visible_; }
  std::shared_ptr<DiskNode> Find(const std::string& name) const;
  void Set(const std::string& name, std::shared_ptr<DiskNode> node) { Change({"", name, std::move(node)}); }
  void Remove(const std::string& name) { Change({name, "", nullptr}); }
  void Rename(const std::string& from, const std::string& to) { Change({from, to, Find(from)}); }
  void Sync();
  void PowerCut(CutMode mode, std::mt19937_64& random);

 private:
  /// First `removed` goes, then `added` comes; an empty name stands for nothing.
  struct NameChange {
    std::string removed;
    std::string added;
    std::shared_ptr<DiskNode> node;
  };
  static void Apply(const NameChange& change, DiskNames* names);
  void Change(NameChange change);

  DiskNames visible_;
  DiskNames durable_;
  std::vector<NameChange> unsynced_;
};

/// A file or a directory. Hard links are several names for one node; open handles share it too.
struct DiskNode {
  explicit DiskNode(bool as_directory) : is_directory(as_directory) {}
  const bool is_directory;
  DiskFile file;
  DiskDirectory directory;
  bool locked = false;
  std::uint64_t power_cuts = 0;   // how many it has been through, so that a file with two names is torn once
};

/// The tree of names. Paths are taken apart at slashes; relative ones start at the root too.
class FaultDisk {
 public:
  FaultDisk() : root_(std::make_shared<DiskNode>(true)) {}

  Result<std::shared_ptr<DiskNode>> Find(const std::string& path, std::string_view operation) const;
  Result<std::shared_ptr<DiskNode>> FindFile(const std::string& path, std::string_view operation) const;
  Result<std::shared_ptr<DiskNode>> FindDirectory(const std::string& path, std::string_view operation) const;
  /// The file at `path`, made when there is none.
  Result<std::shared_ptr<DiskNode>> MakeFile(const std::string& path, std::string_view operation);
  Status MakeDirectories(const std::string& path);
  /// A directory can be renamed only where it is: moved elsewhere, a power cut could leave it at both places.
  Status Rename(const std::string& from, const std::string& to);
  Status Link(const std::string& from, const std::string& to);
  Status RemoveFile(const std::string& path);
  Status RemoveDirectory(const std::string& path);
  /// How many names `node` has.
  std::uint64_t CountNames(const DiskNode& node) const;
  /// Bytes of all files that have a name, each file once.
  std::uint64_t UsedBytes() const;
  void PowerCut(std::uint64_t seed, CutMode mode);
  /// How many there have been; a handle of before the last one is dead.
  std::uint64_t power_cuts() const { return power_cuts_; }

 private:
  /// Where a name is or would be.
  struct Place {
    std::shared_ptr<DiskNode> parent;
    std::string name;
    std::shared_ptr<DiskNode> node;   // null: there is nothing of that name yet
  };
  Result<Place> FindPlace(const std::string& path, std::string_view operation) const;
  void CutNode(DiskNode* node, CutMode mode, std::mt19937_64& random);

  std::shared_ptr<DiskNode> root_;
  std::uint64_t power_cuts_ = 0;
};

}  // namespace lsmkv
