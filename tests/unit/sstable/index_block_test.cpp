#include "engine/sstable/index_block.h"

#include <algorithm>
#include <set>

#include "sstable_test_util.h"

using namespace lsmkv;
using namespace lsmkv::sstable_test;

namespace {

std::shared_ptr<const IndexBlock> IndexOf(const std::vector<std::string>& keys) {
  IndexBlockBuilder builder(BlockKind::kIndex);
  for (std::size_t i = 0; i < keys.size(); ++i) builder.Add(keys[i], {{i, 1}, {}});
  const std::string bytes = builder.Finish();
  BlockContents contents;
  contents.bytes = bytes;
  contents.Own();
  auto index = IndexBlock::Parse(std::move(contents), 1u << 20);
  REQUIRE(index);
  return *index;
}

/// Sorted, all different. `stem` in front of each; then `digits` random bytes of few values, so that many share their first eight.
std::vector<std::string> RandomKeys(std::size_t count, std::string_view stem, std::size_t digits, std::mt19937_64& random) {
  constexpr std::string_view kBytes("\0a\xff", 3);
  std::set<std::string> keys;
  while (keys.size() < count) {
    std::string key(stem);
    const std::size_t length = random() % (digits + 1);
    for (std::size_t i = 0; i < length; ++i) key.push_back(kBytes[random() % kBytes.size()]);
    keys.insert(std::move(key));
  }
  return {keys.begin(), keys.end()};
}

}  // namespace

TEST_CASE("an index finds the first key that is not below, whatever its size and however alike its keys are", "[sstable]") {
  std::mt19937_64 random(7);
  // Around whole groups of heads, and many of them.
  for (const std::size_t count : {1, 2, 15, 16, 17, 31, 32, 33, 255, 256, 257, 940}) {
    for (const std::string_view stem : {"", "user:", "\xff\xff\xff\xff\xff\xff\xff\xff\xff"}) {
      CAPTURE(count, stem);
      const std::vector<std::string> keys = RandomKeys(count, stem, 14, random);
      const auto index = IndexOf(keys);
      REQUIRE(index->size() == count);
      std::vector<std::string> sought = RandomKeys(200, stem, 14, random);
      sought.insert(sought.end(), keys.begin(), keys.end());
      sought.insert(sought.end(), {"", "a", "user", "user;", "v", std::string(20, '\xff'), std::string(30, '\0')});
      for (const std::string& key : sought) {
        const auto right = static_cast<std::size_t>(std::ranges::lower_bound(keys, key) - keys.begin());
        CAPTURE(key);
        CHECK(index->Search(key) == right);
        if (right < count) CHECK(index->entry(right).block.offset == right);
      }
    }
  }
}
