// How an operation ended. Errors are values; see the essay in engine.h for who returns what.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace lsmkv {

/// What the caller can do about it.
enum class StatusCode : std::uint8_t {
  kOk,
  kInvalidArgument,  ///< the request is wrong; repeating it is pointless
  kUnsupported,      ///< a newer format or a feature that is not there
  kCorruption,       ///< bytes on disk are not what was written; the message names file and offset
  kIoError,          ///< the operating system refused; the message says what it said
  kNoSpace,          ///< the disk is full; may work later
  kWriteRefused,     ///< a write was not taken because the disk takes none; the message says why. Reads go on
  kNotFound,         ///< a file that was asked for by name is not there
  kBusy,             ///< someone else holds it
  kWouldBlock,       ///< asked for memory only, and the answer is on disk (or a lock is taken)
  kShuttingDown,     ///< the engine is closing
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  static Status Ok() { return {}; }
  static Status InvalidArgument(std::string m) { return {StatusCode::kInvalidArgument, std::move(m)}; }
  static Status Unsupported(std::string m) { return {StatusCode::kUnsupported, std::move(m)}; }
  static Status Corruption(std::string m) { return {StatusCode::kCorruption, std::move(m)}; }
  static Status IoError(std::string m) { return {StatusCode::kIoError, std::move(m)}; }
  static Status NoSpace(std::string m) { return {StatusCode::kNoSpace, std::move(m)}; }
  static Status WriteRefused(std::string m) { return {StatusCode::kWriteRefused, std::move(m)}; }
  static Status NotFound(std::string m) { return {StatusCode::kNotFound, std::move(m)}; }
  static Status Busy(std::string m) { return {StatusCode::kBusy, std::move(m)}; }
  static Status WouldBlock() { return {StatusCode::kWouldBlock, {}}; }
  static Status ShuttingDown() { return {StatusCode::kShuttingDown, "the engine is closing"}; }

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

  /// The same error with `context: ` in front of its message; an Ok stays Ok.
  Status WithContext(std::string_view context) const {
    if (ok()) return *this;
    return {code_, std::string(context) + ": " + message_};
  }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

/// A value or the Status that says why there is none. The standard's expected is not [[nodiscard]].
template <typename T>
class [[nodiscard]] Result : public std::expected<T, Status> {
 public:
  using std::expected<T, Status>::expected;
  Result(Status error) : std::expected<T, Status>(std::unexpect, std::move(error)) {}
  Status status() const { return this->has_value() ? Status() : this->error(); }
};

/// Drops a Status on purpose; `why` is for the reader of the code.
inline void IgnoreError(const Status&, const char* /*why*/) {}

}  // namespace lsmkv
