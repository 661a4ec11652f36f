// Where the values of a flush or a merge go: small ones stay in the table, large ones go to a blob file and leave a pointer.
//
//   entry with a small value    as it is
//   entry with a large value    the value into a blob file of this job, a pointer to it into the table
//   pointer                     as it is: the value stays where it was written once
//   pointer into a file that is being emptied (compaction/blob_garbage.h)
//                               the value is read, and placed as if it were new
//
// So a directive that changes takes hold as values pass by, and emptied files lose their last reference. What "large" means
// is Options::min_blob_bytes.
//
// A value that cannot be read, because its record is damaged or its sector is, is not lost to the merge: its pointer stays, the reader keeps
// getting the error, and the file is marked, so that nobody tries to empty it again.
// Threads  one at a time; any number of sinks side by side.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/blob/blob_writer.h"
#include "engine/version/engine_context.h"
#include "engine/version/version.h"

namespace lsmkv {

/// What a merge needs to know of the blob files that its inputs refer to. A flush needs nothing.
struct BlobMoves {
  const Version* version = nullptr;   ///< names them all
  std::set<std::uint64_t> files;      ///< those that are being emptied: values in them are moved as they pass by
};

class ValueSink {
 public:
  /// `moves.version` outlives the sink.
  ValueSink(EngineContext& context, BlobMoves moves) : context_(context), moves_(std::move(moves)) {}
  /// Removes the files it wrote, unless Keep() was called.
  ~ValueSink();
  ValueSink(const ValueSink&) = delete;
  ValueSink& operator=(const ValueSink&) = delete;

  /// What the table is to hold for `entry`; its value lives until the next call. Errors: kIoError, kNoSpace; kCorruption for a
  /// pointer that does not decode.
  Result<EntryView> Place(const EntryView& entry);
  /// All blob files whole and synced.
  Status Finish();
  /// After Finish: their names are safe too.
  Status SyncNames() { return written_.empty() ? Status() : context_.fs.SyncDirectory(context_.blob_dir); }
  /// A manifest is about to name the files.
  void Keep() { created_.clear(); }

  /// After Finish: how large a file is that tables of this job refer to, be it new or old. Errors: kCorruption when there is
  /// no such file.
  Result<std::uint64_t> FileBytes(std::uint64_t id) const;
  /// What a sink needs besides the value it has in hand.
  static std::uint64_t BufferBytes(const Options& options) { return options.min_blob_bytes == 0 ? 0 : BlobWriter::kBufferBytes; }
  std::uint64_t bytes_written() const { return bytes_written_; }                   ///< of closed files
  std::uint64_t bytes_so_far() const { return bytes_written_ + (writer_ != nullptr ? writer_->file_bytes() : 0); }
  std::uint64_t bytes_moved() const { return bytes_moved_; }     ///< read from files that are being emptied

 private:
  Result<EntryView> Store(const EntryView& entry);
  Result<EntryView> Move(const EntryView& entry, const BlobPointer& from);
  Result<EntryView> PointTo(const EntryView& entry, Result<BlobPointer> to, std::string_view head);
  bool IsLarge(std::uint64_t value_bytes) const {
    return context_.options.min_blob_bytes != 0 && value_bytes >= context_.options.min_blob_bytes;
  }
  Status OpenFile();
  Status CloseFile();

  EngineContext& context_;
  const BlobMoves moves_;
  std::unique_ptr<WritableFile> file_;             // before the writer: destroyed after it
  std::unique_ptr<BlobWriter> writer_;
  std::vector<std::uint64_t> created_;             // to be removed unless Keep() was called
  std::map<std::uint64_t, std::uint64_t> written_; // bytes of the finished ones, by id
  std::string pointer_;                            // of the entry placed last
  std::shared_ptr<const BlobValue> value_;         // likewise, when a moved value goes into the table
  std::uint64_t bytes_written_ = 0;
  std::uint64_t bytes_moved_ = 0;
};

}  // namespace lsmkv
