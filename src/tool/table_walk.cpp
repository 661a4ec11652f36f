#include "tool/table_walk.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/hash.h"
#include "engine/blob_pointer.h"
#include "engine/sstable/filter_block.h"
#include "engine/sstable/table_load.h"
#include "tool/block_search.h"

namespace lsmkv::tool {

Result<std::unique_ptr<TableWalk>> TableWalk::Open(FileSystem& fs, const std::string& path) {
  Result<std::unique_ptr<RandomAccessFile>> file = fs.NewRandomAccessFile(path);
  if (!file) return file.error();
  return std::unique_ptr<TableWalk>(new TableWalk(std::move(*file)));
}

void TableWalk::Damage(const Status& damage) {
  summary_.damaged = true;
  visitor_->OnDamage(damage);
}

void TableWalk::Damage(std::uint64_t offset, std::string_view what) { Damage(CorruptionAt(offset, what)); }

void TableWalk::Lost(std::optional<std::string> up_to) { visitor_->OnLost(std::max(last_key_, lower_bound_), std::move(up_to)); }

void TableWalk::Expect(std::uint64_t offset) {
  if (offset != next_offset_) Damage(next_offset_, fmt::format("the next block begins at {}; blocks follow each other", offset));
}

Result<TableSummary> TableWalk::Run(TableVisitor& visitor) {
  visitor_ = &visitor;
  const std::uint64_t size = file_->size();
  if (size < kTableFooterBytes) {
    Damage(0, fmt::format("a file of {} bytes is no SSTable", size));
    Lost(std::nullopt);
    return summary_;
  }
  char raw[kTableFooterBytes];
  if (Status status = file_->Read(size - kTableFooterBytes, sizeof(raw), raw); !status.ok()) return status;
  const Result<TableFooter> footer = DecodeFooter(std::string_view(raw, sizeof(raw)), size);
  if (!footer) {
    if (footer.error().code() == StatusCode::kUnsupported) return footer.error();
    Damage(footer.error());
    if (Status status = WalkBySearch(0, size, std::nullopt); !status.ok()) return status;
    return summary_;
  }
  const auto top = LoadBlock<TopIndexBlock>(*file_, footer->top_index);
  Status walked;
  if (top) {
    walked = WalkByTopIndex(**top);
    Expect(footer->top_index.offset);
  } else {
    Damage(top.error());
    walked = WalkBySearch(0, footer->top_index.offset, std::nullopt);
  }
  if (!walked.ok()) return walked;
  next_offset_ = footer->top_index.end();
  Expect(footer->properties.offset);
  next_offset_ = footer->properties.end();
  Expect(size - kTableFooterBytes);
  summary_.blocks += top ? 1 : 0;
  const Result<BlockContents> contents = ReadBlock(*file_, footer->properties, BlockKind::kProperties);
  Result<TableProperties> properties = contents ? DecodeProperties(contents->bytes) : contents.error();
  if (!properties) {
    Damage(contents ? CorruptionAt(footer->properties.offset, properties.error().message()) : contents.error());
  } else {
    ++summary_.blocks;
    summary_.stated = std::move(*properties);
    if (!summary_.damaged) CompareProperties();
  }
  return summary_;
}

Status TableWalk::WalkByTopIndex(const TopIndexBlock& top) {
  for (std::size_t i = 0; i < top.size(); ++i)
    if (Status status = WalkSection(top.key(i), top.entry(i)); !status.ok()) return status;
  return {};
}

Status TableWalk::WalkSection(const std::string& section_key, const IndexEntry& section) {
  section_hashes_.clear();
  const auto index = LoadBlock<IndexBlock>(*file_, section.block);
  const std::uint64_t data_end = section.filter.empty() ? section.block.offset : section.filter.offset;
  bool whole = index.has_value();
  if (!whole) {
    Damage(index.error());
    if (Status status = WalkBySearch(next_offset_, data_end, section_key); !status.ok()) return status;
  } else {
    ++summary_.blocks;
    for (std::size_t i = 0; i < (*index)->size(); ++i) WalkDataBlock((*index)->entry(i).block, (*index)->key(i));
  }
  if (any_key_ && last_key_ > section_key) Damage(section.block.offset, "a section with keys behind its key in the top index");
  lower_bound_ = section_key;
  if (!section.filter.empty()) {
    if (whole) Expect(section.filter.offset);
    next_offset_ = section.filter.end();
    CheckFilter(section.filter);
    whole = true;
  }
  if (whole) Expect(section.block.offset);
  next_offset_ = section.block.end();
  return {};
}

void TableWalk::CheckFilter(BlockHandle handle) {
  const auto filter = LoadBlock<FilterBlock>(*file_, handle);
  if (!filter) return Damage(filter.error());
  ++summary_.blocks;
  const auto unknown = std::ranges::find_if(section_hashes_, [&](std::uint64_t hash) { return !(*filter)->MayContain(hash); });
  if (unknown != section_hashes_.end()) Damage(handle.offset, "a filter that does not know a key of its section");
}

void TableWalk::WalkDataBlock(BlockHandle handle, std::string_view index_key) {
  Expect(handle.offset);
  next_offset_ = handle.end();
  const auto block = LoadBlock<DataBlock>(*file_, handle);
  if (!block) {
    Damage(block.error());
    Lost(std::string(index_key));
  } else if (!TakeBlock(handle, **block, index_key)) {
    Lost(std::string(index_key));
  }
  lower_bound_ = index_key;
}

/// Looks at all of it before any of it is given out.
bool TableWalk::TakeBlock(BlockHandle handle, const DataBlock& block, std::string_view index_key) {
  DataBlockCursor cursor;
  cursor.Reset(block);
  std::string last = last_key_;
  bool any = any_key_;
  bool whole = cursor.SeekToFirst();
  for (; whole && cursor.Valid(); whole = cursor.Next()) {
    const std::string_view key = cursor.entry().key;
    const bool in_order = !any || key > std::string_view(last);
    const bool as_indexed = index_key.empty() || (key <= index_key && (!any || key > std::string_view(lower_bound_)));
    if (!in_order || !as_indexed) {
      Damage(handle.offset, in_order ? "keys outside of what the index says" : "keys that do not ascend");
      return false;
    }
    if (cursor.entry().kind == EntryKind::kBlob && !DecodeBlobPointer(cursor.entry().value)) {
      Damage(handle.offset, "malformed pointer to a blob");
      return false;
    }
    last = key;
    any = true;
  }
  if (!whole) {
    Damage(handle.offset, "malformed entry in a data block");
    return false;
  }
  ++summary_.blocks;
  visitor_->OnDataBlock(handle, index_key);
  for (whole = cursor.SeekToFirst(); cursor.Valid(); whole = cursor.Next()) {
    section_hashes_.push_back(Hash(cursor.entry().key));
    summary_.seen.Count(cursor.entry());
    visitor_->OnEntry(cursor.entry());
  }
  last_key_ = std::move(last);
  summary_.seen.largest_key = last_key_;
  any_key_ = true;
  return true;
}

Status TableWalk::WalkBySearch(std::uint64_t begin, std::uint64_t end, std::optional<std::string> up_to) {
  BlockSearch search(*file_, end);
  std::uint64_t offset = begin;
  std::optional<std::string> lost_after;          // what lies behind it is missing, up to the next block that is found
  const auto missing = [&] {
    if (!lost_after) lost_after = std::max(last_key_, lower_bound_);
  };
  while (offset < end) {
    const Result<std::optional<FoundBlock>> found = search.Next(offset);
    if (!found) return found.error();
    if (!*found) break;
    const BlockHandle handle = (*found)->handle;
    if (handle.offset != offset) {
      Damage(offset, fmt::format("{} bytes that are no block", handle.offset - offset));
      missing();
    }
    offset = handle.end();
    if ((*found)->kind != BlockKind::kData) {
      ++summary_.blocks;
    } else if (const auto block = LoadBlock<DataBlock>(*file_, handle); !block) {
      Damage(block.error());
      missing();
    } else {
      DataBlockCursor first;
      first.Reset(**block);
      if (lost_after && first.SeekToFirst() && first.Valid()) visitor_->OnLost(*std::exchange(lost_after, std::nullopt), std::string(first.entry().key));
      if (!TakeBlock(handle, **block, {})) missing();
    }
  }
  if (search.gave_up()) Damage(offset, "too much damage to look for more blocks");
  if (offset < end) missing();
  if (lost_after) visitor_->OnLost(*lost_after, std::move(up_to));
  next_offset_ = end;
  return {};
}

void TableWalk::CompareProperties() {
  const TableProperties& stated = *summary_.stated;
  const TableProperties& seen = summary_.seen;
  const auto wrong = [this](std::string_view what) { Damage(file_->size() - kTableFooterBytes, fmt::format("the properties' {} is not that of the entries", what)); };
  if (stated.entries != seen.entries) wrong("number of entries");
  if (stated.tombstones != seen.tombstones) wrong("number of tombstones");
  if (stated.smallest_key != seen.smallest_key || stated.largest_key != seen.largest_key) wrong("range of keys");
  if (stated.smallest_sequence != seen.smallest_sequence || stated.largest_sequence != seen.largest_sequence) wrong("range of sequence numbers");
  if (stated.expiring != seen.expiring || stated.expires_first_ms != seen.expires_first_ms || stated.expires_last_ms != seen.expires_last_ms ||
      !(stated.expiry == seen.expiry))
    wrong("deadlines");
  if (stated.raw_key_bytes != seen.raw_key_bytes || stated.raw_value_bytes != seen.raw_value_bytes) wrong("size of keys and values");
  if (stated.blobs != seen.blobs) wrong("list of blob files");
}

}  // namespace lsmkv::tool
