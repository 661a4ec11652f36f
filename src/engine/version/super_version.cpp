#include "engine/version/super_version.h"

#include <algorithm>
#include <set>

#include "base/assert.h"
#include "base/simulated_thread.h"

namespace lsmkv {
namespace {

struct ThreadView {
  std::uint64_t tree = 0;
  std::uint64_t generation = 0;
  SuperVersionPtr view;
};
thread_local ThreadView t_view;

std::uint64_t NextTreeId() {
  static std::atomic<std::uint64_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

Tree::Tree(SuperVersion first)
    : id_(NextTreeId()),
      immutable_count_(first.immutables.size()),
      current_(std::make_shared<const SuperVersion>(std::move(first))) {}

Tree::~Tree() { ReleaseThreadView(); }

const SuperVersionPtr& Tree::View() const {
  const std::uint64_t generation = generation_.load(std::memory_order_acquire);
  SwitchPoint();
  if (t_view.tree == id_ && t_view.generation == generation) return t_view.view;
  MutexLock lock(mutex_);
  // A control block of the thread's own: readers who copy the pointer count there, not on a line all threads share.
  auto holder = std::make_shared<SuperVersionPtr>(current_);
  t_view.view = SuperVersionPtr(holder, holder->get());
  t_view.tree = id_;
  t_view.generation = generation_.load(std::memory_order_relaxed);
  return t_view.view;
}

void Tree::ReleaseThreadView() const {
  if (t_view.tree == id_) t_view = {};
}

void Tree::ReleaseStaleThreadView() const {
  if (t_view.tree == id_ && t_view.generation != generation_.load(std::memory_order_acquire)) t_view = {};
}

std::uint64_t Tree::RetiredMemtableBytes() const {
  MutexLock lock(mutex_);
  std::set<const MemTable*> counted{current_->active.table.get()};
  for (const Memory& memory : current_->immutables) counted.insert(memory.table.get());
  std::uint64_t bytes = 0;
  const auto count = [&](const Memory& memory) {
    if (counted.insert(memory.table.get()).second) bytes += memory.table->own_bytes();
  };
  for (const SuperVersionPtr& retired : retired_) {
    count(retired->active);
    for (const Memory& memory : retired->immutables) count(memory);
  }
  return bytes;
}

SuperVersionPtr Tree::Current() const {
  MutexLock lock(mutex_);
  return current_;
}

void Tree::PublishLocked(SuperVersion next) {
  immutable_count_.store(next.immutables.size(), std::memory_order_relaxed);
  retired_.push_back(std::move(current_));
  current_ = std::make_shared<const SuperVersion>(std::move(next));
  generation_.fetch_add(1, std::memory_order_release);
}

void Tree::Rotate(Memory next) {
  MutexLock lock(mutex_);
  SuperVersion changed = *current_;
  changed.immutables.insert(changed.immutables.begin(), changed.active);
  changed.active = std::move(next);
  PublishLocked(std::move(changed));
}

void Tree::InstallFlush(VersionPtr version, const MemTable* flushed) {
  MutexLock lock(mutex_);
  SuperVersion changed = *current_;
  LSMKV_ASSERT(!changed.immutables.empty() && changed.immutables.back().table.get() == flushed);
  changed.immutables.pop_back();
  changed.version = std::move(version);
  PublishLocked(std::move(changed));
}

void Tree::InstallVersion(VersionPtr version) {
  MutexLock lock(mutex_);
  SuperVersion changed = *current_;
  changed.version = std::move(version);
  PublishLocked(std::move(changed));
}

bool Tree::PurgeRetired() {
  std::vector<SuperVersionPtr> unused;   // freed outside the lock
  MutexLock lock(mutex_);
  // Nobody can take a new reference to a retired one, so a count of 1 (ours) stays 1.
  const auto held = std::partition(retired_.begin(), retired_.end(), [](const SuperVersionPtr& p) { return p.use_count() > 1; });
  unused.assign(std::make_move_iterator(held), std::make_move_iterator(retired_.end()));
  retired_.erase(held, retired_.end());
  return !retired_.empty();
}

}  // namespace lsmkv
