// What all fuzz targets share: taking an input apart, saying that a promise is broken, files that are strings, and a bound
// on what may be asked of the allocator.
//
// A target is one file with one LLVMFuzzerTestOneInput. It judges promises, not crashes alone: FUZZ_REQUIRE ends the
// process when one is broken, and the fuzzer keeps the input. The same function is linked to replay.cpp, which needs no
// clang: so every input that was ever worth keeping (corpus/<target>/) is a test of the ordinary suite.
//
// Formats are checksummed, so that nearly every mutation would end at the first checksum. The first byte of an input to
// such a target says whether the checksums are put right before the reader sees the bytes (kRightChecksums): then the
// fuzzer plays a writer with bugs instead of a disk with faults.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "fs/file_system.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace lsmkv::fuzz {

/// Prints what was promised and aborts.
[[noreturn]] void PromiseBroken(const char* file, int line, std::string_view promise);

#define FUZZ_REQUIRE(condition, promise) \
  ((condition) ? static_cast<void>(0) : ::lsmkv::fuzz::PromiseBroken(__FILE__, __LINE__, promise))

/// Takes an input apart from its front. At the end there are zeros and empty strings.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}
  std::uint8_t Byte() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<std::uint8_t>(rest_[0]);
    rest_.remove_prefix(1);
    return byte;
  }
  std::uint16_t Short() {
    const unsigned low = Byte();
    return static_cast<std::uint16_t>(low | static_cast<unsigned>(Byte()) << 8);
  }
  std::string_view Take(std::size_t bytes) {
    const std::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  std::string_view Rest() { return Take(rest_.size()); }
  bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

/// Small numbers that follow from a seed; the same on every machine.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed * 2 + 1) {}
  std::uint64_t Below(std::uint64_t bound) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return (state_ >> 33) % bound;
  }

 private:
  std::uint64_t state_;
};

/// A copy of `bytes` that ends where its memory ends, so that the address sanitizer sees who reads on.
class ExactCopy {
 public:
  explicit ExactCopy(std::string_view bytes) : bytes_(new char[bytes.size()]), size_(bytes.size()) { bytes.copy(bytes_.get(), size_); }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_;
};

/// A file that is a string, which outlives it. Reading outside breaks a promise: readers compare with size() first.
class StringFile final : public RandomAccessFile {
 public:
  explicit StringFile(std::string_view bytes) : bytes_(bytes) {}
  Status Read(std::uint64_t offset, std::size_t size, char* buffer) const override {
    FUZZ_REQUIRE(offset <= bytes_.size() && size <= bytes_.size() - offset, "nothing is read outside the file");
    bytes_.copy(buffer, size, offset);
    return {};
  }
  std::uint64_t size() const override { return bytes_.size(); }
  void WillNeed(std::uint64_t, std::uint64_t) const override {}

 private:
  const std::string_view bytes_;
};

/// Writes a file of `bytes`, in a directory that exists.
void WriteFile(FileSystem& fs, const std::string& path, std::string_view bytes);

/// While it lives, this thread may not ask for more than `bytes` at once; who does has broken a promise. Not nested.
class AllocationBound {
 public:
  explicit AllocationBound(std::size_t bytes);
  ~AllocationBound();
  AllocationBound(const AllocationBound&) = delete;
  AllocationBound& operator=(const AllocationBound&) = delete;
};

/// Bits of the first byte of an input.
inline constexpr std::uint8_t kRightChecksums = 1;

}  // namespace lsmkv::fuzz
