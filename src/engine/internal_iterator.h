#pragma once

#include <string_view>

#include "lsmkv/status.h"
#include "lsmkv/write_batch.h"

namespace lsmkv {

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
};

}  // namespace lsmkv
