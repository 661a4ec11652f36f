// What the operating system knows of this process and its files. Linux only: /proc.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "lsmkv/status.h"

namespace lsmkv::bench {

struct ProcessFigures {
  std::uint64_t cpu_micros = 0;       ///< user and system, all threads
  std::uint64_t device_bytes = 0;     ///< pages dirtied or written past the page cache, in bytes; 0 on a tmpfs
  std::uint64_t written_bytes = 0;    ///< handed to write(2) and its kin
  std::uint64_t read_bytes = 0;       ///< taken from read(2) and its kin; what is mapped is not in it
};
Result<ProcessFigures> ReadProcessFigures();

struct MemoryFigures {
  std::uint64_t peak_rss_bytes = 0;   ///< since the program was started; mapped files count
  std::uint64_t anonymous_bytes = 0;  ///< now, without mapped files
};
Result<MemoryFigures> ReadMemoryFigures();

struct DirectoryFigures {
  std::uint64_t bytes = 0;            ///< on disk, as du counts
  std::uint64_t log_bytes = 0;        ///< of which in files *.log: the write-ahead log, in all three engines
};
Result<DirectoryFigures> MeasureDirectory(const std::string& dir);

struct Machine {
  std::string cpu;
  std::uint64_t cores = 0;
  std::uint64_t memory_mb = 0;
  std::string kernel;
  std::string allocator;              ///< what malloc is in this program, and so in the engines' libraries
};
Machine ReadMachine();
/// "ext4", "tmpfs", …; the number of the type when its name is not known here.
Result<std::string> FileSystemOf(const std::string& dir);

}  // namespace lsmkv::bench
