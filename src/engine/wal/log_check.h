// Reads the log beside the one who writes it, and says what a start would miss. For the scrub: a log is otherwise read only when it is needed,
// and then it is too late, while before that all it holds is in memtables as well.
//
//   closed segments     every byte of every record, to the end
//   open ones           (the one written to, and those left behind and not synced yet) up to the last record that is known to be durable
//   batches beside it   (aside_file.h) the file of each record that was read
//
// It differs from recovery (wal_replay.h) in what it may conclude. Recovery finds out by markers what had been durable; here the writer says
// it (LogExtent), so that there is no torn tail to allow for: what is not readable, of what was vouched for, is damage. And the log
// lives on meanwhile:
//
//   a segment grows         nothing is read past what the writer said was written in whole records, which nothing changes any more
//   it is rotated away from it is read as far as it was when the check began
//   it is retired           (removed, or renamed to a spare and written over: segment_recycler.h) Whatever was found in it is nothing then. The
//                           writer says which segments it gives up before it touches the first of them, and is asked after something was
//                           found: bytes of a later owner cannot have been read before that was said.
//
// Memory   a window of a segment, 1 MiB more than the largest record in it.
// Threads  one.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/wal/log_reader.h"
#include "fs/file_system.h"

namespace lsmkv {

/// What of the log is where, at one moment.
struct LogExtent {
  struct Part {
    std::uint64_t segment = 0;
    std::uint64_t bytes = 0;               ///< of whole records that are written
  };
  SequenceNumber durable_sequence = 0;     ///< all up to here is in tables or in these bytes
  std::vector<Part> open;                  ///< oldest first, the last being the one written to; every other segment in front of it is closed
};

/// Where the log begins, and what is in tables instead, as the manifest says.
struct LogBeginning {
  std::uint64_t floor = 0;
  std::optional<SequenceNumber> flushed_sequence;   ///< nullopt: not known
};

struct LogCheckHooks {
  /// So much is read, or about to be; false: stop here.
  std::function<bool(std::uint64_t bytes)> on_read;
  /// "<file>: offset N: what"; the check goes on where it can. Which segment has to go for it to be of no importance.
  std::function<void(std::uint64_t segment, const Status& damage)> on_damage;
  /// The writer's: segments below are given up. It only grows.
  std::function<std::uint64_t()> given_up_below;
};

struct LogCheckSummary {
  std::uint64_t segments = 0;
  std::uint64_t records = 0;
  std::uint64_t asides = 0;
  std::uint64_t bytes = 0;
  std::uint64_t gone = 0;                  ///< segments that were given up before their turn came, or in it
  bool stopped = false;                    ///< by on_read
};

/// @param beginning  read before `extent` was asked for.
LogCheckSummary CheckLog(FileSystem& fs, const std::string& wal_dir, const LogBeginning& beginning, const LogExtent& extent,
                         const LogCheckHooks& hooks);

}  // namespace lsmkv
