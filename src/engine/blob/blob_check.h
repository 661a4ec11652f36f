#pragma once

#include <string>

#include "engine/sstable/file_check.h"
#include "fs/file_system.h"

namespace lsmkv {

/// Reads a whole blob file past every cache, each record's checksum and that header, records and footer agree. After a
/// damaged record it goes on behind it, where the next record says that this is its place; else it ends there.
/// @param name  for messages: the file's path.
FileCheckSummary CheckBlobFile(const RandomAccessFile& file, const std::string& name, std::uint64_t id, const FileCheckHooks& hooks);

}  // namespace lsmkv
