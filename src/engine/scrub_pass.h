// One reading of everything on disk that counts: the manifests, the log (wal/log_check.h), every block of every table and every record of
// every blob file that they name; from the files, past block cache and open tables, so that what a reader finds in memory hides nothing.
// (The operating system's cache stays in between: what it still holds is what a reader would get as well. What it does not hold is
// not left in it: fs/passing_file.h.)
//
// It holds on to no version, or hours of slow reading would keep the space of all that is compacted meanwhile. It remembers
// which files there were and takes hold of each for its turn; one that nobody holds any more by then is gone, and one that is
// new was written a moment ago.
//
// Damage in the log is mended where that can be: what the log holds is in memtables as well, until they are flushed, and then the log is not
// needed any more. So a flush is asked for, and the report says what has come of it.
//
// Threads  one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/manifest/manifest.h"
#include "engine/version/engine_context.h"
#include "engine/version/version.h"
#include "engine/wal/wal.h"
#include "lsmkv/scrub.h"

namespace lsmkv {

class ScrubPass {
 public:
  /// Told before so many bytes are read; it may wait, and says false to end the pass.
  using Pay = std::function<bool(std::uint64_t bytes)>;
  using Pinned = std::function<VersionPtr()>;

  /// Engine::Flush.
  using Flush = std::function<Status()>;

  /// @param present  the version of this moment.
  ScrubPass(EngineContext& context, Wal& wal, Pinned present, Flush flush, Pay pay)
      : context_(context), wal_(wal), present_(std::move(present)), flush_(std::move(flush)), pay_(std::move(pay)) {}

  /// What it has to read, in bytes; known once Run() has begun.
  static std::uint64_t BytesOf(const Version& version);
  /// Errors: kShuttingDown, when `pay` has ended it. Damage is no error: it is in the report, and in the log.
  Result<ScrubReport> Run();

 private:
  struct Files;
  Files FilesOf(const Version& version) const;
  bool CheckManifests(std::uint32_t levels);
  bool CheckLogFiles();
  LogBeginning BeginningOfLog();
  void FlushDamagedLog();
  bool CheckTables(const Files& files);
  bool CheckBlobs(const Files& files);
  bool CheckTableFile(const TableFile& table);
  void Damage(const Status& damage);
  void Remember(std::string message);

  struct LogDamage {
    std::uint64_t segment;
    Status damage;
  };

  EngineContext& context_;
  Wal& wal_;
  const Pinned present_;
  const Flush flush_;
  const Pay pay_;
  std::vector<LogDamage> log_damage_;      // of the first few places
  ScrubReport report_;
};

}  // namespace lsmkv
