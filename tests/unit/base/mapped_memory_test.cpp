#include "base/mapped_memory.h"

#include <catch2/catch.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <new>
#include <random>
#include <string>
#include <utility>
#include <vector>

using namespace lsmkv;

namespace {

/// How many bytes of `memory` take memory of the machine.
std::size_t ResidentBytes(const MappedMemory& memory) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages((memory.size() + page - 1) / page);
  REQUIRE(::mincore(memory.data(), memory.size(), pages.data()) == 0);
  std::size_t resident = 0;
  for (const unsigned char state : pages) resident += (state & 1) != 0 ? page : 0;
  return resident;
}

bool IsMapped(char* address) {
  unsigned char state = 0;
  return ::mincore(address, 1, &state) == 0;
}

}  // namespace

TEST_CASE("nothing is taken before it is asked for, and all is given back", "[mapped-memory]") {
  const std::uint64_t before = MappedMemory::total_bytes();
  char* where = nullptr;
  {
    MappedMemory memory;
    CHECK(memory.data() == nullptr);
    CHECK(memory.size() == 0);
    memory.Release();                                  // of nothing
    memory.Grow(1);
    where = memory.data();
    REQUIRE(where != nullptr);
    CHECK(memory.size() >= 1);
    CHECK(MappedMemory::total_bytes() == before + memory.size());
    CHECK(IsMapped(where));
  }
  CHECK(MappedMemory::total_bytes() == before);
  CHECK_FALSE(IsMapped(where));
}

TEST_CASE("what is there stays as it grows, whatever the steps", "[mapped-memory]") {
  std::mt19937 random(7);
  MappedMemory memory;
  std::string model;
  while (model.size() < (24u << 20)) {
    const std::size_t more = 1 + random() % (1u << (1 + random() % 21));
    const std::string bytes(more, static_cast<char>(random()));
    const std::size_t size_before = memory.size();
    memory.Grow(model.size() + more);
    REQUIRE(memory.size() >= model.size() + more);
    REQUIRE(memory.size() >= size_before);
    std::memcpy(memory.data() + model.size(), bytes.data(), more);
    model += bytes;
  }
  CHECK(std::memcmp(memory.data(), model.data(), model.size()) == 0);
}

TEST_CASE("it does not shrink by growing", "[mapped-memory]") {
  MappedMemory memory;
  memory.Grow(1 << 20);
  const std::size_t size = memory.size();
  char* const where = memory.data();
  memory.Grow(10);
  memory.Grow(0);
  CHECK(memory.size() == size);
  CHECK(memory.data() == where);
}

TEST_CASE("what was never written to takes none of the machine's memory", "[mapped-memory]") {
  MappedMemory memory;
  memory.Grow(256u << 20);
  CHECK(ResidentBytes(memory) == 0);
  std::memset(memory.data(), 1, 1 << 20);
  CHECK(ResidentBytes(memory) >= 1 << 20);
  CHECK(ResidentBytes(memory) <= 4 << 20);             // with huge pages it is rounded up
  memory.Grow(512u << 20);
  CHECK(ResidentBytes(memory) <= 4 << 20);             // and nothing was copied
}

TEST_CASE("it is moved, never shared", "[mapped-memory]") {
  const std::uint64_t before = MappedMemory::total_bytes();
  MappedMemory first;
  first.Grow(1 << 20);
  std::strcpy(first.data(), "first");
  MappedMemory taken(std::move(first));
  CHECK(first.data() == nullptr);
  CHECK(first.size() == 0);
  CHECK(std::string(taken.data()) == "first");

  MappedMemory second;
  second.Grow(3 << 20);
  std::strcpy(second.data(), "second");
  const std::uint64_t both = MappedMemory::total_bytes();
  CHECK(both == before + taken.size() + second.size());
  second = std::move(taken);
  CHECK(std::string(second.data()) == "first");
  taken.Release();                                     // whichever of them had the other's, it is gone now
  CHECK(MappedMemory::total_bytes() == before + second.size());
  second.Release();
  CHECK(second.data() == nullptr);
  second.Grow(5);                                      // and may be used again
  CHECK(second.size() >= 5);
  second.Release();
  CHECK(MappedMemory::total_bytes() == before);
}

TEST_CASE("more than there can be is refused, and what there is stays", "[mapped-memory]") {
  const std::uint64_t before = MappedMemory::total_bytes();
  MappedMemory memory;
  CHECK_THROWS_AS(memory.Grow(std::size_t{1} << 60), std::bad_alloc);
  CHECK(memory.data() == nullptr);
  memory.Grow(10);
  std::strcpy(memory.data(), "kept");
  const std::size_t size = memory.size();
  CHECK_THROWS_AS(memory.Grow(std::size_t{1} << 60), std::bad_alloc);
  CHECK_THROWS_AS(memory.Grow(SIZE_MAX), std::bad_alloc);
  CHECK(memory.size() == size);
  CHECK(std::string(memory.data()) == "kept");
  CHECK(MappedMemory::total_bytes() == before + size);
}
