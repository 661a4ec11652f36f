// The directory a run works in:
//
//   DIR/.lsmkv-bench      the mark by which a later run knows that it may empty this directory
//   DIR/<engine>/         data
//   DIR/<engine>.log.txt  what the engine's processes printed
//
// Nothing is removed from a directory that does not bear the mark.
#pragma once

#include <string>
#include <vector>

#include "lsmkv/status.h"

namespace lsmkv::bench {

class WorkDirectory {
 public:
  /// Makes `dir`, or takes it when it is empty or bears the mark; kInvalidArgument when it holds something else.
  /// @param keep_contents  leave what an earlier run left; false: begin with nothing.
  static Result<WorkDirectory> Open(std::string dir, bool keep_contents);

  const std::string& path() const { return dir_; }
  std::string DataOf(const std::string& engine) const { return dir_ + "/" + engine; }
  std::string LogOf(const std::string& engine) const { return dir_ + "/" + engine + ".log.txt"; }
  bool HasData(const std::string& engine) const;
  Status RemoveData(const std::string& engine) const;
  /// All of it, and the directory itself.
  Status Remove() const;
  /// Everything written so far to the disk, so that one engine's writes do not slow the next one.
  Status SyncDisk() const;

 private:
  explicit WorkDirectory(std::string dir) : dir_(std::move(dir)) {}
  std::string dir_;
};

}  // namespace lsmkv::bench
