#pragma once

#include <cstdint>
#include <functional>

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

}  // namespace lsmkv
