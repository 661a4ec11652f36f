// Where large values go when their reply has left.
#pragma once

#include <memory>
#include <utility>

#include "base/thread_pool.h"
#include "lsmkv/engine.h"
#include "resp/output_buffer.h"

namespace lsmkv {

/// Gives megabytes back on the read pool, what is smaller at once. Threads: any.
class PoolDisposer final : public resp::PinDisposer {
 public:
  explicit PoolDisposer(ThreadPool& pool) : pool_(pool) {}
  void Dispose(std::shared_ptr<const void> pin, std::size_t bytes) override {
    if (bytes >= Engine::kLargeBatchBytes && pin.use_count() == 1) pool_.Submit([pin = std::move(pin)] {});
  }

 private:
  ThreadPool& pool_;
};

}  // namespace lsmkv
