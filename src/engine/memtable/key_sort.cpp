#include "engine/memtable/key_sort.h"

#include <algorithm>
#include <span>

namespace lsmkv {
namespace {

struct Item {
  std::uint64_t prefix;              // 8 bytes of the key, big-endian, zeros after its end
  const MemTableNode* node;
};

constexpr std::size_t kSmallGroup = 16;   // from here down comparing the keys themselves is cheaper
constexpr int kMaxRounds = 64;            // bounds the recursion: 512 bytes of key; then the keys are compared whole

bool KeyThenNewest(const Item& a, const Item& b) {
  const int order = a.node->key().compare(b.node->key());
  return order != 0 ? order < 0 : a.node->sequence > b.node->sequence;
}

// For keys whose first bytes are equal and that differ in trailing zero bytes at most: the shorter is the smaller.
bool LengthThenNewest(const Item& a, const Item& b) {
  if (a.node->key_bytes != b.node->key_bytes) return a.node->key_bytes < b.node->key_bytes;
  return a.node->sequence > b.node->sequence;
}

std::uint64_t PrefixAt(std::string_view key, std::size_t depth) {
  std::uint64_t prefix = 0;
  if (depth < key.size()) std::memcpy(&prefix, key.data() + depth, std::min<std::size_t>(8, key.size() - depth));
  return __builtin_bswap64(prefix);
}

// How many bytes after `depth` all keys share. All are at least `depth` long.
std::size_t CommonBytes(std::span<const Item> items, std::size_t depth) {
  const std::string_view first = items.front().node->key().substr(depth);
  std::size_t common = first.size();
  for (const Item& item : items) {
    const std::string_view key = item.node->key().substr(depth);
    const auto end = std::mismatch(first.begin(), first.begin() + std::min(common, key.size()), key.begin()).first;
    common = static_cast<std::size_t>(end - first.begin());
    if (common == 0) break;
  }
  return common;
}

// Sorts keys whose first `depth` bytes are equal when those that are shorter are filled up with zeros.
void SortGroup(std::span<Item> items, std::size_t depth, int round) {
  if (items.size() < 2) return;
  if (items.size() <= kSmallGroup || round == kMaxRounds) {
    std::sort(items.begin(), items.end(), KeyThenNewest);
    return;
  }
  // Keys that end here are prefixes of all the others.
  const auto rest = std::partition(items.begin(), items.end(), [&](const Item& i) { return i.node->key_bytes <= depth; });
  std::sort(items.begin(), rest, LengthThenNewest);
  items = items.subspan(static_cast<std::size_t>(rest - items.begin()));
  if (items.size() < 2) return;

  depth += CommonBytes(items, depth);
  for (Item& item : items) item.prefix = PrefixAt(item.node->key(), depth);
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return a.prefix < b.prefix; });
  for (std::size_t begin = 0; begin < items.size();) {
    std::size_t end = begin + 1;
    while (end < items.size() && items[end].prefix == items[begin].prefix) ++end;
    SortGroup(items.subspan(begin, end - begin), depth + 8, round + 1);
    begin = end;
  }
}

}  // namespace

void SortByKey(std::vector<const MemTableNode*>* nodes) {
  std::vector<Item> items;
  items.reserve(nodes->size());
  for (const MemTableNode* node : *nodes) items.push_back({0, node});
  SortGroup(items, 0, 0);
  for (std::size_t i = 0; i < items.size(); ++i) (*nodes)[i] = items[i].node;
}

}  // namespace lsmkv
