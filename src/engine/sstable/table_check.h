// Reads a whole SSTable past every cache: each block's checksum, each entry, and that the parts agree with each other.
//
// Damage does not end it: what can still be reached is checked too. That is all but the blocks whose way in the file was
// lost with an index. What the parts must agree on (order of keys, filter, the properties' figures) can only be wrong where
// a writer was; a disk's faults end at the checksums.
#pragma once

#include <string>

#include "engine/sstable/file_check.h"
#include "engine/sstable/table_properties.h"
#include "fs/file_system.h"

namespace lsmkv {

/// @param name  for messages: the file's path.
/// @param properties  what the table says of itself, if that could be read; may be null.
FileCheckSummary CheckTable(const RandomAccessFile& file, const std::string& name, const FileCheckHooks& hooks,
                            TableProperties* properties = nullptr);

}  // namespace lsmkv
