#include "keyspace/database_map.h"

#include <algorithm>
#include <vector>

#include "base/assert.h"
#include "keyspace/codec.h"

namespace lsmkv {

bool DatabaseMap::AnyLive(std::uint64_t first, std::uint64_t last) const {
  for (std::size_t slot = 0; slot < slots_; ++slot) {
    const std::uint64_t id = live_[slot].load(std::memory_order_relaxed);
    if (id >= first && id <= last) return true;
  }
  return false;
}

bool DatabaseMap::IsDead(std::string_view engine_key) const {
  const std::uint64_t dead_below = dead_below_.load(std::memory_order_acquire);
  if (dead_below == 0) return false;
  const std::optional<DecodedKey> key = DecodeEngineKey(engine_key);
  return key && key->database < dead_below && !AnyLive(key->database, key->database);
}

bool DatabaseMap::IsRangeDead(std::string_view smallest, std::string_view largest) const {
  const std::uint64_t dead_below = dead_below_.load(std::memory_order_acquire);
  if (dead_below == 0) return false;
  // One tag, so everything between the two is a Redis key with an id between theirs.
  const std::optional<DecodedKey> first = DecodeEngineKey(smallest);
  const std::optional<DecodedKey> last = DecodeEngineKey(largest);
  return first && last && last->database < dead_below && !AnyLive(first->database, last->database);
}

void DatabaseMap::Prepare(std::uint32_t databases, const DatabaseTable& table) {
  LSMKV_ASSERT(slots_ == 0 && databases >= 1 && databases <= table.size());
  databases_ = databases;
  slots_ = table.size();
  physical_ = std::make_unique<std::atomic<std::uint64_t>[]>(slots_);
  live_ = std::make_unique<std::atomic<std::uint64_t>[]>(slots_);
  for (std::size_t slot = 0; slot < slots_; ++slot) live_[slot].store(table.ids()[slot], std::memory_order_relaxed);
  Install(table);
}

void DatabaseMap::Install(const DatabaseTable& table) {
  LSMKV_ASSERT(table.size() == slots_);
  for (std::size_t i = 0; i < slots_; ++i) physical_[i].store(table.ids()[i], std::memory_order_release);
}

void DatabaseMap::MarkDurable(const DatabaseTable& table) {
  LSMKV_ASSERT(table.size() == slots_);
  const MutexLock lock(mutex_);
  const std::uint64_t dead_below = dead_below_.load(std::memory_order_relaxed);
  if (table.next_id() <= dead_below) return;   // nothing new has died: a swap, or an older table told late
  std::vector<std::uint64_t> added;
  for (const std::uint64_t id : table.ids()) {
    const auto holds = [&](std::size_t slot) { return live_[slot].load(std::memory_order_relaxed) == id; };
    bool known = false;
    for (std::size_t slot = 0; slot < slots_ && !known; ++slot) known = holds(slot);
    if (!known) added.push_back(id);
  }
  for (std::size_t slot = 0; slot < slots_ && !added.empty(); ++slot) {
    const std::uint64_t id = live_[slot].load(std::memory_order_relaxed);
    if (std::ranges::find(table.ids(), id) != table.ids().end()) continue;
    live_[slot].store(added.back(), std::memory_order_relaxed);
    added.pop_back();
  }
  LSMKV_ASSERT(added.empty());
  dead_below_.store(table.next_id(), std::memory_order_release);
}

}  // namespace lsmkv
