#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "lsmkv/status.h"

namespace lsmkv {

/// How a check of a whole file (CheckTable, CheckBlobFile) tells what it does.
struct FileCheckHooks {
  std::function<bool(std::uint64_t bytes)> on_read;     ///< so much is about to be read; false: stop here
  std::function<void(const Status& damage)> on_damage;  ///< "<name>: offset N: what"; the check goes on where it can
};

struct FileCheckSummary {
  std::uint64_t bytes = 0;      ///< read
  std::uint64_t entries = 0;    ///< that were found whole; records of a blob file
  std::uint64_t damage = 0;
  bool stopped = false;         ///< by on_read
};

/// What the checks of the two kinds of file have in common.
class FileCheck {
 protected:
  FileCheck(std::string name, const FileCheckHooks& hooks) : name_(std::move(name)), hooks_(hooks) {}
  /// Before each read. False: the check is to stop.
  bool Pay(std::uint64_t bytes) {
    summary_.stopped = summary_.stopped || !hooks_.on_read(bytes);
    if (!summary_.stopped) summary_.bytes += bytes;
    return !summary_.stopped;
  }
  void Damage(const Status& status) {
    ++summary_.damage;
    hooks_.on_damage(status.WithContext(name_));
  }

  const std::string name_;
  const FileCheckHooks& hooks_;
  FileCheckSummary summary_;
};

}  // namespace lsmkv
