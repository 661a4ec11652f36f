#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lsmkv/status.h"

namespace lsmkv {

/// So many bytes of a large value stay with its key, for who needs no more (a type, a version).
inline constexpr std::size_t kValueHeadBytes = 8;

/// Live keys in byte order, as of the moment the iterator was made, walked in either direction. Pins the memtables and tables
/// it reads: writers, flushes and compactions go on and are not seen. Deleted and expired entries are skipped, and what lies
/// outside of ReadOptions' bounds does not exist for it: its first and last key are those inside.
/// Next() and Prev() may be mixed while it is Valid(); after it has run off an end it wants a seek.
///
/// Bounded work: with ReadOptions::max_skipped a move that has met so many dead entries in a row pauses among them. It is then
/// not Valid() and has no error, but paused(): there may be more keys. Next() and Prev() go on from there, on this iterator; on
/// another one, a seek to what position() said does (and with a bound of 1 to its neighbour, or it would not get on).
///
///   for (it->Seek(k); it->Valid() || it->paused(); it->Next()) {
///     if (it->Valid()) Use(it->key());  else  LookWhetherToGoOn();
///   }
///
/// Cost     a change of direction moves every source once: some steps' worth. Prev() costs what Next() costs.
/// Threads: one at a time. May read from disk in any call but key(), value_head(), Valid(), paused() and position().
class Iterator {
 public:
  virtual ~Iterator() = default;
  virtual bool Valid() const = 0;
  /// The last move ended at its work bound. Never so without ReadOptions::max_skipped.
  virtual bool paused() const = 0;
  /// While paused(): the key the walk has come to. It is dead, as are all between it and where the move began.
  virtual std::string_view position() const = 0;        ///< until the next move
  virtual void SeekToFirst() = 0;
  virtual void SeekToLast() = 0;
  /// To the first key >= `target`.
  virtual void Seek(std::string_view target) = 0;
  /// To the last key <= `target`.
  virtual void SeekForPrev(std::string_view target) = 0;
  virtual void Next() = 0;
  virtual void Prev() = 0;
  virtual std::string_view key() const = 0;             ///< until the next move
  /// Until the next move. A large value is read from its blob file by the first call: look at status() after it. When that
  /// fails the iterator is no longer Valid().
  virtual std::string_view value() const = 0;
  /// The first bytes of value(), kValueHeadBytes or all there are, without a disk read.
  virtual std::string_view value_head() const { return value(); }
  virtual std::uint64_t expire_at_ms() const = 0;       ///< 0: never
  /// Versions looked at so far, dead ones included: what a caller with a work bound counts.
  virtual std::uint64_t examined() const = 0;
  /// An iterator that met an error is not Valid() and says why here. Check it after the loop.
  virtual Status status() const = 0;
};

}  // namespace lsmkv
