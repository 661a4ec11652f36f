// A data directory with files of every kind, and the verdict on what an engine makes of it after one of them was damaged.
#pragma once

#include "engine_fixture.h"

#include <algorithm>
#include <thread>

#include "base/coding.h"

namespace lsmkv::engine_test {

using FileMap = std::map<std::string, std::string>;   // path, bytes
using Model = std::map<std::string, std::string>;

struct Directory {
  FileMap files;
  Model model;
};

/// Nothing moves unless asked for.
inline Options CorruptionOptions(FaultFileSystem* fs) {
  Options options = TinyOptions(fs);
  options.base_level_entries = 1'000'000;
  options.max_l0_sstables = 1000;
  options.l0_slowdown_sstables = 2000;
  options.l0_stop_sstables = 3000;
  options.min_blob_bytes = 100;
  options.dead_ratio = 1;
  return options;
}

inline std::string KeyOf(int i) { return "key:" + std::to_string(1000 + i); }
inline std::string ValueOf(int i, const std::string& round) { return KeyOf(i) + "=" + round + std::string(i % 10 == 0 ? 150 : 10, 'v'); }

class Builder {
 public:
  Builder() : engine_(MustOpen(CorruptionOptions(&fs_))) {}

  void PutEvery(int step, int keys, const std::string& round) {
    for (int i = 0; i < keys; i += step) {
      REQUIRE(Put(*engine_, KeyOf(i), ValueOf(i, round)).ok());
      directory_.model[KeyOf(i)] = ValueOf(i, round);
    }
  }
  void DeleteEvery(int step, int keys) {
    for (int i = 1; i < keys; i += step) {
      REQUIRE(Delete(*engine_, KeyOf(i)).ok());
      directory_.model.erase(KeyOf(i));
    }
  }
  void PutLarge(int i) {
    WriteBatch batch;
    const std::string value = KeyOf(i) + std::string(Engine::kLargeBatchBytes, 'L');
    batch.Put(KeyOf(i), value);
    REQUIRE(engine_->WriteLarge(std::move(batch)));
    directory_.model[KeyOf(i)] = value;
  }
  /// Synced, with the marker that says so behind it; and then the process writes nothing more.
  void Kill() {
    REQUIRE(engine_->Sync().ok());
    std::string marker;
    PutFixed(&marker, engine_->last_sequence());
    PutFixed(&marker, std::uint32_t{0});                    // operations
    while (!LogHolds(marker)) std::this_thread::yield();
    fs_.FailCall(1, Fault::kWriteError, FaultSpan::kFromThenOn);
    engine_.reset();
    fs_.ClearFaults();
  }
  Engine& engine() { return *engine_; }
  FaultFileSystem& fs() { return fs_; }

  Directory Finish() {
    engine_.reset();
    for (const char* folder : {"db", "db/sst", "db/blob", "db/wal"}) {
      const auto names = fs_.ListDirectory(folder);
      REQUIRE(names);
      for (const std::string& name : *names) {
        const std::string path = std::string(folder) + "/" + name;
        if (const auto bytes = fs_.ReadWholeFile(path)) directory_.files[path] = *bytes;
      }
    }
    return std::move(directory_);
  }

 private:
  bool LogHolds(const std::string& bytes) {
    const auto names = fs_.ListDirectory("db/wal");
    REQUIRE(names);
    return std::ranges::any_of(*names, [&](const std::string& name) { return fs_.ReadWholeFile("db/wal/" + name).value_or("").find(bytes) != std::string::npos; });
  }

  FaultFileSystem fs_;
  std::unique_ptr<Engine> engine_;
  Directory directory_;
};

/// Three levels, blob files, tombstones, several WAL segments with what is in no table, and all that lies beside them.
inline Directory MakeDirectory() {
  Builder builder;
  builder.PutEvery(1, 60, "deep");
  REQUIRE(builder.engine().Compact(std::nullopt, 2).ok());
  builder.PutEvery(3, 60, "middle");
  builder.DeleteEvery(7, 60);
  REQUIRE(builder.engine().Compact(0, 1).ok());
  builder.PutEvery(5, 60, "top");
  REQUIRE(builder.engine().Flush().ok());
  REQUIRE(builder.engine().Scrub());
  WaitForObsoleteFiles(builder.engine(), builder.fs());
  builder.fs().FailSyncs("db/sst");            // from here on memtables stay in the WAL
  builder.PutEvery(1, 41, "first in the log");
  builder.DeleteEvery(11, 60);
  builder.PutEvery(6, 60, "last in the log");
  return builder.Finish();
}

/// As a killed process leaves it: a segment written over an older one's file, whose bytes follow its end, a spare one, a batch beside the log, and what
/// an earlier start had cut off.
inline Directory MakeKilledDirectory() {
  Builder builder;
  for (int flushes = 0; flushes < 6; ++flushes) {
    builder.PutEvery(1, 60, "round " + std::string(400, 'r'));          // longer than a page, which is zeros behind the last write
    REQUIRE(builder.engine().Flush().ok());
  }
  builder.fs().FailSyncs("db/sst");
  builder.PutEvery(4, 60, "in the log");
  builder.PutLarge(7);
  builder.PutEvery(9, 60, "behind the large one");
  builder.Kill();
  Directory directory = builder.Finish();
  directory.files["db/wal/wal_000001.log.dropped"] = std::string(300, 'd');
  return directory;
}

/// Empty: every answer was allowed.
class Verdict {
 public:
  Verdict(const Directory& directory, std::string damaged) : directory_(directory), damaged_(std::move(damaged)) {}

