// The keys and values that are written and asked for: the same sequence for every engine, from the seed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lsmkv::bench {

/// 64 random bits a call. Source: splitmix64 (Sebastiano Vigna, public domain), chosen because it costs a nanosecond.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t x = state_;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }
  /// 0 .. n-1, evenly but for 1 in 2^64/n.
  std::uint64_t Below(std::uint64_t n) {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(Next()) * n) >> 64);
  }

 private:
  std::uint64_t state_;
};

/// Key number i of a run: i in decimal with leading zeros, so that keys sort as their numbers do.
class KeyMaker {
 public:
  explicit KeyMaker(std::uint64_t key_bytes) : text_(key_bytes, '0'), key_bytes_(key_bytes) {}
  /// `number` has at most key_bytes digits. Until the next call.
  std::string_view Key(std::uint64_t number);
  /// Sorts right behind Key(number), and is never written. Until the next call.
  std::string_view MissingKey(std::uint64_t number);

 private:
  std::string text_;
  std::uint64_t key_bytes_;
};

/// Values of one length, each a piece of one long random text from another place. The text is half compressible: every
/// hundred bytes are fifty random ones, twice. As db_bench's default (compression_ratio 0.5), so that figures compare.
class ValueSource {
 public:
  ValueSource(std::uint64_t value_bytes, std::uint64_t seed);
  /// Until the ValueSource goes.
  std::string_view Next();

 private:
  std::string text_;
  std::uint64_t value_bytes_;
  std::size_t place_ = 0;
};

}  // namespace lsmkv::bench
