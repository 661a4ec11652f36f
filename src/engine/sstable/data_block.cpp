#include "engine/sstable/data_block.h"

#include <algorithm>

#include "base/assert.h"
#include "base/coding.h"

namespace lsmkv {
namespace {

constexpr std::size_t kKeepBytes = 1u << 20;
constexpr unsigned kKindBits = 2;
constexpr std::uint32_t kWideOffsets = 1u << 31;
constexpr std::size_t kFrameBytes = 2 * sizeof(std::uint32_t);  // prefix_bytes and count_and_width
constexpr std::size_t kMaxHeaderBytes = 2 * kMaxVarint64Bytes + kMaxVarint32Bytes + sizeof(std::uint64_t);
static_assert(kMaxBlockBytes < kWideOffsets, "offsets and counts of a block leave the highest bit");

static_assert(static_cast<unsigned>(EntryKind::kBlob) == (1u << kKindBits) - 1, "every two bits are a kind");

bool HasDeadline(EntryKind kind) { return kind == EntryKind::kExpiringValue || kind == EntryKind::kBlob; }

std::size_t OffsetBytes(std::size_t entries_bytes) { return entries_bytes <= UINT16_MAX ? 2 : 4; }

/// Size of contents with `entry_count` entries of together `entries_bytes`.
std::size_t ContentsSize(std::size_t entries_bytes, std::size_t entry_count, std::size_t prefix_bytes) {
  return entries_bytes + prefix_bytes + entry_count * (1 + OffsetBytes(entries_bytes)) + kFrameBytes;
}

/// Decodes the entry at `at`; null when it is damaged, else the byte after it.
inline const char* DecodeEntry(const char* at, const char* end, EntryView* entry) {
  std::uint32_t suffix_bytes = 0;
  std::uint64_t size_and_kind = 0;
  at = DecodeVarint32(at, end, &suffix_bytes);
  if (at == nullptr) return nullptr;
  at = DecodeVarint(at, end, &size_and_kind);
  if (at == nullptr) return nullptr;
  at = DecodeVarint(at, end, &entry->sequence);
  if (at == nullptr) return nullptr;
  const unsigned kind = size_and_kind & ((1u << kKindBits) - 1);
  entry->kind = static_cast<EntryKind>(kind);
  entry->expire_at_ms = 0;
  if (HasDeadline(entry->kind)) {
    if (static_cast<std::size_t>(end - at) < sizeof(std::uint64_t)) return nullptr;
    entry->expire_at_ms = DecodeFixed<std::uint64_t>(at);
    at += sizeof(std::uint64_t);
  }
  const std::uint64_t value_bytes = size_and_kind >> kKindBits;
  const auto left = static_cast<std::uint64_t>(end - at);
  if (suffix_bytes > left || value_bytes > left - suffix_bytes) return nullptr;
  entry->key = std::string_view(at, suffix_bytes);
  entry->value = std::string_view(at + suffix_bytes, value_bytes);
  return at + suffix_bytes + value_bytes;
}

Status Damaged() { return Status::Corruption("malformed entry in a data block"); }

}  // namespace

void DataBlockBuilder::Add(const EntryView& entry, std::uint64_t hash) {
  const std::size_t bound = entry.key.size() + entry.value.size() + kMaxHeaderBytes;
  if (bound > kKeepBytes) bytes_.reserve(bytes_.size() + bound);
  const auto begin = static_cast<std::uint32_t>(bytes_.size());
  PutVarint(&bytes_, entry.key.size());
  PutVarint(&bytes_, entry.value.size() << kKindBits | static_cast<std::uint64_t>(entry.kind));
  PutVarint(&bytes_, entry.sequence);
  if (HasDeadline(entry.kind)) PutFixed(&bytes_, entry.expire_at_ms);
  entries_.push_back({begin, static_cast<std::uint32_t>(bytes_.size()), static_cast<std::uint32_t>(entry.key.size())});
  bytes_.append(entry.key);
  bytes_.append(entry.value);
  tags_.push_back(static_cast<char>(hash));
  shared_bytes_ = entries_.size() == 1 ? entry.key.size() : std::min(shared_bytes_, CommonPrefix(first_key(), entry.key));
  last_key_ = entry.key;
}

std::size_t DataBlockBuilder::size() const {
  if (entries_.empty()) return kFrameBytes;
  return ContentsSize(bytes_.size() - entries_.size() * shared_bytes_, entries_.size(), shared_bytes_);
}

std::size_t DataBlockBuilder::SizeWith(const EntryView& entry) const {
  const std::size_t entry_bytes = entry.key.size() + entry.value.size() + kMaxHeaderBytes;
  if (entries_.empty()) return ContentsSize(entry_bytes, 1, 0);
  const std::size_t shared = std::min(shared_bytes_, CommonPrefix(first_key(), entry.key));
  const std::size_t count = entries_.size() + 1;
  return ContentsSize(bytes_.size() + entry_bytes - count * shared, count, shared);
}

void DataBlockBuilder::StripPrefix(std::size_t prefix_bytes) {
  char* const base = bytes_.data();
  char* out = base;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    Pending& entry = entries_[i];
    char length[kMaxVarint64Bytes];
    const char* const rest = base + entry.begin + (EncodeVarint(length, entry.key_bytes) - length);
    const char* const key = base + entry.key_begin;
    const char* const end = base + (i + 1 < entries_.size() ? entries_[i + 1].begin : bytes_.size());
    entry.begin = static_cast<std::uint32_t>(out - base);
    out = EncodeVarint(out, entry.key_bytes - prefix_bytes);  // never longer than what it replaces
    for (const auto& [from, to] : {std::pair(rest, key), std::pair(key + prefix_bytes, end)}) {
      const auto size = static_cast<std::size_t>(to - from);
      std::memmove(out, from, size);
      out += size;
    }
  }
  bytes_.resize(static_cast<std::size_t>(out - base));
}

