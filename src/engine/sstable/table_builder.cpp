#include "engine/sstable/table_builder.h"

#include "base/assert.h"
#include "base/hash.h"
#include "engine/blob_pointer.h"
#include "engine/sstable/filter_block.h"

namespace lsmkv {

TableBuilder::TableBuilder(WritableFile& file, const TableOptions& options)
    : file_(file), options_(options), compressor_(options.compression) {
  LSMKV_ASSERT(file.size() == 0);
  properties_.format_version = kTableFormatVersion;
  properties_.compression = options.compression;
  properties_.bloom_bits_per_key = options.bloom_bits_per_key;
}

Status TableBuilder::Add(const EntryView& entry) {
  LSMKV_ASSERT(!finished_);
  if (!status_.ok()) return status_;
  if (entry.key.size() > kMaxEntryBytes || entry.value.size() > kMaxEntryBytes - entry.key.size()) {
    return Status::InvalidArgument("entry of " + std::to_string(entry.key.size() + entry.value.size()) +
                                   " bytes is too large for an SSTable");
  }
  if (entry.kind == EntryKind::kBlob && !DecodeBlobPointer(entry.value)) return Status::Corruption("malformed pointer to a blob");
  if (!data_.empty()) {
    LSMKV_ASSERT(data_.last_key() < entry.key);
    if (data_.SizeWith(entry) + kBlockTrailerBytes > options_.block_bytes) {
      CutDataBlock(Separator(data_.last_key(), entry.key));
    }
  }
  const std::uint64_t hash = Hash(entry.key);
  data_.Add(entry, hash);
  if (options_.bloom_bits_per_key > 0) hashes_.push_back(hash);
  properties_.Count(entry);
  return status_;
}

void TableBuilder::CutDataBlock(std::string_view index_key) {
  const BlockHandle block = WriteBlock(data_.Finish(), BlockKind::kData, options_.compression);
  ++properties_.data_blocks;
  properties_.data_bytes += block.size + kBlockTrailerBytes;
  index_.Add(index_key, {block, {}});
  data_.Reset();
  if (index_.size() >= options_.section_index_bytes || hashes_.size() >= options_.section_keys) CutSection();
}

void TableBuilder::CutSection() {
  IndexEntry section;
  if (!hashes_.empty()) {
    section.filter = WriteBlock(BuildFilter(hashes_, options_.bloom_bits_per_key), BlockKind::kFilter, Compression::kNone);
    properties_.filter_bytes += section.filter.size + kBlockTrailerBytes;
  }
  section.block = WriteBlock(index_.Finish(), BlockKind::kIndex, Compression::kNone);
  properties_.index_bytes += section.block.size + kBlockTrailerBytes;
  top_index_.Add(index_.last_key(), section);
  index_.Reset();
  hashes_.clear();
}

Status TableBuilder::Finish() {
  LSMKV_ASSERT(!finished_);
  finished_ = true;
  if (!status_.ok()) return status_;
  if (data_.empty()) return Status::InvalidArgument("an SSTable has at least one entry");
  properties_.largest_key = data_.last_key();
  CutDataBlock(properties_.largest_key);
  if (!index_.empty()) CutSection();
  TableFooter footer;
  footer.top_index = WriteBlock(top_index_.Finish(), BlockKind::kTopIndex, Compression::kNone);
  properties_.index_bytes += footer.top_index.size + kBlockTrailerBytes;
  footer.properties = WriteBlock(EncodeProperties(properties_), BlockKind::kProperties, Compression::kNone);
  footer.file_bytes = written_ + buffer_.size() + kTableFooterBytes;
  buffer_ += EncodeFooter(footer);
  FlushBuffer();
  return status_;
}

BlockHandle TableBuilder::WriteBlock(std::string_view contents, BlockKind kind, Compression compression) {
  Compression used = Compression::kNone;
  if (contents.size() > kMaxBlockBytes) {
    Fail(Status::Unsupported("keys too large for the index of an SSTable"));
    return {0, 1};  // stands for the block in an index that will not be written
  }
  if (compression != Compression::kNone) contents = compressor_.Compress(contents, &used);
  const BlockHandle handle{written_ + buffer_.size(), contents.size()};
  if (status_.ok()) AppendBlock(&buffer_, contents, kind, used, handle.offset);
  if (buffer_.size() >= options_.write_bytes) FlushBuffer();
  return handle;
}

void TableBuilder::FlushBuffer() {
  if (!status_.ok()) return;
  Fail(file_.Append(buffer_));
  file_.StartWriteback();
  written_ += buffer_.size();
  if (buffer_.capacity() > 4 * options_.write_bytes) buffer_ = std::string();
  buffer_.clear();
}

std::uint64_t TableBuilder::file_bytes() const {
  const std::uint64_t complete = written_ + buffer_.size();
  if (finished_) return complete;
  return complete + data_.size() + hashes_.size() * options_.bloom_bits_per_key / 8 + index_.size() + top_index_.size() +
         kTableFooterBytes;
}

}  // namespace lsmkv
