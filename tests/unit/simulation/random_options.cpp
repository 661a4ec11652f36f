#include "random_options.h"

namespace lsmkv::simulation {

Options RandomOptions(std::mt19937_64& random, FaultFileSystem* fs, Clock* clock) {
  const auto pick = [&random](std::uint64_t least, std::uint64_t most) { return least + random() % (most - least + 1); };
  const auto small = [&](std::uint64_t least, std::uint64_t most) { return static_cast<std::uint32_t>(pick(least, most)); };
  Options options;
  options.dir = "db";
  options.file_system = fs;
  options.clock = clock;
  options.memtable_entries = pick(3, 30);
  options.max_immutable_memtables = small(1, 3);
  options.max_memory_bytes = pick(0, 3) == 0 ? pick(5'000, 60'000) : 0;
  options.base_level_entries = pick(10, 60);
  options.base_level_bytes = 0;
  options.level_ratio = small(2, 4);
  options.max_l0_sstables = small(1, 4);
  options.l0_slowdown_sstables = options.max_l0_sstables + small(0, 3);
  options.l0_stop_sstables = options.l0_slowdown_sstables + small(1, 4);
  options.soft_limit_ratio = pick(0, 1) == 0 ? 0.85 : 1.0;
  options.max_sstable_bytes = pick(0, 2) == 0 ? 0 : pick(300, 2000);
  options.dead_max_age_ms = pick(0, 1) == 0 ? 600'000 : pick(100, 5000);
  options.block_bytes = pick(100, 500);
  options.row_cache_percent = pick(0, 1) == 0 ? 0 : 80;
  options.block_cache_bytes = (options.row_cache_percent == 0 ? pick(1, 64) : pick(100, 1000)) << 10;
  options.max_open_sstables = small(1, 6);
  options.bloom_bits_per_key = pick(0, 1) == 0 ? 0 : 10;
  options.compression = static_cast<Compression>(pick(0, 2));
  options.min_blob_bytes = pick(0, 1) == 0 ? 0 : pick(1, 80);
  options.wal_fsync = static_cast<WalFsync>(pick(0, 2));
  options.flush_workers = small(1, 2);
  options.compaction_workers = small(1, 3);
  options.background_bytes = pick(0, 3) == 0 ? 1 : 64 << 20;
  options.compaction_bytes_per_second = pick(0, 5) == 0 ? 2 << 20 : 0;
  options.scrub_interval_ms = pick(0, 7) == 0 ? pick(1000, 60'000) : 0;
  return options;
}

}  // namespace lsmkv::simulation
