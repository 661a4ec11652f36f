#include "engine/sstable/index_block.h"

#include <algorithm>
#include <span>

#include "base/assert.h"
#include "base/coding.h"

namespace lsmkv {
namespace {

constexpr std::size_t kMinEntryBytes = 3;  // an empty suffix and a handle
constexpr std::size_t kKeepBytes = 1u << 20;

std::uint64_t Head(std::string_view suffix) {
  std::uint64_t head = 0;
  if (suffix.size() >= sizeof(head)) {
    head = DecodeFixed<std::uint64_t>(suffix.data());
  } else {
    std::memcpy(&head, suffix.data(), suffix.size());
  }
  return __builtin_bswap64(head);
}

Status Malformed() { return Status::Corruption("malformed index block"); }

}  // namespace

void IndexBlockBuilder::Add(std::string_view key, const IndexEntry& entry) {
  LSMKV_ASSERT(entries_.empty() || last_key() < key);
  entries_.push_back({keys_.size(), entry});
  keys_.append(key);
}

std::string_view IndexBlockBuilder::Key(std::size_t index) const {
  const std::size_t begin = entries_[index].key_begin;
  const std::size_t end = index + 1 < entries_.size() ? entries_[index + 1].key_begin : keys_.size();
  return std::string_view(keys_).substr(begin, end - begin);
}

std::string_view IndexBlockBuilder::last_key() const { return Key(entries_.size() - 1); }

std::string IndexBlockBuilder::Finish() const {
  LSMKV_ASSERT(!entries_.empty());
  const std::size_t prefix_bytes = CommonPrefix(Key(0), last_key());  // the keys between share it too
  std::string out;
  out.reserve(size() + 16);
  PutLengthPrefixed(&out, Key(0).substr(0, prefix_bytes));
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    PutLengthPrefixed(&out, Key(i).substr(prefix_bytes));
    PutHandle(&out, entries_[i].entry.block);
    if (kind_ == BlockKind::kTopIndex) PutHandle(&out, entries_[i].entry.filter);
  }
  PutFixed(&out, static_cast<std::uint32_t>(entries_.size()));
  return out;
}

void IndexBlockBuilder::Reset() {
  if (keys_.capacity() > kKeepBytes) keys_ = std::string();
  keys_.clear();
  entries_.clear();
}

IndexBlockBase::IndexBlockBase(BlockKind kind, BlockContents contents, std::size_t entry_count)
    : CachedBlock(kind, contents.bytes.size() + entry_count * (sizeof(heads_[0]) + sizeof(slots_[0])) + (entry_count / kGroup + kGroup) * sizeof(heads_[0])),
      contents_(std::move(contents)) {}

bool IndexBlockBase::ParseEntry(std::string_view* rest, std::string_view* suffix, IndexEntry* entry) const {
  if (!GetLengthPrefixed(rest, suffix) || !GetHandle(rest, &entry->block)) return false;
  return kind() != BlockKind::kTopIndex || GetHandle(rest, &entry->filter);
}

Status IndexBlockBase::ParseEntries(std::size_t entry_count, std::uint64_t file_bytes) {
  heads_.reserve((entry_count + kGroup - 1) / kGroup * kGroup);
  slots_.reserve(entry_count);
  std::string_view rest = contents_.bytes.substr(0, contents_.bytes.size() - sizeof(std::uint32_t));
  if (!GetLengthPrefixed(&rest, &prefix_)) return Malformed();
  std::string_view before;
  while (!rest.empty()) {
    std::string_view suffix;
    IndexEntry entry;
    const auto suffix_at = static_cast<std::uint32_t>(rest.data() - contents_.bytes.data());
    if (heads_.size() == entry_count || !ParseEntry(&rest, &suffix, &entry)) return Malformed();
    if (!heads_.empty() && suffix <= before) return Status::Corruption("index block with keys out of order");
    if (!HandleFits(entry.block, file_bytes) || (!entry.filter.empty() && !HandleFits(entry.filter, file_bytes))) {
      return Status::Corruption("index block points outside the file");
    }
    heads_.push_back(Head(suffix));
    slots_.push_back({entry.block.offset, static_cast<std::uint32_t>(entry.block.size), suffix_at});
    if (kind() == BlockKind::kTopIndex) filters_.push_back(entry.filter);
    before = suffix;
  }
  if (heads_.size() != entry_count) return Malformed();
  heads_.resize((entry_count + kGroup - 1) / kGroup * kGroup, ~std::uint64_t{0});
  fences_.reserve(heads_.size() / kGroup);
  for (std::size_t last = kGroup - 1; last + 1 < heads_.size(); last += kGroup) fences_.push_back(heads_[last]);
  return Status();
}

