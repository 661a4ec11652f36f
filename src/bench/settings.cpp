#include "bench/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>

#include "base/numbers.h"
#include "bench/workload.h"

namespace lsmkv::bench {
namespace {

using NumberField = std::uint64_t Settings::*;
using TextField = std::string Settings::*;
using ListField = std::vector<std::string> Settings::*;
using FlagField = bool Settings::*;

constexpr std::uint64_t kMostEntries = 10'000'000'000;   // what sixteen digits of a key have room for, and a bound on disk

/// One option. Exactly one of the fields is set; compression and wal-sync have words instead.
struct Option {
  const char* name;
  const char* value;                      // what --help shows as its value; empty for a flag
  const char* doc;
  NumberField number = nullptr;
  std::uint64_t least = 0;
  std::uint64_t most = 0;
  TextField text = nullptr;
  ListField list = nullptr;
  FlagField flag = nullptr;
};

constexpr Option kOptions[] = {
    {.name = "engines", .value = "A,B,…", .doc = "of: lsmkv, rocksdb, leveldb; default: all that were built in", .list = &Settings::engines},
    {.name = "benchmarks", .value = "A,B,…", .doc = "of the list below, in this order; default: all", .list = &Settings::benchmarks},
    {.name = "num", .value = "N", .doc = "entries, and operations of a writing benchmark", .number = &Settings::num, .least = 1, .most = kMostEntries},
    {.name = "reads", .value = "N", .doc = "operations of a reading benchmark; 0: as many as --num", .number = &Settings::reads, .most = kMostEntries},
    {.name = "key-size", .value = "BYTES", .doc = "of a key: a decimal number with leading zeros", .number = &Settings::key_bytes, .least = 8, .most = 1024},
    {.name = "value-size", .value = "BYTES", .doc = "of a value, half compressible", .number = &Settings::value_bytes, .least = 1, .most = 1u << 20},
    {.name = "threads", .value = "N", .doc = "that share the operations", .number = &Settings::threads, .least = 1, .most = 256},
    {.name = "rounds", .value = "N", .doc = "of everything on every engine; the table shows medians", .number = &Settings::rounds, .least = 1, .most = 1000},
    {.name = "memory-mb", .value = "MB", .doc = "in all: half of it for memtables, three eighths for the block cache", .number = &Settings::memory_mb, .least = 8, .most = 1u << 20},
    {.name = "memtables", .value = "N", .doc = "among how many the memtables' half is divided (LevelDB: always 2)", .number = &Settings::memtables, .least = 2, .most = 64},
    {.name = "compression", .value = "NAME", .doc = "none, lz4 or zstd (LevelDB: none only)"},
    {.name = "bloom-bits", .value = "N", .doc = "a key in the filters; 0: no filters", .number = &Settings::bloom_bits, .most = 40},
    {.name = "wal-sync", .value = "MODE", .doc = "no: a write returns when the operating system has it; everysec: and it is synced each second; always: before it returns"},
    {.name = "level-ratio", .value = "N", .doc = "level N's limit is base x ratio^N (LevelDB: always 10)", .number = &Settings::level_ratio, .least = 2, .most = 1000},
    {.name = "base-mb", .value = "MB", .doc = "that base; 0: four memtables (LevelDB: always 1 MB)", .number = &Settings::base_mb, .most = 1u << 20},
    {.name = "l0-tables", .value = "N", .doc = "of L0 that start a compaction; writers are slowed at 3 N and stopped at 6 N (LevelDB: always 4, 8, 12)", .number = &Settings::l0_tables, .least = 1, .most = 1000},
    {.name = "table-mb", .value = "MB", .doc = "of one table (LevelDB: always 2 MB)", .number = &Settings::table_mb, .least = 1, .most = 1u << 16},
    {.name = "workers", .value = "N", .doc = "compaction threads, beside one that flushes (LevelDB: one thread for both)", .number = &Settings::workers, .least = 1, .most = 64},
    {.name = "seek-nexts", .value = "N", .doc = "entries that seekrandom reads after each seek", .number = &Settings::seek_nexts, .most = 1'000'000},
    {.name = "writer-rate", .value = "N", .doc = "writes a second of readwhilewriting's writer; 0: as fast as it goes", .number = &Settings::writer_rate, .most = 100'000'000},
    {.name = "seed", .value = "N", .doc = "of the random keys and values, the same for all engines", .number = &Settings::seed, .most = UINT64_MAX},
    {.name = "dir", .value = "DIR", .doc = "where the data directories are made; should be on the disk in question", .text = &Settings::dir},
    {.name = "json", .value = "FILE", .doc = "all figures of all rounds, besides the table", .text = &Settings::json},
    {.name = "keep-data", .value = "", .doc = "leave the data directories where they are", .flag = &Settings::keep_data},
    {.name = "existing-data", .value = "", .doc = "begin each round with what --keep-data has left, instead of nothing, and keep it", .flag = &Settings::existing_data},
    {.name = "help", .value = "", .doc = "this text", .flag = &Settings::help},
};

struct CompressionName { Compression value; std::string_view name; };
struct WalSyncName { WalFsync value; std::string_view name; };
constexpr CompressionName kCompressions[] = {{Compression::kNone, "none"}, {Compression::kLz4, "lz4"}, {Compression::kZstd, "zstd"}};
constexpr WalSyncName kWalSyncs[] = {{WalFsync::kNo, "no"}, {WalFsync::kEverySec, "everysec"}, {WalFsync::kAlways, "always"}};

template <typename Row, typename Value>
std::string_view NameIn(std::span<const Row> rows, Value value) {
  const auto row = std::ranges::find(rows, value, &Row::value);
  return row == rows.end() ? "?" : row->name;
}

template <typename Row, typename Value>
Status SetByName(std::span<const Row> rows, std::string_view name, Value* value, std::string_view option) {
  const auto row = std::ranges::find(rows, name, &Row::name);
  if (row != rows.end()) {
    *value = row->value;
    return {};
  }
  std::string allowed;
  for (const Row& r : rows) allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", r.name);
  return Status::InvalidArgument(fmt::format("--{} is '{}'; it is one of: {}", option, name, allowed));
}

std::string Join(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, ",")); }

