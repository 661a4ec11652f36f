// What one run of the benchmark is asked to do: one field an option, one row an option in settings.cpp's table, from which come
// parsing, bounds, --help, the "settings" of the JSON output and the arguments a child process is started with.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lsmkv/options.h"
#include "lsmkv/status.h"

namespace lsmkv::bench {

struct Settings {
  std::vector<std::string> engines;        ///< empty: all that were built in and can do what is asked
  std::vector<std::string> benchmarks;     ///< empty: all; names of workload.h's table, in the order they are run
  std::uint64_t num = 1'000'000;           ///< entries, and operations of a writing benchmark
  std::uint64_t reads = 0;                 ///< operations of a reading benchmark; 0: num
  std::uint64_t key_bytes = 16;
  std::uint64_t value_bytes = 100;
  std::uint64_t threads = 1;
  std::uint64_t rounds = 3;
  std::uint64_t memory_mb = 64;            ///< memtables and block cache together; half and half
  std::uint64_t memtables = 2;             ///< among how many the memtables' half is divided
  Compression compression = Compression::kNone;
  std::uint64_t bloom_bits = 10;
  WalFsync wal_sync = WalFsync::kNo;
  std::uint64_t level_ratio = 10;
  std::uint64_t base_mb = 0;               ///< limit of L0 in bytes, of LN base x ratio^N; 0: four memtables
  std::uint64_t l0_tables = 4;
  std::uint64_t table_mb = 64;
  std::uint64_t workers = 2;               ///< compaction threads
  std::uint64_t seek_nexts = 0;            ///< entries read after each seek of seekrandom
  std::uint64_t writer_rate = 0;           ///< writes a second of readwhilewriting's writer; 0: as fast as it goes
  std::uint64_t seed = 1;
  std::string dir = "lsmkv-bench.data";
  std::string json;                        ///< empty: none
  bool keep_data = false;
  bool existing_data = false;
  bool help = false;

  std::uint64_t read_operations() const { return reads == 0 ? num : reads; }
};

/// `arguments` without the program's name: "--num 1000", "--num=1000", "--keep-data". kInvalidArgument says which one is wrong
/// and what is allowed there. What depends on which engines were built in is not checked here (engines.h).
Result<Settings> ParseSettings(std::span<const std::string> arguments);
/// Arguments from which ParseSettings makes `settings` again.
std::vector<std::string> ToArguments(const Settings& settings);
/// Each option with its value as text, in the table's order.
std::vector<std::pair<std::string, std::string>> ToTexts(const Settings& settings);
std::string HelpText();

std::string_view NameOf(Compression compression);
std::string_view NameOf(WalFsync mode);

}  // namespace lsmkv::bench
