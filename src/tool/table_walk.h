// Every block of one SSTable, in file order, checked as thoroughly as can be: what check reports, repair saves, and dump shows.
//
//   footer, top index, properties     checksums; the properties agree with what the entries say
//   index and filter of a section     checksums; the filter knows each key of its section
//   data block                        checksum; each entry decodes, and each pointer to a blob; keys ascend, and lie between the index keys of the block
//                                     before and of this one
//   the file                          blocks follow each other without a gap
//
// Where an index is damaged, its blocks are looked for (block_search.h). A data block counts only as a whole: one in which
// anything is wrong gives no entry.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/sstable/data_block.h"
#include "engine/sstable/index_block.h"
#include "engine/sstable/table_properties.h"
#include "fs/file_system.h"

namespace lsmkv::tool {

class TableVisitor {
 public:
  virtual ~TableVisitor() = default;
  /// "offset N: what"; the file's name is not in it.
  virtual void OnDamage(const Status& damage) = 0;
  /// A whole data block begins; `index_key` is empty when it was found without an index.
  virtual void OnDataBlock(BlockHandle /*block*/, std::string_view /*index_key*/) {}
  /// Ascending.
  virtual void OnEntry(const EntryView& /*entry*/) {}
  /// Keys in (after, up_to] may have been lost; an empty `after` or nullopt means from the first, to the last key.
  virtual void OnLost(std::string_view /*after*/, std::optional<std::string> /*up_to*/) {}
};

struct TableSummary {
  std::optional<TableProperties> stated;   ///< as the file says, when that block is whole
  TableProperties seen;                    ///< of the entries of whole blocks: counts, keys, sequences, deadlines
  std::uint64_t blocks = 0;                ///< whole ones, of any kind
  bool damaged = false;
};

class TableWalk {
 public:
  static Result<std::unique_ptr<TableWalk>> Open(FileSystem& fs, const std::string& path);
  /// Damage goes to `visitor`; an error is one of reading the file.
  Result<TableSummary> Run(TableVisitor& visitor);

 private:
  explicit TableWalk(std::unique_ptr<RandomAccessFile> file) : file_(std::move(file)) {}

  Status WalkByTopIndex(const TopIndexBlock& top);
  Status WalkSection(const std::string& section_key, const IndexEntry& section);
  void WalkDataBlock(BlockHandle handle, std::string_view index_key);
  Status WalkBySearch(std::uint64_t begin, std::uint64_t end, std::optional<std::string> up_to);
  void CheckFilter(BlockHandle handle);
  bool TakeBlock(BlockHandle handle, const DataBlock& block, std::string_view index_key);
  void CompareProperties();
  void Expect(std::uint64_t offset);
  void Damage(const Status& damage);
  void Damage(std::uint64_t offset, std::string_view what);
  void Lost(std::optional<std::string> up_to);

  const std::unique_ptr<RandomAccessFile> file_;
  TableVisitor* visitor_ = nullptr;
  TableSummary summary_;
  std::uint64_t next_offset_ = 0;            // where the next block should begin
  std::string last_key_;                     // of the last whole block
  std::string lower_bound_;                  // the index key of the block before: keys are greater
  bool any_key_ = false;
  std::vector<std::uint64_t> section_hashes_;
};

}  // namespace lsmkv::tool
