// One reading of everything that the manifests name: the manifests themselves, every block of every table, every record of
// every blob file; from the files, past block cache and open tables, so that what a reader finds in memory hides nothing.
// (The operating system's cache stays in between: what it still holds is what a reader would get as well. What it does not hold is
// not left in it: fs/passing_file.h.)
//
// It holds on to no version, or hours of slow reading would keep the space of all that is compacted meanwhile. It remembers
// which files there were and takes hold of each for its turn; one that nobody holds any more by then is gone, and one that is
// new was written a moment ago.
//
// Threads  one.
#pragma once

#include <cstdint>
#include <functional>

#include "engine/version/engine_context.h"
#include "engine/version/version.h"
#include "lsmkv/scrub.h"

namespace lsmkv {

class ScrubPass {
 public:
  /// Told before so many bytes are read; it may wait, and says false to end the pass.
  using Pay = std::function<bool(std::uint64_t bytes)>;
  using Pinned = std::function<VersionPtr()>;

  /// @param present  the version of this moment.
  ScrubPass(EngineContext& context, Pinned present, Pay pay) : context_(context), present_(std::move(present)), pay_(std::move(pay)) {}

  /// What it has to read, in bytes; known once Run() has begun.
  static std::uint64_t BytesOf(const Version& version);
  /// Errors: kShuttingDown, when `pay` has ended it. Damage is no error: it is in the report, and in the log.
  Result<ScrubReport> Run();

 private:
  struct Files;
  Files FilesOf(const Version& version) const;
  bool CheckManifests(std::uint32_t levels);
  bool CheckTables(const Files& files);
  bool CheckBlobs(const Files& files);
  bool CheckTableFile(const TableFile& table);
  void Damage(const Status& damage);

  EngineContext& context_;
  const Pinned present_;
  const Pay pay_;
  ScrubReport report_;
};

}  // namespace lsmkv
