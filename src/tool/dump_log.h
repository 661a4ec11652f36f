// lsmkv-tool dump of the log: a segment, or a batch that lies beside it.
#pragma once

#include <cstdint>
#include <string>

#include "fs/file_system.h"
#include "tool/command_line.h"

namespace lsmkv::tool {

struct DumpOptions {
  std::uint64_t limit = 0;             ///< entries or records shown
  std::size_t value_bytes = 0;
  bool blocks = false;                 ///< where each block is
  bool blob_values = false;            ///< of values in blob files show more than the place
};

/// Its records; a batch that one of them names is read and shown in its place.
Exit DumpSegment(FileSystem& fs, const std::string& path, std::uint64_t segment, const DumpOptions& options);
/// Its operations. The checksum and the sequence numbers are in the log alone.
Exit DumpAside(FileSystem& fs, const std::string& path, const DumpOptions& options);

}  // namespace lsmkv::tool
