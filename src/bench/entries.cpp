#include "bench/entries.h"

#include <algorithm>

namespace lsmkv::bench {

std::string_view KeyMaker::Key(std::uint64_t number) {
  text_.resize(key_bytes_);
  for (std::size_t i = key_bytes_; i-- > 0; number /= 10) text_[i] = static_cast<char>('0' + number % 10);
  return text_;
}

std::string_view KeyMaker::MissingKey(std::uint64_t number) {
  Key(number);
  text_.push_back('.');
  return text_;
}

ValueSource::ValueSource(std::uint64_t value_bytes, std::uint64_t seed) : value_bytes_(value_bytes) {
  constexpr std::size_t kTextBytes = 1 << 20;
  constexpr std::size_t kHalfPiece = 50;
  Random random(seed);
  const std::size_t bytes = std::max<std::size_t>(kTextBytes, value_bytes + 2 * kHalfPiece);
  text_.reserve(bytes + 2 * kHalfPiece);
  while (text_.size() < bytes) {
    std::string half(kHalfPiece, ' ');
    for (char& c : half) c = static_cast<char>(' ' + random.Below(95));
    text_ += half;
    text_ += half;
  }
}

std::string_view ValueSource::Next() {
  if (place_ + value_bytes_ > text_.size()) place_ = 0;
  const std::string_view value = std::string_view(text_).substr(place_, value_bytes_);
  place_ += value_bytes_;
  return value;
}

}  // namespace lsmkv::bench
