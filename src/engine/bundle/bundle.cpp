#include "engine/bundle/bundle.h"

#include <fmt/core.h>

#include "base/assert.h"

namespace lsmkv {

// ---- the bundle

Result<std::shared_ptr<const Bundle>> Bundle::Open(FileSystem& fs, const std::string& dir) {
  const std::string path = dir + "/" + std::string(kBundleFileName);
  const Result<std::string> text = fs.ReadWholeFile(path);
  if (!text) return text.error();
  Result<BundleDescription> description = DecodeBundle(*text, path);
  if (!description) return description.error();
  std::shared_ptr<const Bundle> bundle(new Bundle(fs, dir, std::move(*description)));
  for (std::size_t i = 0; i < bundle->description().tables.size(); ++i)
    if (Status status = bundle->CheckTable(i); !status.ok()) return status;
  return bundle;
}

Result<std::unique_ptr<Table>> Bundle::OpenTable(std::size_t index) const {
  const BundleTable& expected = description_.tables[index];
  const std::string path = dir_ + "/" + expected.file;
  Result<std::unique_ptr<RandomAccessFile>> file = fs_.NewRandomAccessFile(path);
  if (!file) return file.error();
  if ((*file)->size() != expected.size_bytes) {
    return Status::Corruption(fmt::format("{} has {} bytes; {} says {}", path, (*file)->size(), kBundleFileName, expected.size_bytes));
  }
  return Table::Open(std::move(*file), {path, index, cache_.get(), nullptr});
}

Status Bundle::CheckTable(std::size_t index) const {
  const Result<std::unique_ptr<Table>> table = OpenTable(index);
  if (!table) return table.error();
  const Result<TableProperties> properties = (*table)->ReadProperties();
  if (!properties) return properties.error();
  const BundleTable& expected = description_.tables[index];
  const bool same = properties->entries == expected.entries && properties->smallest_key == expected.smallest_key &&
                    properties->largest_key == expected.largest_key;
  if (same) return {};
  return Status::Corruption(fmt::format("{} is not the table that {} describes", (*table)->name(), kBundleFileName));
}

// ---- its entries

/// One table's entries, checked and renamed.
class IncomingTableIterator final : public InternalIterator {
 public:
  IncomingTableIterator(const IncomingRun& run, std::size_t index, std::unique_ptr<Table> table, std::uint64_t readahead_bytes)
      : run_(run), expected_(run.bundle_->description().tables[index]), prefix_(run.bundle_->description().key_prefix),
        table_(std::move(table)), inner_(table_->NewIterator({.fill_cache = false, .readahead_bytes = readahead_bytes})) {}

  bool Valid() const override { return valid_; }
  void SeekToFirst() override {
    Restart(/*from_first=*/true);
    inner_->SeekToFirst();
    Take();
  }
  void Seek(std::string_view target) override {
    Restart(/*from_first=*/false);
    const std::string& new_prefix = run_.new_prefix_;
    if (target.starts_with(new_prefix)) {
      inner_->Seek(prefix_ + std::string(target.substr(new_prefix.size())));
    } else if (target < new_prefix) {
      inner_->SeekToFirst();
    } else {
      valid_ = false;
      return;
    }
    Take();
  }
  void Next() override {
    LSMKV_ASSERT(valid_);
    inner_->Next();
    Take();
  }
  void SeekToLast() override { RefuseBackward(); }
  void SeekForPrev(std::string_view /*target*/) override { RefuseBackward(); }
  void Prev() override { RefuseBackward(); }
  const EntryView& entry() const override { return entry_; }
  Status status() const override { return status_; }