std::string_view IndexBlockBase::Suffix(std::size_t index) const {
  std::string_view rest = contents_.bytes.substr(slots_[index].suffix_at);
  std::string_view suffix;
  const bool whole = GetLengthPrefixed(&rest, &suffix);
  LSMKV_ASSERT(whole);  // ParseEntries has seen it
  return suffix;
}

IndexEntry IndexBlockBase::entry(std::size_t index) const {
  const Slot& slot = slots_[index];
  return {{slot.block_offset, slot.block_bytes}, filters_.empty() ? BlockHandle() : filters_[index]};
}

/// The first of the heads that is `head` or more; size() when there is none. No branch here could be mispredicted.
std::size_t IndexBlockBase::FirstNotBelow(std::uint64_t head) const {
  std::size_t group = 0;
  for (std::size_t count = fences_.size(); count > 0;) {
    const std::size_t half = (count + 1) / 2;
    group += half & (std::size_t{0} - static_cast<std::size_t>(fences_[group + half - 1] < head));
    count -= half;
  }
  std::size_t below = 0;
  for (const std::uint64_t in_group : std::span(heads_).subspan(group * kGroup).first<kGroup>()) below += in_group < head ? 1 : 0;
  return group * kGroup + below;
}

std::size_t IndexBlockBase::Search(std::string_view key) const {
  PrefetchSearch();
  const std::size_t common = CommonPrefix(key, prefix_);
  if (common < prefix_.size()) {
    return key < prefix_ ? 0 : size();
  }
  const std::string_view rest = key.substr(common);
  const std::uint64_t head = Head(rest);
  std::size_t first = FirstNotBelow(head);
  if (first >= size() || heads_[first] != head) return std::min(first, size());
  const std::uint64_t* const heads_end = heads_.data() + size();
  auto last = static_cast<std::size_t>(std::upper_bound(heads_.data() + first, heads_end, head) - heads_.data());
  while (first < last) {  // equal heads: the suffixes decide
    const std::size_t middle = first + (last - first) / 2;
    if (Suffix(middle) < rest) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  return first;
}

template <BlockKind kIndexKind>
Result<std::shared_ptr<const BasicIndexBlock<kIndexKind>>> BasicIndexBlock<kIndexKind>::Parse(BlockContents contents,
                                                                                              std::uint64_t file_bytes) {
  const std::string_view bytes = contents.bytes;
  if (bytes.size() < sizeof(std::uint32_t) + 1 + kMinEntryBytes) return Malformed();
  const auto count = DecodeFixed<std::uint32_t>(bytes.data() + bytes.size() - sizeof(std::uint32_t));
  if (count == 0 || count > bytes.size() / kMinEntryBytes) return Malformed();
  auto block = std::make_shared<BasicIndexBlock>(std::move(contents), count);
  const Status parsed = block->ParseEntries(count, file_bytes);
  if (!parsed.ok()) return parsed;
  return block;
}

template class BasicIndexBlock<BlockKind::kIndex>;
template class BasicIndexBlock<BlockKind::kTopIndex>;

std::string_view Separator(std::string_view last, std::string_view next) {
  // The front of `next` up to the first byte in which they differ is greater than `last`; it is smaller than `next` as long
  // as something of `next` remains.
  const std::size_t common = CommonPrefix(last, next);
  LSMKV_ASSERT(common < next.size());
  return common + 1 < next.size() && common + 1 < last.size() ? next.substr(0, common + 1) : last;
}

}  // namespace lsmkv
