#include "engine/sstable/filter_block.h"

#include "sstable_test_util.h"

using namespace lsmkv;
using namespace lsmkv::sstable_test;

namespace {

std::shared_ptr<const FilterBlock> Parse(const std::string& bytes) {
  BlockContents contents;
  contents.bytes = bytes;
  contents.Own();
  auto filter = FilterBlock::Parse(std::move(contents), 0);
  REQUIRE(filter);
  return *filter;
}

}  // namespace

TEST_CASE("a filter knows every key and mistakes few others for them", "[sstable]") {
  struct Case {
    std::size_t keys;
    std::uint32_t bits_per_key;
    double most_false;
  };
  const auto c = GENERATE(values<Case>({{1, 10, 0.015},
                                        {100, 10, 0.015},
                                        {32768, 10, 0.015},
                                        {300'000, 10, 0.015},
                                        {32768, 1, 0.7},
                                        {32768, 5, 0.13},
                                        {32768, 20, 0.001},
                                        {32768, 30, 0.0005}}));
  CAPTURE(c.keys, c.bits_per_key);
  std::vector<std::uint64_t> hashes;
  for (std::uint64_t i = 0; i < c.keys; ++i) hashes.push_back(Hash(NumberedKey(i)));
  const auto filter = Parse(BuildFilter(hashes, c.bits_per_key));
  for (const std::uint64_t hash : hashes) {
    if (!filter->MayContain(hash)) FAIL("a false negative");
  }
  std::uint64_t false_positives = 0;
  constexpr std::uint64_t kAsked = 200'000;
  for (std::uint64_t i = 0; i < kAsked; ++i)
    false_positives += filter->MayContain(Hash(NumberedKey(1'000'000'000 + i))) ? 1 : 0;
  CHECK(static_cast<double>(false_positives) / kAsked < c.most_false);
}

TEST_CASE("filters of a wrong shape are refused", "[sstable]") {
  for (const std::string& bytes : {std::string(1, '\6'), std::string(64, '\6'), std::string(66, '\6'),
                                   std::string(65, '\0'), std::string(65, '\x7f')}) {
    BlockContents contents;
    contents.bytes = bytes;
    CHECK_FALSE(FilterBlock::Parse(std::move(contents), 0));
  }
}
