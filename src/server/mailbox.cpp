#include "server/mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

namespace lsmkv {

Mailbox::Mailbox() : wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Mailbox::~Mailbox() {
  if (wake_fd_ >= 0) ::close(wake_fd_);
}

bool Mailbox::Post(std::function<void()> task) {
  {
    MutexLock lock(mutex_);
    if (closed_) return false;
    contents_.tasks.push_back(std::move(task));
    has_mail_.store(true, std::memory_order_seq_cst);
  }
  Wake();
  return true;
}

void Mailbox::Deliver(Session* session) {
  {
    MutexLock lock(mutex_);
    contents_.finished.push_back(session);
    has_mail_.store(true, std::memory_order_seq_cst);
  }
  Wake();
}

void Mailbox::Wake() {
  if (!asleep_.load(std::memory_order_seq_cst) || !asleep_.exchange(false, std::memory_order_seq_cst)) return;
  const std::uint64_t one = 1;
  // Cannot fail but for a full counter, and then the edge is there already.
  [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof(one));
}

void Mailbox::Take(Contents* contents) {
  MutexLock lock(mutex_);
  contents->tasks.swap(contents_.tasks);
  contents->finished.swap(contents_.finished);
  has_mail_.store(false, std::memory_order_relaxed);
}

void Mailbox::Close() {
  MutexLock lock(mutex_);
  closed_ = true;
}

}  // namespace lsmkv
