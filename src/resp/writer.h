// Replies as bytes: RESP2 or RESP3, appended to one contiguous output buffer. Pure: no sockets, no errors.
// Source: the Redis serialization protocol specification; where RESP3 has a richer type, RESP2 gets what Redis 7.2 sends.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

namespace lsmkv::resp {

/// Growing bytes without std::string's zero fill. Kept by a session across ticks, so that replies allocate nothing.
class OutputBuffer {
 public:
  OutputBuffer() = default;
  ~OutputBuffer() { std::free(data_); }
  OutputBuffer(const OutputBuffer&) = delete;
  OutputBuffer& operator=(const OutputBuffer&) = delete;
  OutputBuffer(OutputBuffer&& other) noexcept { Swap(other); }
  OutputBuffer& operator=(OutputBuffer&& other) noexcept {
    Swap(other);
    return *this;
  }
  void Swap(OutputBuffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  /// Room for `bytes` more; write there, then Advance().
  char* Reserve(std::size_t bytes) {
    if (capacity_ - size_ < bytes) Grow(bytes);
    return data_ + size_;
  }
  void Advance(std::size_t bytes) { size_ += bytes; }
  void Append(std::string_view bytes) {
    if (bytes.empty()) return;   // an empty view may be null, which memcpy must not see
    std::memcpy(Reserve(bytes.size()), bytes.data(), bytes.size());
    size_ += bytes.size();
  }
  void Truncate(std::size_t size) { size_ = size; }
  void Clear() { size_ = 0; }
  /// Gives the memory back; for buffers that one huge reply has blown up.
  void Release() {
    std::free(data_);
    data_ = nullptr;
    size_ = capacity_ = 0;
  }
  std::string_view view() const { return {data_, size_}; }
  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }

 private:
  void Grow(std::size_t bytes);   // aborts when memory is gone, as operator new would

  char* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

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
  void Header(char kind, std::uint64_t value);   // "<kind><value>\r\n"

  OutputBuffer& out_;
  const bool resp3_;
};

}  // namespace lsmkv::resp
