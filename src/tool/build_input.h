// What `lsmkv-tool build` reads: keys and values as text or as Redis commands, from files or a pipe.
//
//   tsv    key TAB value [TAB expire-at-ms] LF                one entry a line; blank lines are passed over
//          \t \n \r \\ \xNN stand for a tab, a line feed, a carriage return, a backslash, any byte. A carriage return at the end
//          of a line belongs to the line's end.
//   jsonl  {"key": "k", "value": "v", "expire_at_ms": 1900000000000} LF        the deadline may be missing, null or 0
//          "key_base64" and "value_base64" instead of "key" and "value" for bytes that are not UTF-8
//   resp   commands as a client sends them: SET key value [EX s | PX ms | EXAT s | PXAT ms], MSET, SETEX, PSETEX; SELECT with
//          the number of the bundle's database. Relative times count from when they are read.
//
// Errors   kInvalidArgument says where: "<input>:17: what" (for resp the number of the command). kIoError: of reading.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "lsmkv/status.h"

namespace lsmkv::tool {

/// Good until the next one is read.
struct InputEntry {
  std::string_view key;
  std::string_view value;
  std::uint64_t expire_at_ms = 0;     ///< 0: never
};
using TakeEntry = std::function<Status(const InputEntry&)>;

/// Pieces of a file or a pipe. `fill` writes at most `size` bytes and returns how many; 0 at the end.
using ReadBytes = std::function<Result<std::size_t>(char* buffer, std::size_t size)>;

enum class InputFormat : std::uint8_t { kTsv, kJsonLines, kResp };

struct InputOptions {
  InputFormat format = InputFormat::kTsv;
  std::uint32_t database = 0;
  std::uint64_t now_ms = 0;
};

/// Gives each entry of one input to `take`, in order; the first error ends it. `name` is for messages.
/// Memory   the longest line or command, at most some 2 GiB.
Status ReadInput(const std::string& name, const ReadBytes& read, const InputOptions& options, const TakeEntry& take);

/// ReadBytes of an open file, which outlives it.
ReadBytes ReadFrom(std::FILE* file, const std::string& name);

/// Pure: one line of TSV. The result's views point into `*scratch`. Errors: worded without a place.
Result<InputEntry> ParseTsvLine(std::string_view line, std::string* scratch);
/// Likewise one line of JSON.
Result<InputEntry> ParseJsonLine(std::string_view line, std::string* scratch);

}  // namespace lsmkv::tool