 private:
  // Whether keys ascend and how many there are can be told only in the order they were written.
  void RefuseBackward() {
    valid_ = false;
    status_ = Status::Unsupported(table_->name() + ": the entries of a bundle are read forward only");
  }
  void Restart(bool from_first) {
    status_ = {};
    has_last_ = false;
    counting_ = from_first;
    counted_ = 0;
  }
  void Take() {
    valid_ = inner_->Valid();
    if (!valid_) return TakeEnd();
    const EntryView& entry = inner_->entry();
    if (const char* wrong = WrongWith(entry)) {
      valid_ = false;
      status_ = Status::Corruption(fmt::format("{}: {}", table_->name(), wrong));
      return;
    }
    ++counted_;
    has_last_ = true;
    key_ = run_.new_prefix_;
    key_ += entry.key.substr(prefix_.size());
    entry_ = entry;
    entry_.key = key_;
    entry_.sequence = run_.sequence_;
  }
  void TakeEnd() {
    status_ = inner_->status();
    if (!status_.ok() || !counting_ || counted_ == expected_.entries) return;
    status_ = Status::Corruption(fmt::format("{}: {} entries; {} says {}", table_->name(), counted_, kBundleFileName, expected_.entries));
  }
  const char* WrongWith(const EntryView& entry) const {
    if (!entry.key.starts_with(prefix_)) return "a key without the bundle's prefix";
    if (entry.key < expected_.smallest_key || entry.key > expected_.largest_key) return "a key outside of the table's range";
    const std::string_view rest = entry.key.substr(prefix_.size());
    if (has_last_ && rest <= std::string_view(key_).substr(run_.new_prefix_.size())) return "keys that do not ascend";
    if (run_.new_prefix_.size() + rest.size() > kMaxKeyBytes) return "a key of more than 1 MiB";
    if (entry.kind != EntryKind::kValue && entry.kind != EntryKind::kExpiringValue) return "an entry that is not a value";
    // A reader would take it for one that stays, and the table's properties for one that expires.
    if (entry.kind == EntryKind::kExpiringValue && entry.expire_at_ms == 0) return "an expiring value without a deadline";
    if (entry.value.size() > kMaxValueBytes) return "a value of more than 1020 MiB";
    return nullptr;
  }

  const IncomingRun& run_;
  const BundleTable& expected_;
  const std::string& prefix_;
  const std::unique_ptr<Table> table_;
  const std::unique_ptr<InternalIterator> inner_;
  std::string key_;                     // of entry_; the last one while the next is checked
  EntryView entry_;
  bool valid_ = false;
  bool has_last_ = false;
  bool counting_ = false;               // every entry is seen: the number is known at the end
  std::uint64_t counted_ = 0;
  Status status_;
};

IncomingRun::IncomingRun(std::shared_ptr<const Bundle> bundle, std::string new_prefix, SequenceNumber sequence)
    : bundle_(std::move(bundle)), new_prefix_(std::move(new_prefix)), sequence_(sequence),
      ranges_(std::make_shared<std::vector<TableRange>>()) {
  const std::vector<BundleTable>& tables = bundle_->description().tables;
  keys_.reserve(2 * tables.size());
  for (const BundleTable& table : tables) {
    keys_.push_back(WithNewPrefix(table.smallest_key));
    keys_.push_back(WithNewPrefix(table.largest_key));
    ranges_->push_back({keys_[keys_.size() - 2], keys_.back()});
  }
}

std::string IncomingRun::WithNewPrefix(std::string_view key) const {
  return new_prefix_ + std::string(key.substr(bundle_->description().key_prefix.size()));
}

std::unique_ptr<InternalIterator> IncomingRun::NewIterator(std::uint64_t readahead_bytes) const {
  const auto open = [this, readahead_bytes](std::size_t index) -> Result<std::unique_ptr<InternalIterator>> {
    Result<std::unique_ptr<Table>> table = bundle_->OpenTable(index);
    if (!table) return table.error();
    return std::make_unique<IncomingTableIterator>(*this, index, std::move(*table), readahead_bytes);
  };
  return std::make_unique<ConcatenatingIterator>(ranges_, open);
}

}  // namespace lsmkv
