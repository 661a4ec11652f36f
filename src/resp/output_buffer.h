// Reply bytes on their way to a socket: most are copied in one after the other; large values stay where they are.
//
//   own bytes   $ 5 1 2 0 0 0 \r \n | \r \n + O K \r \n
//   pinned                          ^ 512,000 bytes of a block or blob value, and what keeps them in memory
//
// Positions and sizes count both, as if the pinned bytes stood among the own ones.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace lsmkv::resp {

/// Lets go of what kept pinned bytes: to give back hundreds of megabytes takes longer than an event loop may be away.
class PinDisposer {
 public:
  virtual ~PinDisposer() = default;
  /// Must return at once.
  virtual void Dispose(std::shared_ptr<const void> pin, std::size_t bytes) = 0;
};

/// Growing bytes without std::string's zero fill. Kept by a session across ticks, so that replies allocate nothing.
class OutputBuffer {
 public:
  OutputBuffer() = default;
  /// `disposer` outlives it.
  explicit OutputBuffer(PinDisposer* disposer) : disposer_(disposer) {}
  ~OutputBuffer() { Release(); }
  OutputBuffer(const OutputBuffer&) = delete;
  OutputBuffer& operator=(const OutputBuffer&) = delete;
  /// Exchanges what they hold; each keeps its disposer.
  void Swap(OutputBuffer& other) noexcept;

  /// Room for `bytes` more; write there, then Advance().
  char* Reserve(std::size_t bytes) {
    if (capacity_ - own_size_ < bytes) Grow(bytes);
    return data_ + own_size_;
  }
  void Advance(std::size_t bytes) { own_size_ += bytes; }
  void Append(std::string_view bytes) {
    if (bytes.empty()) return;   // an empty view may be null, which memcpy must not see
    std::memcpy(Reserve(bytes.size()), bytes.data(), bytes.size());
    own_size_ += bytes.size();
  }
  /// `bytes` come here but stay where they are; `pin` keeps them.
  void AppendPinned(std::string_view bytes, std::shared_ptr<const void> pin);
  /// Takes over all that `other` holds, which is empty afterwards.
  void Append(OutputBuffer&& other);

  /// Forgets what stands from `size` on, which is no place inside pinned bytes.
  void Truncate(std::size_t size) {
    if (!pinned_.empty()) [[unlikely]] DropPinnedFrom(size);
    own_size_ = size - pinned_size_;
  }
  /// Nobody will look at the first `bytes` again: lets go of what keeps those pinned ones that are wholly among them. Sizes and
  /// positions stay as they are, and nothing is moved.
  void LetGoUpTo(std::size_t bytes);
  /// Forgets the first `bytes`; pinned bytes only when all of them are among those. Returns how many it has forgotten. Moves what is left.
  std::size_t DropFront(std::size_t bytes);
  void Clear() { Truncate(0); }
  /// Gives the memory back; for buffers that one huge reply has blown up.
  void Release();

  /// All there is. Only without pinned bytes.
  std::string_view view() const;
  /// What stands from `begin` on, to its end or to the next pinned bytes. `begin` is no place inside pinned bytes.
  std::string_view From(std::size_t begin) const;
  /// The bytes of [begin, end) in order, as many pieces of them as `pieces` has room for. Returns how many pieces. None of them has
  /// been let go of.
  std::size_t Gather(std::size_t begin, std::size_t end, std::span<std::string_view> pieces) const;

  std::size_t size() const { return own_size_ + pinned_size_; }
  bool empty() const { return size() == 0; }
  std::size_t capacity() const { return capacity_; }                       ///< of the own bytes
  std::size_t memory_bytes() const { return capacity_ + kept_size_; }

 private:
  struct Pinned {
    std::size_t at;             ///< where its first byte stands among all
    std::string_view bytes;
    std::shared_ptr<const void> pin;   ///< null: let go
    std::size_t end() const { return at + bytes.size(); }
  };
  void Grow(std::size_t bytes);   // aborts when memory is gone, as operator new would
  void DropPinnedFrom(std::size_t size);
  void LetGo(Pinned& pinned);
  void Forget(Pinned& pinned);

  char* data_ = nullptr;
  std::size_t own_size_ = 0;
  std::size_t capacity_ = 0;
  std::size_t pinned_size_ = 0;
  std::size_t kept_size_ = 0;     // of these, not let go
  std::vector<Pinned> pinned_;    // in the order they stand
  std::size_t let_go_ = 0;        // so many of them, the first ones
  PinDisposer* disposer_ = nullptr;
};

}  // namespace lsmkv::resp
