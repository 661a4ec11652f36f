#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lsmkv/status.h"

namespace lsmkv {

/// So many bytes of a large value stay with its key, for who needs no more (a type, a version).
inline constexpr std::size_t kValueHeadBytes = 8;

/// Live keys in ascending byte order, as of the moment the iterator was made. Pins the memtables and tables it
/// reads: writers, flushes and compactions go on and are not seen. Expired entries are skipped.
/// Threads: one at a time. May read from disk in any call but key(), value_head() and Valid().
class Iterator {
 public:
  virtual ~Iterator() = default;
  virtual bool Valid() const = 0;
  virtual void SeekToFirst() = 0;
  /// To the first key >= `target`.
  virtual void Seek(std::string_view target) = 0;
  virtual void Next() = 0;
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
