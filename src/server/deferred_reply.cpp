#include "server/deferred_reply.h"

#include "resp/writer.h"
#include "server/loop.h"

namespace lsmkv {

LoopDeferredReply::~LoopDeferredReply() {
  Complete([](resp::Writer& reply) { reply.Error("ERR the command was given up before it had an answer"); });
}

void LoopDeferredReply::Complete(std::function<void(resp::Writer&)> write) {
  if (completed_.exchange(true)) return;
  loop_.Post([&loop = loop_, id = session_id_, write = std::move(write)] {
    if (Session* const session = loop.Find(id)) session->CompleteDeferred(write);
  });
}

}  // namespace lsmkv
