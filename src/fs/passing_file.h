// Reading a file once, as a whole and for its own sake, without costing others what they have in the system's cache.
//
// A plain read leaves every page in the cache, and so a scrub of a tree larger than memory pushes out the pages that users read. Here
// the file is read in windows: before one, the system is asked which of its pages it holds (mincore); after it, those that it did not hold are
// given back (POSIX_FADV_DONTNEED). Pages that were there stay, whoever had read them. Nothing is read ahead, beyond the window, since such
// pages would look like somebody's. Not O_DIRECT: that would read from the disk also what is in the cache, which a reader would get.
//
// A page that somebody else begins to use between the two moments, milliseconds apart, is read again when it is wanted again.
#pragma once

#include <memory>
#include <string>

#include "fs/file_system.h"

namespace lsmkv {

/// As fs.NewRandomAccessFile(path), to be read roughly from the beginning to the end; which the system's own file system (FileSystem::Posix())
/// does in this way, and any other in its usual one. Threads: one at a time, unlike other files.
Result<std::unique_ptr<RandomAccessFile>> NewPassingFile(FileSystem& fs, const std::string& path);

}  // namespace lsmkv
