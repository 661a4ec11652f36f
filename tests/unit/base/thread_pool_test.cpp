#include "base/thread_pool.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <latch>
#include <memory>
#include <vector>

namespace lsmkv {
namespace {

std::string CurrentThreadName() {
  char name[16];
  return pthread_getname_np(pthread_self(), name, sizeof(name)) == 0 ? name : "";
}

}  // namespace

TEST_CASE("every task runs once, from whichever thread it comes", "[thread_pool]") {
  std::atomic<int> runs{0};
  {
    ThreadPool pool("test", 4);
    CHECK(pool.threads() == 4);
    std::vector<std::thread> submitters;
    for (int i = 0; i < 4; ++i) {
      submitters.emplace_back([&] {
        for (int task = 0; task < 1000; ++task) pool.Submit([&] { ++runs; });
      });
    }
    for (std::thread& submitter : submitters) submitter.join();
    pool.Stop(ThreadPool::StopMode::kDrain);
    CHECK(runs == 4000);
    CHECK(pool.pending() == 0);
    CHECK(pool.running() == 0);
  }
  CHECK(runs == 4000);
}

TEST_CASE("one thread runs tasks in the order of their submission", "[thread_pool]") {
  std::vector<int> order;
  ThreadPool pool("test", 1);
  for (int i = 0; i < 100; ++i) pool.Submit([&order, i] { order.push_back(i); });
  pool.Stop(ThreadPool::StopMode::kDrain);
  REQUIRE(order.size() == 100);
  CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("pending counts what waits, and a drop destroys it unrun", "[thread_pool]") {
  std::latch started{1};
  std::latch go_on{1};
  std::atomic<int> runs{0};
  const auto held = std::make_shared<int>(0);
  ThreadPool pool("test", 1);
  pool.Submit([&] {
    started.count_down();
    go_on.wait();
  });
  started.wait();
  for (int i = 0; i < 5; ++i) pool.Submit([&runs, held] { ++runs; });
  CHECK(pool.pending() == 5);
  CHECK(pool.running() == 1);
  CHECK(held.use_count() == 6);
  std::thread stopper([&] { pool.Stop(ThreadPool::StopMode::kDrop); });
  while (pool.pending() > 0) std::this_thread::yield();
  CHECK_FALSE(pool.Submit([&] { ++runs; }));
  go_on.count_down();
  stopper.join();
  CHECK(runs == 0);
  CHECK(held.use_count() == 1);
}

TEST_CASE("draining also runs what the last tasks submit", "[thread_pool]") {
  const auto threads = GENERATE(1u, 3u);
  std::atomic<int> runs{0};
  std::atomic<int> refused{0};
  ThreadPool pool("test", threads);
  const std::function<void()> task = [&] {
    if (++runs < 50 && !pool.Submit(task)) ++refused;
  };
  pool.Submit(task);
  pool.Stop(ThreadPool::StopMode::kDrain);
  CHECK(runs == 50);
  CHECK(refused == 0);
  CHECK_FALSE(pool.Submit([&] { ++runs; }));
  pool.Stop(ThreadPool::StopMode::kDrain);
  pool.Stop(ThreadPool::StopMode::kDrop);
  CHECK(runs == 50);
}

TEST_CASE("threads carry their name, cut to what Linux allows, and their nice level", "[thread_pool]") {
  struct Case { const char* name; const char* want; };
  const auto c = GENERATE(values<Case>({{"read", "read-0"}, {"a name longer than Linux", "a name longer-0"}}));
  std::string name;
  // Above this thread's own, which whoever runs the tests may have set.
  const int own = getpriority(PRIO_PROCESS, static_cast<id_t>(gettid()));
  const int wanted = std::min(own + 7, 19);
  int nice = 0;
  {
    ThreadPool pool(c.name, 1, 7);
    pool.Submit([&] {
      name = CurrentThreadName();
      nice = getpriority(PRIO_PROCESS, static_cast<id_t>(gettid()));
    });
  }
  CHECK(name == c.want);
  CHECK(nice == wanted);
  CHECK(getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())) == own);
}

}  // namespace lsmkv
