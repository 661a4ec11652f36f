// Several writers, readers, scans and upkeep at once. Worth the most under the thread sanitizer.
#include "engine_fixture.h"

#include <thread>
#include <vector>

using namespace lsmkv;
using namespace lsmkv::engine_test;

TEST_CASE("a batch is seen whole or not at all, by scans and by snapshots", "[engine][threads]") {
  FaultFileSystem fs;
  auto engine = MustOpen(TinyOptions(&fs));
  constexpr int kPairs = 20;
  std::atomic<bool> stop{false};
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int writer = 0; writer < 2; ++writer) {
    threads.emplace_back([&, writer] {
      for (int i = 0; i < 1500; ++i) {
        WriteBatch batch;
        const std::string pair = std::to_string((i * 2 + writer) % kPairs);
        batch.Put("left:" + pair, std::to_string(i));
        batch.Put("right:" + pair, std::to_string(i));
        if (!engine->Write(batch) || !engine->Commit()) ++failures;
      }
    });
  }
  threads.emplace_back([&] {
    while (!stop) {
      const auto all = Contents(*engine);
      for (const auto& [key, value] : all)
        if (key.starts_with("left:") && all.at("right:" + key.substr(5)) != value) ++failures;
    }
  });
  threads.emplace_back([&] {
    while (!stop) {
      ReadOptions at;
      at.snapshot = engine->GetSnapshot();
      for (int i = 0; i < kPairs; ++i)
        if (Get(*engine, "left:" + std::to_string(i), at) != Get(*engine, "right:" + std::to_string(i), at)) ++failures;
      engine->ReleaseThreadView();
    }
  });
  threads.emplace_back([&] {
    for (int i = 0; i < 5; ++i)
      if (!engine->Compact().ok()) ++failures;
  });
  for (std::size_t i : {0u, 1u, 4u}) threads[i].join();
  stop = true;
  threads[2].join();
  threads[3].join();
  CHECK(failures == 0);
}

TEST_CASE("a thread reads its own writes at once, whatever rotates", "[engine][threads]") {
  FaultFileSystem fs;
  auto engine = MustOpen(TinyOptions(&fs));
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&, thread] {
      const std::string key = "own:" + std::to_string(thread);
      for (int i = 0; i < 1500; ++i) {
        if (!Put(*engine, key, std::to_string(i)).ok() || Get(*engine, key) != std::to_string(i)) ++failures;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == 0);
}
