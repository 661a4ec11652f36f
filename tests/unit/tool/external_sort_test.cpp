#include "tool/external_sort.h"

#include <catch2/catch.hpp>

#include <map>
#include <random>

#include "fs/fault_file_system.h"

using namespace lsmkv;
using namespace lsmkv::tool;

namespace {

struct Value {
  std::string bytes;
  std::uint64_t expire_at_ms = 0;
  friend bool operator==(const Value&, const Value&) = default;
};
using Model = std::map<std::string, Value>;

Model Collect(InternalIterator& entries) {
  Model found;
  for (entries.SeekToFirst(); entries.Valid(); entries.Next()) {
    const EntryView& entry = entries.entry();
    if (!found.empty()) REQUIRE(found.rbegin()->first < entry.key);
    const std::uint64_t deadline = entry.kind == EntryKind::kExpiringValue ? entry.expire_at_ms : 0;
    found.emplace_hint(found.end(), entry.key, Value{std::string(entry.value), deadline});
  }
  REQUIRE(entries.status().ok());
  return found;
}

std::string SomeKey(std::mt19937& random) {
  std::string key(random() % 12, '\0');
  for (char& byte : key) byte = static_cast<char>(random() % 4 == 0 ? random() : random() % 3);
  return key;
}

}  // namespace

TEST_CASE("what is sorted is a map's contents, the last value of a key staying, however little memory there is", "[sort][model]") {
  const std::uint64_t memory_bytes = GENERATE(1u << 20, 20'000u, 1000u);
  const auto seed = GENERATE(range(0u, 5u));
  CAPTURE(memory_bytes, seed);
  std::mt19937 random(seed);
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("scratch").ok());
  Model model;
  std::uint64_t runs = 0;
  {
    ExternalSort sort(fs, "scratch", memory_bytes);
    for (int i = 0; i < 4000; ++i) {
      const std::string key = SomeKey(random);
      const Value value{std::to_string(i) + std::string(random() % 30, 'v'), random() % 3 == 0 ? 1000 + random() % 1000 : 0};
      REQUIRE(sort.Add(key, value.bytes, value.expire_at_ms).ok());
      model[key] = value;
    }
    const auto entries = sort.Finish();
    REQUIRE(entries);
    CHECK(Collect(**entries) == model);
    runs = sort.runs_written();
  }
  // Nothing was spilled; one merge; runs merged into runs first.
  if (memory_bytes == 1u << 20) CHECK(runs == 0);
  if (memory_bytes == 20'000) CHECK((runs > 3 && runs <= ExternalSort::kFanIn));
  if (memory_bytes == 1000) CHECK(runs > 2 * ExternalSort::kFanIn);
  CHECK(fs.ListDirectory("scratch")->empty());
}

TEST_CASE("nothing sorts into nothing, and one entry may be larger than the memory", "[sort]") {
  FaultFileSystem fs;
  REQUIRE(fs.CreateDirectories("scratch").ok());
  CHECK(Collect(**ExternalSort(fs, "scratch", 1000).Finish()).empty());
  ExternalSort sort(fs, "scratch", 1000);
  REQUIRE(sort.Add("b", std::string(5000, 'x'), 0).ok());
  REQUIRE(sort.Add("a", "1", 0).ok());
  const auto entries = sort.Finish();
  REQUIRE(entries);
  CHECK(Collect(**entries) == Model{{"a", {"1", 0}}, {"b", {std::string(5000, 'x'), 0}}});
}

TEST_CASE("a failing disk is an error, at whatever call, or what it failed is done again and all is right", "[sort][fault]") {
  bool finished = false;
  int calls = 0, errors = 0;
  for (std::uint64_t call = 1; !finished; call += 3) {
    CAPTURE(call);
    FaultFileSystem fs;
    REQUIRE(fs.CreateDirectories("scratch").ok());
    fs.FailCall(call, Fault::kIoError);
    ExternalSort sort(fs, "scratch", 3000);
    Status status;
    Model model;
    for (int i = 0; i < 300 && status.ok(); ++i) {
      const std::string key = "k" + std::to_string(i * 7 % 300);
      status = sort.Add(key, "v", 0);
      model[key] = {"v", 0};
    }
    if (status.ok()) {
      const auto entries = sort.Finish();
      status = entries.status();
      if (entries) {
        for ((*entries)->SeekToFirst(); (*entries)->Valid(); (*entries)->Next()) model.erase(std::string((*entries)->entry().key));
        status = (*entries)->status();
        if (status.ok()) CHECK(model.empty());
      }
    }
    finished = fs.fired() == 0;
    if (finished) CHECK(status.ok());
    ++calls;
    errors += status.ok() ? 0 : 1;
  }
  CHECK(errors > calls * 3 / 4);                // what only asks the disk ahead is left to who reads it then
}