Result<std::vector<std::string>> Split(std::string_view text, std::string_view option) {
  std::vector<std::string> words;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view word = text.substr(0, comma);
    if (word.empty()) return Status::InvalidArgument(fmt::format("--{} has an empty name in its list; write it as a,b,c", option));
    words.emplace_back(word);
    if (comma == std::string_view::npos) return words;
    text.remove_prefix(comma + 1);
  }
}

Status Set(const Option& option, std::string_view value, Settings* settings) {
  if (option.number != nullptr) {
    const std::optional<std::uint64_t> number = ParseUint64(value);
    if (!number || *number < option.least || *number > option.most)
      return Status::InvalidArgument(fmt::format("--{} is '{}'; it is a whole number from {} to {}", option.name, value, option.least, option.most));
    settings->*option.number = *number;
    return {};
  }
  if (option.text != nullptr) {
    if (value.empty()) return Status::InvalidArgument(fmt::format("--{} is empty; it wants a {}", option.name, option.value));
    settings->*option.text = value;
    return {};
  }
  if (option.list != nullptr) {
    Result<std::vector<std::string>> words = Split(value, option.name);
    if (!words) return words.error();
    settings->*option.list = std::move(*words);
    return {};
  }
  if (std::string_view(option.name) == "compression")
    return SetByName(std::span<const CompressionName>(kCompressions), value, &settings->compression, option.name);
  return SetByName(std::span<const WalSyncName>(kWalSyncs), value, &settings->wal_sync, option.name);
}

std::string TextOf(const Option& option, const Settings& settings) {
  if (option.number != nullptr) return fmt::format("{}", settings.*option.number);
  if (option.text != nullptr) return settings.*option.text;
  if (option.list != nullptr) return Join(settings.*option.list);
  if (option.flag != nullptr) return settings.*option.flag ? "yes" : "no";
  return std::string(std::string_view(option.name) == "compression" ? NameOf(settings.compression) : NameOf(settings.wal_sync));
}

