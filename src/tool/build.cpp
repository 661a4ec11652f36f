// lsmkv-tool build: keys and values into a bundle, which a running server takes in by LSM INGEST.
#include <fmt/core.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/bundle/bundle_writer.h"
#include "keyspace/codec.h"
#include "tool/build_input.h"
#include "tool/commands.h"
#include "tool/data_directory.h"
#include "tool/external_sort.h"
#include "tool/settings.h"
#include "tool/text.h"

namespace lsmkv::tool {
namespace {

constexpr std::size_t kMaxUserKeyBytes = 1u << 20;

struct BuildOptions {
  std::string dir;
  InputOptions input;
  BundleOptions bundle;
  std::uint64_t memory_bytes = 0;
  bool sorted = false;
};

/// The input's entries as the engine keeps them, into a bundle.
class Builder {
 public:
  explicit Builder(const BuildOptions& options)
      : options_(options), writer_(fs_, Clock::System(), options.dir, DatabaseBegin(options.input.database), options.bundle),
        sort_(fs_, options.dir + "/scratch", options.memory_bytes) {}

  Status Take(const InputEntry& entry) {
    if (entry.key.size() > kMaxUserKeyBytes) return Status::InvalidArgument("a key of more than 1 MiB");
    if (entry.value.size() >= kMaxValueBytes) return Status::InvalidArgument("a value of more than 1020 MiB");
    ++read_;
    const EngineKey key(options_.input.database, entry.key);
    value_.assign(1, static_cast<char>(ValueType::kString));
    value_.append(entry.value);
    return options_.sorted ? TakeSorted(key.view(), entry.expire_at_ms) : sort_.Add(key.view(), value_, entry.expire_at_ms);
  }

  Result<BundleDescription> Finish() {
    if (read_ == 0) return Status::InvalidArgument("the input has no entries: nothing to build");
    if (options_.sorted) {
      if (Status status = WritePending(); !status.ok()) return status;
      return writer_.Finish();
    }
    const Result<std::unique_ptr<InternalIterator>> entries = sort_.Finish();
    if (!entries) return entries.error();
    for ((*entries)->SeekToFirst(); (*entries)->Valid(); (*entries)->Next()) {
      const EntryView& entry = (*entries)->entry();
      const std::uint64_t deadline = entry.kind == EntryKind::kExpiringValue ? entry.expire_at_ms : 0;
      if (Status status = writer_.Add(entry.key, entry.value, deadline); !status.ok()) return status;
    }
    if (Status status = (*entries)->status(); !status.ok()) return status;
    return writer_.Finish();
  }
  std::uint64_t read() const { return read_; }
  std::uint64_t runs() const { return sort_.runs_written(); }

 private:
  /// One entry is held back: the next may have the same key.
  Status TakeSorted(std::string_view key, std::uint64_t expire_at_ms) {
    if (has_pending_ && key < std::string_view(pending_key_))
      return Status::InvalidArgument("a key smaller than the one before it, in bytes; leave --sorted away");
    if (has_pending_ && key != std::string_view(pending_key_))
      if (Status status = WritePending(); !status.ok()) return status;
    has_pending_ = true;
    pending_key_ = key;
    pending_value_ = value_;
    pending_expire_at_ms_ = expire_at_ms;
    return {};
  }
  Status WritePending() { return writer_.Add(pending_key_, pending_value_, pending_expire_at_ms_); }

