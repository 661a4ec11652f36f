#include "server/mailbox.h"

#include <catch2/catch.hpp>

#include <poll.h>

#include <thread>

using lsmkv::Mailbox;

TEST_CASE("no mail is slept through", "[mailbox][threads]") {
  constexpr int kTasks = 20000;
  Mailbox mailbox;
  int done = 0;
  std::thread sender([&] {
    for (int i = 0; i < kTasks; ++i) mailbox.Post([&done] { ++done; });
  });
  // The receiving half of a loop: it sleeps without end whenever there is nothing to do.
  Mailbox::Contents contents;
  while (done < kTasks) {
    mailbox.BeforeSleep();
    if (!mailbox.HasMail()) {
      pollfd wake{mailbox.wake_fd(), POLLIN, 0};
      REQUIRE(::poll(&wake, 1, 30'000) == 1);   // level triggered here: one wake is enough for all
    }
    mailbox.AfterSleep();
    mailbox.Take(&contents);
    for (const auto& task : contents.tasks) task();
    contents.tasks.clear();
  }
  sender.join();
  CHECK(done == kTasks);
}

TEST_CASE("a closed mailbox refuses and keeps what it has", "[mailbox]") {
  Mailbox mailbox;
  CHECK(mailbox.Post([] {}));
  mailbox.Close();
  CHECK_FALSE(mailbox.Post([] {}));
  Mailbox::Contents contents;
  mailbox.Take(&contents);
  CHECK(contents.tasks.size() == 1);
}
