// What other threads hand to a loop: tasks, and sessions whose job on a pool is done.
//
// A loop that is about to sleep says so (`BeforeSleep`), then looks once more; a sender puts its mail in, then looks
// whether the loop sleeps. Both sides do it with sequentially consistent accesses, so at least one of them sees the
// other: no mail is slept through, and a loop that is awake costs the sender no system call.
// Threads  Post, Deliver, Wake: any. The rest: the loop.
#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include "base/mutex.h"

namespace lsmkv {

class Session;

class Mailbox {
 public:
  struct Contents {
    std::vector<std::function<void()>> tasks;
    std::vector<Session*> finished;
  };

  Mailbox();
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  /// False, and the task is dropped, once the loop has ended.
  bool Post(std::function<void()> task) LSMKV_EXCLUDES(mutex_);
  void Deliver(Session* session) LSMKV_EXCLUDES(mutex_);
  /// Makes a sleeping loop look around.
  void Wake();

  /// An eventfd to watch for EPOLLIN | EPOLLET: it is never read, each Wake is a new edge. Negative, and no mailbox, when the system had none to give
  /// (errno says why).
  int wake_fd() const { return wake_fd_; }
  bool HasMail() const { return has_mail_.load(std::memory_order_seq_cst); }
  void Take(Contents* contents) LSMKV_EXCLUDES(mutex_);
  void BeforeSleep() { asleep_.store(true, std::memory_order_seq_cst); }
  void AfterSleep() { asleep_.store(false, std::memory_order_relaxed); }
  /// From now on Post() refuses. What was posted before stays to be taken.
  void Close() LSMKV_EXCLUDES(mutex_);

 private:
  const int wake_fd_;
  std::atomic<bool> asleep_{false};
  std::atomic<bool> has_mail_{false};
  Mutex mutex_;   // a leaf
  Contents contents_ LSMKV_GUARDED_BY(mutex_);
  bool closed_ LSMKV_GUARDED_BY(mutex_) = false;
};

}  // namespace lsmkv
