// A loop's sessions that are held because all clients together hold too much (client_memory.h), and the favoured one.
#include <algorithm>

#include "server/client_memory.h"
#include "server/loop.h"

namespace lsmkv {
namespace {

using std::chrono::microseconds;

constexpr microseconds kReviewPeriod{5'000};       // the sum may have fallen on other loops
constexpr microseconds kSweepPeriod{100'000};
constexpr microseconds kPatience{1'000'000};       // with a favoured session whose client sends nothing

}  // namespace

void Loop::HoldForMemory(Session* session) {
  if (session->in_held_list) return;
  session->in_held_list = true;
  held_.push_back(session);
  stats_.memory_holds.Add();
  stats_.held_now.Add();
  ArmReview();
}

void Loop::ForgetHeld(Session* session) {
  if (!session->in_held_list) return;
  session->in_held_list = false;
  std::erase(held_, session);
  stats_.held_now.Subtract();
}

void Loop::ArmReview() {
  if (review_armed_) return;
  review_armed_ = true;
  RunAfter(kReviewPeriod, [this] {
    review_armed_ = false;
    ReviewHeld();
  });
}

void Loop::ReviewHeld() {
  if (now_ - last_sweep_ >= kSweepPeriod) {     // what nobody uses goes first
    last_sweep_ = now_;
    for (const auto& [id, session] : sessions_) session->ShrinkEmptyBuffers(0);
  }
  if (context_.client_memory.relieved() || stopping_) {
    for (Session* const session : std::vector<Session*>(held_)) ResumeHeld(session, false);
  } else {
    FavourOne();
  }
  if (!held_.empty()) ArmReview();
}

void Loop::ResumeHeld(Session* session, bool favoured) {
  ForgetHeld(session);
  session->GoOnReading(favoured);
}

void Loop::FavourOne() {
  Session* const favoured = Find(favoured_id_);
  if (favoured != nullptr && favoured->favoured()) {
    if (favoured->received_bytes() != favoured_received_) {
      favoured_received_ = favoured->received_bytes();
      favoured_at_ = now_;
    }
    if (now_ - favoured_at_ < kPatience) return;
    if (favoured->HoldsMoreThanAll()) {
      if (!held_.empty()) context_.client_memory.NoteOthersWait(favoured_id_);
      return;
    }
    favoured->EndFavour();
  }
  if (held_.empty()) return;
  const auto is_large = [](const Session& session) { return session.missing_bytes() >= Engine::kLargeBatchBytes; };
  Session* const next = *std::ranges::min_element(held_, {}, [this](const Session* session) {
    return std::pair(session->id() == favoured_id_, session->missing_bytes());     // whoever was impatient waits for the others
  });
  if (is_large(*next) && !context_.client_memory.TryFavourLarge(next->id())) return;
  favoured_id_ = next->id();
  favoured_received_ = next->received_bytes();
  favoured_at_ = now_;
  ResumeHeld(next, true);
}

}  // namespace lsmkv