  const BuildOptions& options_;
  FileSystem& fs_ = FileSystem::Posix();
  BundleWriter writer_;
  ExternalSort sort_;
  std::string value_;
  std::uint64_t read_ = 0;
  bool has_pending_ = false;
  std::string pending_key_;
  std::string pending_value_;
  std::uint64_t pending_expire_at_ms_ = 0;
};

Result<BuildOptions> OptionsOf(const Arguments& arguments) {
  BuildOptions options;
  options.dir = CleanPath(arguments.operand(0));
  const std::string format = arguments.Has("format") ? arguments.Text("format") : "tsv";
  if (format == "tsv") options.input.format = InputFormat::kTsv;
  else if (format == "jsonl") options.input.format = InputFormat::kJsonLines;
  else if (format == "resp") options.input.format = InputFormat::kResp;
  else return Status::InvalidArgument(fmt::format("--format is '{}'; allowed is tsv, jsonl or resp", format));
  const Result<std::uint64_t> database = arguments.Number("db", 0, 0, UINT32_MAX);
  const Result<std::uint64_t> memory_mb = arguments.Number("memory-mb", 256, 1, 1u << 20);
  for (const Status& status : {database.status(), memory_mb.status()})
    if (!status.ok()) return status;
  const Result<Settings> settings = ReadSettings(arguments);
  if (!settings) return settings.error();
  const Options engine = EngineOptions(*settings);
  options.input.database = static_cast<std::uint32_t>(*database);
  options.input.now_ms = Clock::System().WallMillis();
  options.memory_bytes = *memory_mb << 20;
  options.sorted = arguments.Has("sorted");
  // The engine writes them anew with filters and its own sizes; here they only have to be small and quick to read.
  options.bundle.table.bloom_bits_per_key = 0;
  options.bundle.table.compression = engine.compression;
  options.bundle.table.block_bytes = engine.block_bytes;
  return options;
}

Status ReadInputs(const Arguments& arguments, const BuildOptions& options, Builder& builder) {
  const TakeEntry take = [&builder](const InputEntry& entry) { return builder.Take(entry); };
  if (arguments.operand_count() == 1) return ReadInput("standard input", ReadFrom(stdin, "standard input"), options.input, take);
  for (std::size_t i = 1; i < arguments.operand_count(); ++i) {
    const std::string& name = arguments.operand(i);
    std::FILE* const file = name == "-" ? stdin : std::fopen(name.c_str(), "rb");
    if (file == nullptr) return Status::IoError(fmt::format("{}: {}", name, std::strerror(errno)));
    const Status status = ReadInput(name, ReadFrom(file, name), options.input, take);
    if (file != stdin) std::fclose(file);
    if (!status.ok()) return status;
  }
  return {};
}

/// The directory is new or empty. True: it was made here.
Result<bool> MakeDirectory(FileSystem& fs, const std::string& dir) {
  const Result<std::vector<std::string>> names = fs.ListDirectory(dir);
  if (names && !names->empty()) return Status::InvalidArgument(dir + ": is there already and not empty");
  if (!names && names.error().code() != StatusCode::kNotFound) return names.error();
  if (Status status = fs.CreateDirectories(dir + "/scratch"); !status.ok()) return status;
  return !names.has_value();
}

void PrintResult(const Arguments& arguments, const Builder& builder, const BundleDescription& bundle, const std::string& dir) {
  if (arguments.Has("json")) {
    const nlohmann::ordered_json document = {{"entries_read", builder.read()}, {"keys", bundle.entries}, {"tables", bundle.tables.size()},
                                             {"bytes", bundle.size_bytes()}, {"sorted_runs", builder.runs()}, {"directory", dir}};
    return Print(document.dump() + "\n");
  }
  Print(fmt::format("{} entries read, {} keys in {} tables, {}\ntake them in with: LSM INGEST {}\n", builder.read(), bundle.entries,
                    bundle.tables.size(), BytesText(bundle.size_bytes()), dir));
}

}  // namespace

Exit RunBuild(const Arguments& arguments) {
  const Result<BuildOptions> options = OptionsOf(arguments);
  if (!options) return Cannot(options.error());
  FileSystem& fs = FileSystem::Posix();
  const Result<bool> made_here = MakeDirectory(fs, options->dir);
  if (!made_here) return Cannot(made_here.error());
  Status status;
  {
    Builder builder(*options);
    status = ReadInputs(arguments, *options, builder);
    if (status.ok()) {
      const Result<BundleDescription> bundle = builder.Finish();
      status = bundle.status();
      if (bundle) PrintResult(arguments, builder, *bundle, std::filesystem::absolute(options->dir).lexically_normal().string());
    }
  }
  IgnoreError(fs.RemoveDirectory(options->dir + "/scratch"), "empty by now");
  if (status.ok()) return Exit::kFine;
  const Result<std::vector<std::string>> names = NamesIn(fs, options->dir);
  if (names)
    for (const std::string& name : *names) IgnoreError(fs.RemoveFile(options->dir + "/" + name), "an unfinished bundle");
  if (*made_here) IgnoreError(fs.RemoveDirectory(options->dir), "likewise");
  return Cannot(status);
}

}  // namespace lsmkv::tool