  std::string Of(const FileMap& files) {
    FaultFileSystem fs;
    for (const char* folder : {"db", "db/sst", "db/blob", "db/wal"}) REQUIRE(fs.CreateDirectories(folder).ok());
    for (const auto& [path, bytes] : files) {
      auto file = fs.NewWritableFile(path);
      REQUIRE((file && (*file)->Append(bytes).ok() && (*file)->Sync().ok() && (*file)->Close().ok()));
    }
    std::string wrong = OfStart(fs, true);
    if (!wrong.empty() || refused_) return wrong;
    wrong = OfStart(fs, false);
    return wrong.empty() ? wrong : "opened again: " + wrong;
  }
  bool refused() const { return refused_; }
  int errors() const { return errors_; }

 private:
  /// @param first  then it is scrubbed too, and all of it is merged that can be.
  std::string OfStart(FaultFileSystem& fs, bool first) {
    const Result<std::unique_ptr<Engine>> engine = Engine::Open(CorruptionOptions(&fs));
    if (!engine) return OfRefusal(engine.error());
    if (std::string wrong = OfReads(**engine); !wrong.empty() || !first) return wrong;
    const Result<ScrubReport> scrubbed = (*engine)->Scrub();
    if (!scrubbed) return "a scrub that fails: " + scrubbed.error().message();
    if (errors_ > 0 && scrubbed->damage == 0) return "a scrub finds nothing of what a reader has found";
    if (const Status merged = (*engine)->Compact(); !merged.ok()) {
      if (std::string wrong = OfError(merged); !wrong.empty()) return "merging it: " + wrong;
    }
    return OfReads(**engine);
  }

  std::string OfReads(Engine& engine) {
    std::string wrong = OfLookups(engine);
    if (wrong.empty()) wrong = OfWalk(engine, true);
    if (wrong.empty()) wrong = OfWalk(engine, false);
    return wrong;
  }

  std::string OfRefusal(const Status& status) {
    refused_ = true;
    const std::string& message = status.message();
    const bool right_code = status.code() == StatusCode::kCorruption || status.code() == StatusCode::kUnsupported;
    const bool names_remedy = message.find("Put") != std::string::npos || message.find("Restore") != std::string::npos ||
                              message.find("knows formats") != std::string::npos;
    if (right_code && names_remedy && message.find(damaged_) != std::string::npos) return {};
    return "a refusal that does not name file and remedy: " + message;
  }

  std::string OfError(const Status& status) {
    ++errors_;
    const std::string& message = status.message();
    const bool named = message.find(damaged_) != std::string::npos && message.find("offset ") != std::string::npos;
    if (status.code() == StatusCode::kCorruption && named) return {};
    return "an error that does not name file and offset: " + message;
  }

  std::string OfLookups(Engine& engine) {
    constexpr int kKeys = 62;                  // two more than were ever written
    std::vector<std::string> keys;
    for (int i = 0; i < kKeys; ++i) keys.push_back(KeyOf(i));
    const std::vector<std::string_view> views(keys.begin(), keys.end());
    engine.WillRead(views);
    for (const std::string& key : keys) {
      const auto found = engine.Get(key);
      if (!found) {
        if (std::string wrong = OfError(found.error()); !wrong.empty()) return wrong;
        continue;
      }
      const auto want = directory_.model.find(key);
      if (want == directory_.model.end() && *found) return key + " is there and should not be";
      if (want == directory_.model.end()) continue;
      if (!*found) return key + " is missing without an error";
      if ((*found)->data() != want->second) return key + " has a wrong value: " + std::string((*found)->data());
    }
    return {};
  }

  std::string OfWalk(Engine& engine, bool forward) {
    const auto it = engine.NewIterator({});
    std::vector<std::pair<std::string, std::string>> want(directory_.model.begin(), directory_.model.end());
    if (!forward) std::ranges::reverse(want);
    std::size_t at = 0;
    for (forward ? it->SeekToFirst() : it->SeekToLast(); it->Valid(); forward ? it->Next() : it->Prev(), ++at) {
      const std::string key(it->key());
      const std::string value(it->value());
      if (!it->status().ok()) break;
      if (at == want.size() || key != want[at].first) return "a walk meets " + key + (at < want.size() ? " in place of " + want[at].first : " at the end");
      if (value != want[at].second) return "a walk meets a wrong value for " + key + ": " + value;
    }
    if (!it->status().ok()) return OfError(it->status());
    return at == want.size() ? std::string() : "a walk ends without an error before " + want[at].first;
  }

  const Directory& directory_;
  const std::string damaged_;
  bool refused_ = false;
  int errors_ = 0;
};

}  // namespace lsmkv::engine_test
