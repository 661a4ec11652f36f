#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "lsmkv/status.h"
#include "lsmkv/write_batch.h"

namespace lsmkv {

/// Where a seek goes.
struct SeekPlace {
  bool backward = false;                    ///< SeekToLast, SeekForPrev
  std::optional<std::string_view> key = {}; ///< none: to the end that lies there
};

/// What a seek may have to wait for: first an index, which says where the block lies.
enum class SeekStage : std::uint8_t { kIndex, kBlock };

/// Who has several sources sought one after the other, and wants to know before one waits for the disk: what the others will wait for can be
/// asked for first.
class DiskWaitListener {
 public:
  virtual void BeforeWait(SeekStage stage) = 0;

 protected:
  ~DiskWaitListener() = default;
};

/// Versions in key order, newest first within a key, tombstones and expired ones included: what memtables, tables and
/// merges hand to each other. Keys are plain user keys compared as bytes. Next() and Prev() may be mixed while it is Valid();
/// one that has run off either end wants a seek. A source that is only ever read forward (a bundle) answers the backward moves
/// with kUnsupported.
class InternalIterator {
 public:
  virtual ~InternalIterator() = default;
  virtual bool Valid() const = 0;
  virtual void SeekToFirst() = 0;
  virtual void Seek(std::string_view target) = 0;       ///< to the first entry whose key is >= target
  virtual void SeekToLast() = 0;
  virtual void SeekForPrev(std::string_view target) = 0;  ///< to the last entry whose key is <= target
  virtual void Next() = 0;
  virtual void Prev() = 0;
  virtual const EntryView& entry() const = 0;           ///< its bytes live until the next move
  virtual Status status() const = 0;                    ///< an iterator that failed is not Valid()

  /// From now on `listener`, which outlives this, is told before a seek waits for the disk.
  virtual void TellBeforeWait(DiskWaitListener* /*listener*/) {}
  /// A hint: the next call, but for more such hints, is the seek to `place`, whose key lives until then. Asks the system for what that will have
  /// to read at this stage. kIndex may open a table and waits for nothing else; kBlock waits for the index.
  virtual void WillSeek(const SeekPlace& /*place*/, SeekStage /*stage*/) {}
};

}  // namespace lsmkv
