// Commands out of bytes: RESP arrays of bulk strings ("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n") and inline commands ("GET k\r\n").
//
// The session keeps what it has read in one contiguous buffer and calls Next() on it; arguments are views into that buffer.
// A command that has not arrived whole leaves its progress here as offsets from the buffer's start, so the buffer may move and
// grow between calls and nothing is looked at twice:
//
//          '*'                        count known              length known
//   kIdle ------> kMultibulkHeader ----------> kBulkHeader <----------------> kBulkBody -- last one --> complete, kIdle
//     | any other                              ^ next argument '-------------'
//     '---------> kInline ---- '\n' ----> complete, kIdle
//
// Invariants
//   1. Every offset is relative to the buffer as it will be once `*consumed` bytes have been dropped from its front.
//   2. The bytes a pending command has already been given do not change.
//   3. After kError the stream has lost its framing: the connection is answered and closed, and Next() repeats the error.
//
// Where Redis is lenient so is this: the LF of a header and the CR LF behind a bulk string are not compared. Its order of checks
// and its wording are kept too, so that an error is the same one, byte for byte.
// Threads  none of its own.
// Source   the Redis protocol specification; Redis 7.2, networking.c, for limits and messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lsmkv::resp {

/// One command's arguments; reused from command to command, so that it allocates only for its longest.
using ArgVector = std::vector<std::string_view>;

enum class ParseStatus : std::uint8_t { kComplete, kNeedMore, kError };

struct ParserLimits {
  std::size_t max_bulk_bytes = 512u << 20;      ///< proto-max-bulk-len
  std::size_t max_args = 1024 * 1024;
  std::size_t max_inline_bytes = 64 * 1024;     ///< of an inline command, and of a header line
  bool authenticated = true;                    ///< false: at most 10 arguments of at most 16 KB each
};

class Parser {
 public:
  Parser() = default;
  explicit Parser(const ParserLimits& limits) : limits_(limits) {}

  /// May be changed between commands (AUTH, CONFIG SET); a pending command follows at its next header.
  ParserLimits& limits() { return limits_; }

  /// Takes the next command from the front of `buffer`. Blank lines and empty arrays are skipped.
  /// @param buffer    everything received and not yet consumed; see invariants 1 and 2.
  /// @param args      kComplete: at least one argument, views into `buffer` (inline arguments with quotes: into the parser,
  ///                  until the next call). Otherwise empty.
  /// @param consumed  bytes the caller must drop from the front once it is done with `args`; with kNeedMore too.
  /// @param error     kError: the message without its code, "Protocol error: ...".
  /// Cost     no allocation for a command that is there whole and has no more arguments than an earlier one.
  ParseStatus Next(std::string_view buffer, ArgVector& args, std::size_t* consumed, std::string* error);

  /// After kNeedMore: how many bytes at least are missing for the next step; 1 when the protocol does not say.
  /// A session may size its buffer by it: the figure has passed `max_bulk_bytes`.
  std::size_t wanted() const { return wanted_; }
  /// Of the progress of pending commands; kept for the next.
  std::size_t memory_bytes() const { return progress_.capacity() * sizeof(Extent) + unescaped_.capacity() * sizeof(std::string); }
  /// Gives that back while no command is pending.
  void Shrink() {
    if (state_ != State::kIdle) return;
    std::vector<Extent>().swap(progress_);
    std::vector<std::string>().swap(unescaped_);
    unescaped_count_ = 0;
  }

 private:
  enum class State : std::uint8_t { kIdle, kMultibulkHeader, kBulkHeader, kBulkBody, kInline, kBroken };
  enum class Step : std::uint8_t { kAgain, kDone, kNeedMore, kError };
  struct Extent {
    std::size_t offset;
    std::size_t bytes;
  };

  bool QuickCommand(std::string_view buffer, ArgVector& args, std::size_t* consumed) const;
  Step Advance(std::string_view buffer, ArgVector& args);
  Step ReadMultibulkHeader(std::string_view buffer);
  Step ReadBulks(std::string_view buffer, ArgVector& args);
  Step ReadBulkHeader(std::string_view buffer);
  Step ReadInline(std::string_view buffer, ArgVector& args);
  bool SplitInline(std::string_view line, ArgVector& args);
  Step ReadHeaderLine(std::string_view buffer, const char* too_big, std::string_view* digits, std::size_t* next);
  Step NeedMore(std::string_view buffer, std::size_t target);
  Step Fail(std::string message);
  void SaveProgress(std::string_view buffer, ArgVector& args);
  void RestoreProgress(std::string_view buffer, ArgVector& args);

  ParserLimits limits_;
  State state_ = State::kIdle;
  std::size_t position_ = 0;          // the next byte to look at
  std::size_t scanned_ = 0;           // an unfinished line has no end before here
  std::size_t missing_args_ = 0;
  std::size_t bulk_bytes_ = 0;        // kBulkBody
  std::size_t wanted_ = 1;
  std::vector<Extent> progress_;      // the arguments of a pending command
  std::vector<std::string> unescaped_;  // inline arguments with quotes; its size only grows
  std::size_t unescaped_count_ = 0;
  std::string error_;
};

}  // namespace lsmkv::resp
