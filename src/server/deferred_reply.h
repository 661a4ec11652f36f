#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "commands/server_api.h"

namespace lsmkv {

class Loop;

/// Finds its session again by id on its loop; when the client has gone, the session is kept until this has been completed.
class LoopDeferredReply final : public DeferredReply {
 public:
  LoopDeferredReply(Loop& loop, std::uint64_t session_id) : loop_(loop), session_id_(session_id) {}
  /// Nobody completed it: an error goes out, so that the client is not left waiting.
  ~LoopDeferredReply() override;
  void Complete(std::function<void(resp::Writer&)> write) override;

 private:
  Loop& loop_;
  const std::uint64_t session_id_;
  std::atomic<bool> completed_{false};
};

}  // namespace lsmkv
