#include "base/random_id.h"

#include <random>

namespace lsmkv {

std::string RandomHexId() {
  static constexpr char kHex[] = "0123456789abcdef";
  std::random_device random;
  std::uniform_int_distribution<std::size_t> digit(0, 15);
  std::string id(kHexIdBytes, '0');
  for (char& c : id) c = kHex[digit(random)];
  return id;
}

}  // namespace lsmkv
