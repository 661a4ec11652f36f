// What one read sees: the active memtable, the immutable ones and a version. Replaced whole, never changed.
//
// Taking the current one costs no shared atomic: each thread keeps a reference of its own and compares one generation
// number, which changes only when a memtable is rotated, a flush or a compaction ends. A replaced SuperVersion waits in
// `retired_` until its readers are gone, and the scheduler frees it, so that no event loop ever frees a memtable.
//
// Threads  View(): any thread. The others: the engine's write lock (Rotate) or the scheduler (the installs).
// Source   RocksDB's SuperVersion and its thread-local cache; Pebble's readState.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "engine/memtable/memtable.h"
#include "engine/version/version.h"

namespace lsmkv {

/// A memtable and the WAL segments that hold it, the first of which is enough: the next memtable's first ends it.
struct Memory {
  std::shared_ptr<MemTable> table;
  std::uint64_t first_segment = 0;
};

struct SuperVersion {
  Memory active;
  std::vector<Memory> immutables;   ///< newest first
  VersionPtr version;
};
using SuperVersionPtr = std::shared_ptr<const SuperVersion>;

class Tree {
 public:
  explicit Tree(SuperVersion first);
  ~Tree();
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  /// The present, cached by this thread; valid until the thread's next call of View() or ReleaseThreadView().
  const SuperVersionPtr& View() const LSMKV_EXCLUDES(mutex_);
  void ReleaseThreadView() const;
  /// The same unless it is still the present.
  void ReleaseStaleThreadView() const;
  /// The present, not cached.
  SuperVersionPtr Current() const LSMKV_EXCLUDES(mutex_);
  std::size_t immutable_count() const { return immutable_count_.load(std::memory_order_relaxed); }

  /// The active memtable becomes the newest immutable one.
  void Rotate(Memory next) LSMKV_EXCLUDES(mutex_);
  /// `flushed` (the oldest immutable) is in `version` now.
  void InstallFlush(VersionPtr version, const MemTable* flushed) LSMKV_EXCLUDES(mutex_);
  void InstallVersion(VersionPtr version) LSMKV_EXCLUDES(mutex_);
  /// Of memtables that have been flushed and that readers still hold.
  std::uint64_t RetiredMemtableBytes() const LSMKV_EXCLUDES(mutex_);
  /// Frees what no reader holds any more. True while something is still held.
  bool PurgeRetired() LSMKV_EXCLUDES(mutex_);

 private:
  void PublishLocked(SuperVersion next) LSMKV_REQUIRES(mutex_);

  const std::uint64_t id_;                          // tells engines apart in a thread's cache
  std::atomic<std::uint64_t> generation_{1};        // release in PublishLocked, acquire in View
  std::atomic<std::size_t> immutable_count_{0};
  mutable Mutex mutex_;                             // a leaf
  SuperVersionPtr current_ LSMKV_GUARDED_BY(mutex_);
  std::vector<SuperVersionPtr> retired_ LSMKV_GUARDED_BY(mutex_);
};

}  // namespace lsmkv
