#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/version.h>

#include "bench/engines.h"

namespace lsmkv::bench {
namespace {

using std::chrono::steady_clock;

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

Status ToStatus(const rocksdb::Status& status) {
  if (status.ok()) return {};
  const StatusCode code = status.IsCorruption() ? StatusCode::kCorruption : status.IsNoSpace() ? StatusCode::kNoSpace : StatusCode::kIoError;
  return {code, "RocksDB: " + status.ToString()};
}

class RocksDbCursor final : public Cursor {
 public:
  explicit RocksDbCursor(rocksdb::Iterator* iterator) : iterator_(iterator) {}
  void SeekToFirst() override { iterator_->SeekToFirst(); }
  void Seek(std::string_view key) override { iterator_->Seek(ToSlice(key)); }
  void Next() override { iterator_->Next(); }
  bool Valid() const override { return iterator_->Valid(); }
  std::string_view key() const override { return ToView(iterator_->key()); }
  std::string_view value() const override { return ToView(iterator_->value()); }
  Status status() const override { return ToStatus(iterator_->status()); }

 private:
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

class RocksDbAdapter final : public EngineAdapter {
 public:
  RocksDbAdapter(rocksdb::DB* db, WalFsync mode) : db_(db) { write_options_.sync = mode == WalFsync::kAlways; }

  Status Put(std::string_view key, std::string_view value) override {
    return ToStatus(db_->Put(write_options_, ToSlice(key), ToSlice(value)));
  }
  Status Delete(std::string_view key) override { return ToStatus(db_->Delete(write_options_, ToSlice(key))); }
  Result<std::optional<std::size_t>> Get(std::string_view key) override {
    thread_local rocksdb::PinnableSlice value;
    const rocksdb::Status status = db_->Get(read_options_, db_->DefaultColumnFamily(), ToSlice(key), &value);
    const std::size_t bytes = value.size();
    value.Reset();
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) return ToStatus(status);
    return bytes;
  }
  std::unique_ptr<Cursor> NewCursor(bool whole_tree) override {
    rocksdb::ReadOptions options;
    options.fill_cache = !whole_tree;
    return std::make_unique<RocksDbCursor>(db_->NewIterator(options));
  }
  bool SyncsEachSecond() const override { return false; }
  Status Sync() override { return ToStatus(db_->SyncWAL()); }
  Status Flush() override { return ToStatus(db_->Flush(rocksdb::FlushOptions())); }
  Status CompactAll() override { return ToStatus(db_->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr)); }

  Result<std::optional<TimePoint>> AtRestSince() override {
    for (const std::string* property : {&rocksdb::DB::Properties::kNumRunningFlushes, &rocksdb::DB::Properties::kMemTableFlushPending,
                                        &rocksdb::DB::Properties::kNumRunningCompactions, &rocksdb::DB::Properties::kCompactionPending}) {
      std::uint64_t value = 0;
      if (!db_->GetIntProperty(*property, &value)) return Status::Unsupported("RocksDB has no property " + *property);
      if (value != 0) return std::nullopt;
    }
    return steady_clock::now();
  }
  std::string Describe() override {
    std::string text;
    db_->GetProperty(rocksdb::DB::Properties::kLevelStats, &text);
    return text;
  }

 private:
  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::WriteOptions write_options_;
  const rocksdb::ReadOptions read_options_;
};

rocksdb::CompressionType ToRocksDb(Compression compression) {
  switch (compression) {
    case Compression::kNone: return rocksdb::kNoCompression;
    case Compression::kLz4: return rocksdb::kLZ4Compression;
    case Compression::kZstd: return rocksdb::kZSTD;
  }
  return rocksdb::kNoCompression;
}

rocksdb::Options MakeOptions(const EngineOptions& o) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.write_buffer_size = o.memtable_bytes;
  options.max_write_buffer_number = static_cast<int>(o.memtables);
  options.level0_file_num_compaction_trigger = static_cast<int>(o.l0_tables);
  options.level0_slowdown_writes_trigger = static_cast<int>(o.l0_slowdown_tables);
  options.level0_stop_writes_trigger = static_cast<int>(o.l0_stop_tables);
  options.max_bytes_for_level_base = o.base_bytes * o.level_ratio;        // its base is L1
  options.max_bytes_for_level_multiplier = static_cast<double>(o.level_ratio);
  options.level_compaction_dynamic_level_bytes = false;                   // limits as given, not from the last level up
  options.target_file_size_base = o.table_bytes;
  options.compression = ToRocksDb(o.compression);
  options.max_background_flushes = 1;
  options.max_background_compactions = static_cast<int>(o.workers);
  options.max_subcompactions = static_cast<std::uint32_t>(o.workers);
  options.compaction_readahead_size = 2 << 20;                            // later versions' default
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.stats_persist_period_sec = 0;

  rocksdb::BlockBasedTableOptions table;
  table.block_size = 4096;
  table.block_cache = rocksdb::NewLRUCache(o.cache_bytes);
  if (o.bloom_bits > 0) table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(static_cast<double>(o.bloom_bits)));
  // Filters and indexes within the cache's budget, and held there by the open table: a read does not look them up.
  table.cache_index_and_filter_blocks = true;
  table.metadata_cache_options.unpartitioned_pinning = rocksdb::PinningTier::kAll;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

Result<std::unique_ptr<EngineAdapter>> OpenRocksDb(const EngineOptions& o) {
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(MakeOptions(o), o.dir, &db);
  if (!status.ok()) return ToStatus(status);
  return std::make_unique<RocksDbAdapter>(db, o.wal_sync);
}

EngineBuild RocksDbBuild() {
  EngineBuild build;
  build.version = rocksdb::GetRocksVersionAsString();
  build.library = LoadedLibrary("librocksdb");
  build.assertions = HasAssertions(build.library.empty() ? LSMKV_BENCH_ROCKSDB : build.library);
  return build;
}

}  // namespace

const EngineKind kRocksDb{"rocksdb", [](Compression) { return true; }, OpenRocksDb, RocksDbBuild, ""};

}  // namespace lsmkv::bench
