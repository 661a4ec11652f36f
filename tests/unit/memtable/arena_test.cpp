#include "base/arena.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace lsmkv {
namespace {

TEST_CASE("pieces of an arena do not overlap and keep what was written", "[arena]") {
  const auto seed = GENERATE(range(0u, 5u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  Arena arena;
  std::vector<std::pair<char*, std::size_t>> pieces;
  std::size_t total = 0;
  for (int i = 0; i < 3000; ++i) {
    const std::size_t bytes = random() % 200 == 0 ? 1 + random() % 600'000 : 1 + random() % 300;
    char* const piece = arena.Allocate(bytes);
    REQUIRE(reinterpret_cast<std::uintptr_t>(piece) % 8 == 0);
    std::memset(piece, i & 0xff, bytes);
    pieces.emplace_back(piece, bytes);
    total += (bytes + 7) / 8 * 8;
  }
  CHECK(arena.used_bytes() == total);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const std::string want(pieces[i].second, static_cast<char>(i & 0xff));
    REQUIRE(std::memcmp(pieces[i].first, want.data(), want.size()) == 0);
  }
}

TEST_CASE("zeroed pieces are zero and aligned, whatever their size", "[arena]") {
  const auto bytes = GENERATE(as<std::size_t>{}, 1, 64, 100, 4096, Arena::kMapBytes - 1, Arena::kMapBytes, 3u << 20);
  const auto pages = GENERATE(Arena::Pages::kLazy, Arena::Pages::kWarm);
  CAPTURE(bytes);
  Arena arena;
  std::memset(arena.Allocate(1000), 0xff, 1000);
  for (int i = 0; i < 3; ++i) {
    char* const piece = arena.AllocateZeroed(bytes, pages);
    REQUIRE(reinterpret_cast<std::uintptr_t>(piece) % Arena::kZeroedAlignment == 0);
    REQUIRE(std::string(piece, bytes) == std::string(bytes, '\0'));
    std::memset(piece, 0xff, bytes);
  }
  CHECK(arena.zeroed_bytes() >= 3 * bytes);
}

}  // namespace
}  // namespace lsmkv
