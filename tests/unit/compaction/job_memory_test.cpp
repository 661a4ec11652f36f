#include "engine/compaction/job_memory.h"

#include <catch2/catch.hpp>

using namespace lsmkv;

TEST_CASE("a job's buffers are its part of the whole, within what is useful", "[job_memory]") {
  struct Case {
    std::uint64_t background_kb, jobs;
    std::size_t sources;
    std::uint64_t write_kb, readahead_kb;
  };
  constexpr std::uint64_t kKb = 1 << 10;
  const auto c = GENERATE(values<Case>({
      {64 << 10, 5, 8, 512, 512},       // plenty: the most of each
      {64 << 10, 5, 0, 512, 0},         // a flush reads no table
      {64 << 10, 5, 100, 512, 122},     // many sources share what is left
      {4 << 10, 5, 5, 204, 46},         // a budget of 64 MB
      {4 << 10, 5, 100, 204, 16},       // never less than the least
      {0, 5, 4, 64, 16},
  }));
  CAPTURE(c.background_kb, c.jobs, c.sources);
  const JobBuffers buffers(c.background_kb * kKb, c.jobs, c.sources);
  CHECK(buffers.write_bytes / kKb == c.write_kb);
  CHECK(buffers.readahead_bytes / kKb == c.readahead_kb);
  CHECK(buffers.sum_bytes == buffers.write_bytes + JobBuffers::kBuilderBytes + c.sources * buffers.readahead_bytes);
}

TEST_CASE("jobs that run at once stay within the whole, as far as the least allows", "[job_memory]") {
  const std::uint64_t background = GENERATE(2u << 20, 4u << 20, 16u << 20, 64u << 20);
  const std::uint64_t jobs = GENERATE(3u, 5u, 10u);
  const std::size_t sources = GENERATE(0u, 1u, 4u, 20u);
  const JobBuffers buffers(background, jobs, sources);
  const std::uint64_t least = JobBuffers::kLeastWrite + JobBuffers::kBuilderBytes + sources * JobBuffers::kLeastReadahead;
  CHECK(buffers.sum_bytes <= std::max(background / jobs, background / jobs / 4 + least));
}