Status CheckTogether(const Settings& settings) {
  for (const std::string& name : settings.benchmarks) {
    if (FindWorkload(name) == nullptr)
      return Status::InvalidArgument(fmt::format("there is no benchmark '{}'; there are: {}", name, WorkloadNames()));
  }
  const std::string largest = fmt::format("{}", settings.num - 1);
  if (largest.size() > settings.key_bytes)
    return Status::InvalidArgument(fmt::format("--key-size is {} and --num {}: the largest key has {} digits", settings.key_bytes, settings.num, largest.size()));
  if (settings.threads > settings.num || settings.threads > settings.read_operations())
    return Status::InvalidArgument(fmt::format("--threads is {}, more than there are operations: raise --num or --reads", settings.threads));
  return {};
}

}  // namespace

std::string_view NameOf(Compression compression) { return NameIn(std::span<const CompressionName>(kCompressions), compression); }
std::string_view NameOf(WalFsync mode) { return NameIn(std::span<const WalSyncName>(kWalSyncs), mode); }

Result<Settings> ParseSettings(std::span<const std::string> arguments) {
  Settings settings;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string_view word = arguments[i];
    if (!word.starts_with("--")) return Status::InvalidArgument(fmt::format("'{}' is not an option; options begin with --, see --help", word));
    word.remove_prefix(2);
    const std::size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const auto* const option = std::ranges::find_if(kOptions, [name](const Option& o) { return name == o.name; });
    if (option == std::end(kOptions)) return Status::InvalidArgument(fmt::format("there is no option '--{}'; see --help", name));
    if (option->flag != nullptr) {
      if (equals != std::string_view::npos) return Status::InvalidArgument(fmt::format("--{} takes no value", name));
      settings.*option->flag = true;
      continue;
    }
    if (equals == std::string_view::npos && i + 1 == arguments.size())
      return Status::InvalidArgument(fmt::format("--{} wants a value: {}", name, option->value));
    const std::string_view value = equals == std::string_view::npos ? std::string_view(arguments[++i]) : word.substr(equals + 1);
    if (Status status = Set(*option, value, &settings); !status.ok()) return status;
  }
  if (Status status = CheckTogether(settings); !status.ok()) return status;
  return settings;
}

std::vector<std::string> ToArguments(const Settings& settings) {
  std::vector<std::string> arguments;
  for (const Option& option : kOptions) {
    const std::string text = TextOf(option, settings);
    const bool absent = option.flag != nullptr ? !(settings.*option.flag) : text.empty();
    if (absent) continue;
    arguments.push_back(option.flag != nullptr ? fmt::format("--{}", option.name) : fmt::format("--{}={}", option.name, text));
  }
  return arguments;
}

std::vector<std::pair<std::string, std::string>> ToTexts(const Settings& settings) {
  std::vector<std::pair<std::string, std::string>> texts;
  for (const Option& option : kOptions) texts.emplace_back(option.name, TextOf(option, settings));
  return texts;
}

std::string HelpText() {
  std::string text =
      "lsmkv-bench: db_bench's workloads on lsmkv, RocksDB and LevelDB, in one interleaved run.\n"
      "\n"
      "  lsmkv-bench [--option value …]\n"
      "\n"
      "Every benchmark of every engine and round runs in a process of its own, on data directories of its own; figures are\n"
      "medians of the rounds, \"lsmkv/it\" is the median of the rounds' ratios.\n"
      "\n";
  const Settings defaults;
  for (const Option& option : kOptions) {
    const std::string form = fmt::format("--{} {}", option.name, option.value);
    const std::string preset = option.flag != nullptr || option.list != nullptr ? "" : TextOf(option, defaults);
    text += fmt::format("  {:<22} {}{}\n", form, option.doc, preset.empty() ? "" : fmt::format(" ({})", preset));
  }
  text += "\nBenchmarks:\n";
  for (const Workload& workload : Workloads()) text += fmt::format("  {:<22} {}\n", workload.name, workload.doc);
  return text;
}

}  // namespace lsmkv::bench
