// Asked for the memory of a command's reply (server/large_reads.h).
#pragma once

#include <cstdint>

#include "lsmkv/engine.h"

namespace lsmkv {

class ReplyGate : public LargeValueGate {
 public:
  /// Of all that it has admitted to this command no more than `bytes` are still needed. Threads: whoever runs the command.
  virtual void KeepOnly(std::uint64_t bytes) = 0;
};

}  // namespace lsmkv
