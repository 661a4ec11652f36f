// Values by the pointers that tables hold, out of a data directory's blob files, which may be damaged in any way.
//
// The engine opens a blob file only if its header is right and its size is what a manifest says. Here each record stands for
// itself: it counts when its own checksum, which covers the file's number and the place, is right, it belongs to the entry's
// key, and it unpacks to the size and the first bytes that the pointer names. Nothing else passes for the entry's value.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "engine/blob/blob_reader.h"
#include "fs/file_system.h"
#include "lsmkv/write_batch.h"

namespace lsmkv::tool {

class BlobLookup {
 public:
  BlobLookup(FileSystem& fs, std::string dir) : fs_(fs), dir_(std::move(dir)) {}

  /// The value of a kBlob entry. Errors: kCorruption "blob/blob_000017.blob: offset N: what": it is not to be had; others: a
  /// file could not be opened.
  Result<std::shared_ptr<const BlobValue>> Read(const EntryView& entry);

 private:
  Result<const RandomAccessFile*> Open(std::uint64_t id);

  static constexpr std::size_t kMostOpen = 64;

  FileSystem& fs_;
  const std::string dir_;
  std::map<std::uint64_t, std::unique_ptr<RandomAccessFile>> open_;
};

}  // namespace lsmkv::tool
