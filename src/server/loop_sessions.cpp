// A loop's sessions: how they come, how they are found, and how they go.
#include <unistd.h>

#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "server/client_filter.h"
#include "server/loop.h"

namespace lsmkv {

using std::chrono::microseconds;

void Loop::Adopt(int fd, ClientState client) {
  if (stopping_) {
    ::close(fd);
    load_.fetch_sub(1, std::memory_order_relaxed);
    context_.clients.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  const std::uint64_t id = client.id;
  client.last_active_ms = now_ms_;
  ++open_sessions_;
  sessions_.emplace(id, std::make_unique<Session>(*this, context_, fd, std::move(client)));
}

Session* Loop::Find(std::uint64_t id) {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second.get();
}

void Loop::MarkDirty(Session* session) {
  if (session->in_dirty_list) return;
  session->in_dirty_list = true;
  dirty_.push_back(session);
}

void Loop::MarkRunnable(Session* session) {
  if (session->in_runnable_list) return;
  session->in_runnable_list = true;
  runnable_.push_back(session);
}

void Loop::Bury(Session* session) {
  if (!session->counted_closed) {
    session->counted_closed = true;
    --open_sessions_;
    load_.fetch_sub(1, std::memory_order_relaxed);
    context_.clients.fetch_sub(1, std::memory_order_relaxed);
  }
  graveyard_.push_back(session->id());
}

void Loop::EmptyGraveyard() {
  for (const std::uint64_t id : graveyard_) {
    Session* const session = Find(id);
    if (session == nullptr || !session->MayBeDestroyed()) continue;   // buried again when its job comes back
    if (session->in_dirty_list) std::erase(dirty_, session);
    if (session->in_runnable_list) std::erase(runnable_, session);
    if (session->in_holding_list) std::erase(holding_, session);
    ForgetHeld(session);
    sessions_.erase(id);
  }
  graveyard_.clear();
}

void Loop::Gather(const ClientFilter& filter, std::vector<ClientInfo>* out) const {
  for (const auto& [id, session] : sessions_) {
    if (session->state() == Session::State::kClosed) continue;
    if (Matches(filter, session->client(), now_ms_)) out->push_back(session->Describe());
  }
}

std::size_t Loop::Kill(const ClientFilter& filter, std::uint64_t self_id) {
  std::size_t killed = 0;
  for (const auto& [id, session] : sessions_) {
    if (session->state() == Session::State::kClosed || !Matches(filter, session->client(), now_ms_)) continue;
    ++killed;
    if (id == self_id) {
      session->CloseAfterReplies();
    } else {
      session->Close();
    }
  }
  return killed;
}

void Loop::ResumePaused() {
  std::vector<Session*> paused;
  for (const auto& [id, session] : sessions_) {
    if (session->state() == Session::State::kPaused) paused.push_back(session.get());
  }
  for (Session* const session : paused) session->Resume(session->ticket());
}

// One request to the engine for all sessions that are stopped.
void Loop::ResumeWhenWritable() {
  if (asked_for_writable_) return;
  asked_for_writable_ = true;
  context_.engine.OnWritable([this] {
    Post([this] {
      asked_for_writable_ = false;
      std::vector<Session*> stopped;
      for (const auto& [id, session] : sessions_) {
        if (session->state() == Session::State::kParked && session->stopped()) stopped.push_back(session.get());
      }
      for (Session* const session : stopped) session->Resume(session->ticket());
    });
  });
}

void Loop::Stop(microseconds deadline, std::function<void()> done) {
  Post([this, deadline, done = std::move(done)] { BeginDrain(deadline, done); });
}

void Loop::BeginDrain(microseconds deadline, std::function<void()> done) {
  if (stopping_) return;
  stopping_ = true;
  when_done_ = std::move(done);
  for (const auto& [id, session] : sessions_) session->Drain();
  RunAfter(deadline - now_, [this] {
    if (open_sessions_ > 0) LogWarning("server", "loop {}: closing {} clients that could not be finished", index_, open_sessions_);
    for (const auto& [id, session] : sessions_) session->Close();
  });
}

void Loop::FinishDrain() {
  if (ended_) return;
  ended_ = true;
  mailbox_.Close();
  TakeMail();   // somebody may be waiting for an answer to what was posted before
  work_.reset();
  io_.stop();
  when_done_();
}

}  // namespace lsmkv
