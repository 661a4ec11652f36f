// DIR/wal/closed.txt: how far the log went when it was last closed in order.
//
// Markers inside the log tell recovery what had been durable (log_format.h), but a file that is cut short loses its markers with
// its records, and what is left looks like a log that ends there. The note stands outside. It stays true for ever, since what
// was durable once must be found at every later start, in the log or in tables; so nobody has to remove it, unless writes were
// given up (wal-skip-corruption), and only a close that has something to add writes it anew. A log that was not closed since, because the process was killed, may be cut short
// behind the note unnoticed: to notice that too would take a second sync for every one.
//
//   note := "everything up to " sequence " was durable when the log was closed; xxh3:" checksum:hex[16] "\n"
//
// A note that is missing or damaged says nothing.
#pragma once

#include <string>

#include "fs/file_system.h"
#include "lsmkv/write_batch.h"

namespace lsmkv {

inline constexpr std::string_view kClosingNoteName = "closed.txt";

/// After the log was synced up to `durable`.
Status WriteClosingNote(FileSystem& fs, const std::string& wal_dir, SequenceNumber durable);
/// After writes that it tells of were given up.
Status RemoveClosingNote(FileSystem& fs, const std::string& wal_dir);
/// 0: none that can be believed.
SequenceNumber ReadClosingNote(FileSystem& fs, const std::string& wal_dir);

}  // namespace lsmkv
