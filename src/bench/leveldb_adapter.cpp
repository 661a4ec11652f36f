#include <fmt/format.h>
#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/options.h>
#include <leveldb/write_batch.h>

#include "bench/engines.h"
#include "bench/process_figures.h"

namespace lsmkv::bench {
namespace {

using std::chrono::steady_clock;

leveldb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view ToView(const leveldb::Slice& slice) { return {slice.data(), slice.size()}; }

Status ToStatus(const leveldb::Status& status) {
  if (status.ok()) return {};
  return {status.IsCorruption() ? StatusCode::kCorruption : StatusCode::kIoError, "LevelDB: " + status.ToString()};
}

class LevelDbCursor final : public Cursor {
 public:
  explicit LevelDbCursor(leveldb::Iterator* iterator) : iterator_(iterator) {}
  void SeekToFirst() override { iterator_->SeekToFirst(); }
  void Seek(std::string_view key) override { iterator_->Seek(ToSlice(key)); }
  void Next() override { iterator_->Next(); }
  bool Valid() const override { return iterator_->Valid(); }
  std::string_view key() const override { return ToView(iterator_->key()); }
  std::string_view value() const override { return ToView(iterator_->value()); }
  Status status() const override { return ToStatus(iterator_->status()); }

 private:
  std::unique_ptr<leveldb::Iterator> iterator_;
};

class LevelDbAdapter final : public EngineAdapter {
 public:
  explicit LevelDbAdapter(const EngineOptions& options)
      : dir_(options.dir), cache_(leveldb::NewLRUCache(options.cache_bytes)),
        filter_(options.bloom_bits > 0 ? leveldb::NewBloomFilterPolicy(static_cast<int>(options.bloom_bits)) : nullptr) {
    options_.create_if_missing = true;
    options_.write_buffer_size = options.memtables_bytes / 2;      // one that is written to, one that is flushed
    options_.block_cache = cache_.get();
    options_.filter_policy = filter_.get();
    options_.block_size = 4096;
    options_.compression = leveldb::kNoCompression;
    write_options_.sync = options.wal_sync == WalFsync::kAlways;
    read_options_.verify_checksums = true;                         // as the others always do
  }

  Status Open() {
    leveldb::DB* db = nullptr;
    const leveldb::Status status = leveldb::DB::Open(options_, dir_, &db);
    db_.reset(db);
    return ToStatus(status);
  }

  Status Put(std::string_view key, std::string_view value) override {
    return ToStatus(db_->Put(write_options_, ToSlice(key), ToSlice(value)));
  }
  Status Delete(std::string_view key) override { return ToStatus(db_->Delete(write_options_, ToSlice(key))); }
  Result<std::optional<std::size_t>> Get(std::string_view key) override {
    thread_local std::string value;
    const leveldb::Status status = db_->Get(read_options_, ToSlice(key), &value);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) return ToStatus(status);
    return value.size();
  }
  std::unique_ptr<Cursor> NewCursor(bool whole_tree) override {
    leveldb::ReadOptions options = read_options_;
    options.fill_cache = !whole_tree;
    return std::make_unique<LevelDbCursor>(db_->NewIterator(options));
  }
  bool SyncsEachSecond() const override { return false; }
  Status Sync() override {
    leveldb::WriteOptions synced;
    synced.sync = true;
    leveldb::WriteBatch nothing;
    return ToStatus(db_->Write(synced, &nothing));
  }
  /// It has no such call, but turns its log into tables when it is opened.
  Status Flush() override {
    db_.reset();
    return Open();
  }
  Status CompactAll() override {
    db_->CompactRange(nullptr, nullptr);        // what goes wrong shows in the next write
    return {};
  }

  /// It does not tell, so: since when the process has neither read, nor written, nor computed.
  Result<std::optional<TimePoint>> AtRestSince() override {
    constexpr std::chrono::milliseconds kQuiet{500};
    constexpr std::uint64_t kNoticeableMicros = 5'000;
    const Result<ProcessFigures> now = ReadProcessFigures();
    if (!now) return now.error();
    const auto time = steady_clock::now();
    const bool quiet = now->written_bytes == last_.written_bytes && now->cpu_micros - last_.cpu_micros < kNoticeableMicros;
    last_ = *now;
    if (!quiet) quiet_since_ = time;
    if (time - quiet_since_ < kQuiet) return std::nullopt;
    return quiet_since_;
  }
  std::string Describe() override {
    std::string text;
    db_->GetProperty("leveldb.stats", &text);
    return text;
  }

 private:
  const std::string dir_;
  std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<const leveldb::FilterPolicy> filter_;
  leveldb::Options options_;
  leveldb::WriteOptions write_options_;
  leveldb::ReadOptions read_options_;
  std::unique_ptr<leveldb::DB> db_;                                // last: it uses all of these
  ProcessFigures last_;
  TimePoint quiet_since_{};
};

Result<std::unique_ptr<EngineAdapter>> OpenLevelDb(const EngineOptions& options) {
  auto adapter = std::make_unique<LevelDbAdapter>(options);
  if (Status status = adapter->Open(); !status.ok()) return status;
  return adapter;
}

EngineBuild LevelDbBuild() {
  EngineBuild build;
  build.version = fmt::format("{}.{}", leveldb::kMajorVersion, leveldb::kMinorVersion);
  build.library = LoadedLibrary("libleveldb");
  build.assertions = HasAssertions(build.library.empty() ? LSMKV_BENCH_LEVELDB : build.library);
  return build;
}

}  // namespace

const EngineKind kLevelDb{
    "leveldb", [](Compression compression) { return compression == Compression::kNone; }, OpenLevelDb, LevelDbBuild,
    "its limits are compiled in (L0: 4, 8 and 12 tables; L1: 10 MB, ten times that in each level more; one background thread), "
    "its tables have their usual 2 MB, filters and indexes are outside its cache, and it maps its tables, which counts as RSS"};

}  // namespace lsmkv::bench
