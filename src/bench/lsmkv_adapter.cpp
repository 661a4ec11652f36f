// lsmkv, as an embedder has it: include/lsmkv/ and nothing else.
#include <fmt/format.h>

#include <algorithm>

#include "bench/engines.h"
#include "lsmkv/engine.h"

namespace lsmkv::bench {
namespace {

using std::chrono::steady_clock;

class LsmkvCursor final : public Cursor {
 public:
  explicit LsmkvCursor(std::unique_ptr<Iterator> iterator) : iterator_(std::move(iterator)) {}
  void SeekToFirst() override { iterator_->SeekToFirst(); }
  void Seek(std::string_view key) override { iterator_->Seek(key); }
  void Next() override { iterator_->Next(); }
  bool Valid() const override { return iterator_->Valid(); }
  std::string_view key() const override { return iterator_->key(); }
  std::string_view value() const override { return iterator_->value(); }
  Status status() const override { return iterator_->status(); }

 private:
  std::unique_ptr<Iterator> iterator_;
};

class LsmkvAdapter final : public EngineAdapter {
 public:
  LsmkvAdapter(std::unique_ptr<Engine> engine, WalFsync mode, std::uint64_t table_bytes)
      : engine_(std::move(engine)), synced_(mode == WalFsync::kAlways), table_bytes_(table_bytes) {}

  Status Put(std::string_view key, std::string_view value) override {
    thread_local WriteBatch batch;
    batch.Clear();
    batch.Put(key, value);
    return Apply(batch);
  }
  Status Delete(std::string_view key) override {
    thread_local WriteBatch batch;
    batch.Clear();
    batch.Delete(key);
    return Apply(batch);
  }
  Result<std::optional<std::size_t>> Get(std::string_view key) override {
    const Result<std::optional<PinnedValue>> value = engine_->Get(key);
    if (!value) return value.error();
    if (!*value) return std::nullopt;
    return (*value)->data().size();
  }
  std::unique_ptr<Cursor> NewCursor(bool whole_tree) override {
    ReadOptions options;
    options.fill_cache = !whole_tree;
    return std::make_unique<LsmkvCursor>(engine_->NewIterator(options));
  }
  bool SyncsEachSecond() const override { return true; }
  Status Sync() override { return engine_->Sync(); }
  Status Flush() override { return engine_->Flush(); }
  Status CompactAll() override { return engine_->Compact(); }

  Result<std::optional<TimePoint>> AtRestSince() override {
    if (Status status = engine_->WriteHealth(); !status.ok()) return status;
    engine_->ReleaseThreadView();      // of this thread, which waits and would keep the files of what it saw last
    const EngineStats stats = engine_->Stats();
    const bool over = std::ranges::any_of(stats.levels, [](const LevelInfo& level) { return level.score >= 1 || level.compacting; });
    const bool files_go = !stats.wal_at_rest || stats.removed_bytes_kept > 0;
    if (over || files_go || stats.compactions_running > 0 || stats.immutable_memtables > 0 || WillSettle(stats)) return std::nullopt;
    return steady_clock::now();
  }

  std::string Describe() override {
    const EngineStats stats = engine_->Stats();
    std::string text;
    for (const LevelInfo& level : stats.levels)
      text += fmt::format("L{}: {} tables, {} MB of {} MB; ", level.level, level.sstables, level.size_bytes >> 20, level.max_size_bytes >> 20);
    text += fmt::format("{} flushes {} MB, {} compactions {} MB, {} moves, WAL {} MB, {} stalls of {} ms in all",
                        stats.flushes, stats.flush_bytes_written >> 20, stats.compactions, stats.compaction_bytes_written >> 20,
                        stats.trivial_moves, stats.wal_bytes_written >> 20, stats.stalls, stats.stall_micros / 1000);
    return text;
  }

 private:
  /// Upper levels will move down when nothing has been written for a while (rule 6 of compaction/picker.h): space is measured after that.
  bool WillSettle(const EngineStats& stats) const {
    if (table_bytes_ == 0 || stats.levels.size() < 2) return false;
    std::uint64_t upper_bytes = 0;
    for (std::size_t n = 0; n + 1 < stats.levels.size(); ++n) upper_bytes += stats.levels[n].size_bytes;
    return upper_bytes >= table_bytes_ && upper_bytes > stats.levels.back().size_bytes / 10;
  }
  /// A write and its commit, which hands it to the operating system, as the peers do within one Put.
  Status Apply(const WriteBatch& batch) {
    if (Result<SequenceNumber> written = engine_->Write(batch); !written) return written.error();
    if (synced_) return engine_->Sync();
    if (Result<SequenceNumber> committed = engine_->Commit(); !committed) return committed.error();
    return {};
  }

  std::unique_ptr<Engine> engine_;
  const bool synced_;
  const std::uint64_t table_bytes_;
};

Result<std::unique_ptr<EngineAdapter>> OpenLsmkv(const EngineOptions& o) {
  Options options;
  options.dir = o.dir;
  options.memtable_bytes = o.memtable_bytes;
  options.max_immutable_memtables = static_cast<std::uint32_t>(o.memtables - 1);
  options.level_ratio = static_cast<std::uint32_t>(o.level_ratio);
  options.base_level_bytes = o.base_bytes;
  options.max_l0_sstables = static_cast<std::uint32_t>(o.l0_tables);
  options.l0_slowdown_sstables = static_cast<std::uint32_t>(o.l0_slowdown_tables);
  options.l0_stop_sstables = static_cast<std::uint32_t>(o.l0_stop_tables);
  options.max_sstable_bytes = o.table_bytes;
  options.block_cache_bytes = o.cache_bytes;
  options.bloom_bits_per_key = static_cast<std::uint32_t>(o.bloom_bits);
  options.compression = o.compression;
  options.wal_fsync = o.wal_sync;
  options.flush_workers = 1;
  options.compaction_workers = static_cast<std::uint32_t>(o.workers);
  Result<std::unique_ptr<Engine>> engine = Engine::Open(options);
  if (!engine) return engine.error();
  return std::make_unique<LsmkvAdapter>(std::move(*engine), o.wal_sync, o.table_bytes);
}

EngineBuild LsmkvBuild() {
  // Its own assertions are cheap and part of every build; the costly ones are LSMKV_CHECKED's.
#ifdef LSMKV_CHECKED
  return {LSMKV_BENCH_VERSION, {}, true};
#else
  return {LSMKV_BENCH_VERSION, {}, false};
#endif
}

}  // namespace

const EngineKind kLsmkv{"lsmkv", [](Compression) { return true; }, OpenLsmkv, LsmkvBuild, ""};

}  // namespace lsmkv::bench