std::string_view DataBlockBuilder::Finish() {
  LSMKV_ASSERT(!entries_.empty());
  const std::size_t prefix_bytes = entries_.size() == 1 ? 0 : shared_bytes_;
  if (prefix_bytes > 0) StripPrefix(prefix_bytes);
  const std::size_t entries_bytes = bytes_.size();
  bytes_.append(last_key_, 0, prefix_bytes);
  bytes_.append(tags_);
  const bool wide = OffsetBytes(entries_bytes) == sizeof(std::uint32_t);
  for (const Pending& entry : entries_) {
    if (wide) {
      PutFixed(&bytes_, entry.begin);
    } else {
      PutFixed(&bytes_, static_cast<std::uint16_t>(entry.begin));
    }
  }
  PutFixed(&bytes_, static_cast<std::uint32_t>(prefix_bytes));
  PutFixed(&bytes_, static_cast<std::uint32_t>(entries_.size()) | (wide ? kWideOffsets : 0));
  return bytes_;
}

void DataBlockBuilder::Reset() {
  if (bytes_.capacity() > kKeepBytes) bytes_ = std::string();
  if (last_key_.capacity() > kKeepBytes) last_key_ = std::string();
  bytes_.clear();
  last_key_.clear();
  entries_.clear();
  tags_.clear();
}

DataBlock::DataBlock(BlockContents contents) : CachedBlock(kKind, contents.bytes.size()), contents_(std::move(contents)) {}

