// Replies as bytes: RESP2 or RESP3, appended to an output buffer. Pure: no sockets, no errors.
// Source: the Redis serialization protocol specification; where RESP3 has a richer type, RESP2 gets what Redis 7.2 sends.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "resp/output_buffer.h"

namespace lsmkv::resp {

class Writer {
 public:
  Writer(OutputBuffer& out, int protocol) : out_(out), resp3_(protocol >= 3) {}

  bool resp3() const { return resp3_; }
  OutputBuffer& out() { return out_; }

  void Ok() { out_.Append("+OK\r\n"); }
  void SimpleString(std::string_view text);      ///< without CR or LF
  /// `message` starts with its code ("ERR ...", "WRONGTYPE ..."). CR and LF become spaces.
  void Error(std::string_view message);
  void Integer(std::int64_t value);
  void Bulk(std::string_view bytes);
  /// Large `bytes` stay where they are, if there is a `pin` that keeps them, until the reply has left.
  void Bulk(std::string_view bytes, const std::shared_ptr<const void>& pin) {
    if (bytes.size() < kPinnedBytes || pin == nullptr) [[likely]] return Bulk(bytes);
    BulkInPlace(bytes, pin);
  }
  void Null();                                   ///< $-1 or _
  void NullArray();                              ///< *-1 or _
  void Array(std::size_t count);                 ///< then `count` replies
  void Map(std::size_t pairs);                   ///< then 2 x `pairs` replies; a flat array in RESP2
  void Set(std::size_t count);                   ///< an array in RESP2
  void Push(std::size_t count);                  ///< an array in RESP2
  void Bool(bool value);                         ///< :1/:0 in RESP2
  void Double(double value);                     ///< a bulk string in RESP2; the shortest digits that read back the same, as Redis 7.2
  void BigNumber(std::string_view digits);       ///< a bulk string in RESP2
  void Verbatim(std::string_view format, std::string_view text);   ///< format: 3 letters; a bulk string in RESP2

 private:
  static constexpr std::size_t kPinnedBytes = 16 << 10;   // below, to copy is cheaper than one more piece for the system call
  void Header(char kind, std::uint64_t value);   // "<kind><value>\r\n"
  void BulkInPlace(std::string_view bytes, const std::shared_ptr<const void>& pin);

  OutputBuffer& out_;
  const bool resp3_;
};

}  // namespace lsmkv::resp
