#include "server/input_buffer.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>

using lsmkv::InputBuffer;

TEST_CASE("the input buffer is a queue of bytes, whatever the sizes", "[input_buffer]") {
  const auto seed = GENERATE(range(0u, 10u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  InputBuffer buffer;
  std::string model;
  for (int step = 0; step < 2000; ++step) {
    if (random() % 2 == 0) {
      const std::string bytes(random() % 300, static_cast<char>(random() % 256));
      std::memcpy(buffer.Prepare(bytes.size() + 1), bytes.data(), bytes.size());
      buffer.Received(bytes.size());
      model += bytes;
    } else {
      const std::size_t bytes = random() % (model.size() + 1);
      buffer.Consume(bytes);
      model.erase(0, bytes);
      buffer.Shrink(100);
    }
    REQUIRE(buffer.unread() == model);
  }
}

TEST_CASE("views stay where they are while there is room", "[input_buffer]") {
  InputBuffer buffer;
  std::memcpy(buffer.Prepare(100), "abc", 3);
  buffer.Received(3);
  const char* const before = buffer.unread().data();
  buffer.Prepare(buffer.room());
  CHECK(buffer.unread().data() == before);
}

TEST_CASE("a buffer that was blown up gives its memory back when it is empty", "[input_buffer]") {
  InputBuffer buffer;
  buffer.Prepare(1 << 20);
  buffer.Received(5);
  buffer.Shrink(0);
  CHECK(buffer.capacity() >= 1 << 20);
  buffer.Consume(5);
  buffer.Shrink(0);
  CHECK(buffer.capacity() == 0);
}