Result<std::shared_ptr<const DataBlock>> DataBlock::Parse(BlockContents contents, std::uint64_t /*file_bytes*/) {
  const std::string_view bytes = contents.bytes;
  if (bytes.size() < kFrameBytes) return Status::Corruption("data block shorter than its frame");
  const char* const frame = bytes.data() + bytes.size() - kFrameBytes;
  const auto prefix_bytes = DecodeFixed<std::uint32_t>(frame);
  const auto count_and_width = DecodeFixed<std::uint32_t>(frame + sizeof(std::uint32_t));
  const bool wide = (count_and_width & kWideOffsets) != 0;
  const std::uint32_t count = count_and_width & ~kWideOffsets;
  const std::uint64_t offsets_bytes = std::uint64_t{count} * (wide ? 4 : 2);
  const std::uint64_t tail_bytes = std::uint64_t{prefix_bytes} + count + offsets_bytes + kFrameBytes;
  if (count == 0 || tail_bytes >= bytes.size()) return Status::Corruption("data block with a wrong frame");
  auto block = std::make_shared<DataBlock>(std::move(contents));
  block->offsets_ = frame - offsets_bytes;
  block->tags_ = block->offsets_ - count;
  block->prefix_ = std::string_view(block->tags_ - prefix_bytes, prefix_bytes);
  block->entries_bytes_ = bytes.size() - tail_bytes;
  block->entry_count_ = count;
  block->wide_offsets_ = wide;
  return block;
}

std::size_t DataBlock::OffsetAt(std::size_t index) const {
  if (wide_offsets_) return DecodeFixed<std::uint32_t>(offsets_ + index * sizeof(std::uint32_t));
  return DecodeFixed<std::uint16_t>(offsets_ + index * sizeof(std::uint16_t));
}

const char* DataBlock::DecodeAt(std::size_t index, EntryView* entry) const {
  const std::size_t offset = OffsetAt(index);
  if (offset >= entries_bytes_) return nullptr;
  return DecodeEntry(contents_.bytes.data() + offset, entries_end(), entry);
}

Result<bool> DataBlock::Get(std::string_view key, std::uint64_t hash, EntryView* entry) const {
  if (!key.starts_with(prefix_)) return false;
  const std::string_view suffix = key.substr(prefix_.size());
  const char* const tags_end = tags_ + entry_count_;
  for (const char* tag = tags_; tag < tags_end; ++tag) {
    tag = static_cast<const char*>(
        std::memchr(tag, static_cast<unsigned char>(hash), static_cast<std::size_t>(tags_end - tag)));
    if (tag == nullptr) return false;
    if (DecodeAt(static_cast<std::size_t>(tag - tags_), entry) == nullptr) return Damaged();
    if (entry->key != suffix) continue;
    entry->key = key;
    return true;
  }
  return false;
}

void DataBlock::PrefetchEntry(std::uint64_t hash) const {
  const void* const tag = std::memchr(tags_, static_cast<unsigned char>(hash), entry_count_);
  if (tag != nullptr) Prefetch(contents_.bytes.data() + OffsetAt(static_cast<std::size_t>(static_cast<const char*>(tag) - tags_)));
}

Result<std::size_t> DataBlock::Search(std::string_view key) const {
  if (!key.starts_with(prefix_)) return key < prefix_ ? 0 : std::size_t{entry_count_};
  const std::string_view suffix = key.substr(prefix_.size());
  std::size_t low = 0;
  std::size_t high = entry_count_;
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    EntryView entry;
    if (DecodeAt(middle, &entry) == nullptr) return Damaged();
    if (entry.key < suffix) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

void DataBlockCursor::Reset(const DataBlock& block) {
  block_ = &block;
  key_ = block.prefix_;
  valid_ = false;
}

bool DataBlockCursor::SeekToIndex(std::size_t index) {
  index_ = index;
  valid_ = index < block_->entry_count();
  if (!valid_) return true;
  if (block_->DecodeAt(index, &entry_) == nullptr) {
    valid_ = false;
    return false;
  }
  if (!block_->prefix_.empty()) {  // else the key lies whole in the block
    key_.resize(block_->prefix_.size());
    key_.append(entry_.key);
    entry_.key = key_;
  }
  return true;
}

bool DataBlockCursor::Seek(std::string_view target) {
  const Result<std::size_t> index = block_->Search(target);
  if (index) return SeekToIndex(*index);
  valid_ = false;
  return false;
}

bool DataBlockCursor::SeekForPrev(std::string_view target) {
  if (!Seek(target)) return false;
  return (valid_ && entry_.key == target) || Prev();
}

}  // namespace lsmkv
