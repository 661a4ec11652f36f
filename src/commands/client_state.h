#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace lsmkv {

struct ClientTransaction;   // client_transaction.h

enum class ReplyMode : std::uint8_t { kOn, kOff, kSkipNext, kSkipping };

/// What the server remembers about one connection. Owned by its session; touched by the session's loop, or by the pool
/// thread that runs the session's current command (the session is suspended meanwhile), never by both.
struct ClientState {
  std::uint64_t id = 0;
  std::string name;
  std::string lib_name;
  std::string lib_version;
  std::string user = "default";
  std::string address;            ///< "127.0.0.1:50312", or the unix socket's path with ":0"
  std::string local_address;
  std::uint32_t database = 0;
  int protocol = 2;
  bool authenticated = true;      ///< false until AUTH when requirepass is set
  bool no_evict = false;
  bool no_touch = false;
  bool unix_socket = false;
  ReplyMode reply_mode = ReplyMode::kOn;
  std::uint64_t created_ms = 0;
  std::uint64_t last_active_ms = 0;
  std::string last_command;       ///< "client|list"
  int fd = -1;
  static constexpr std::int64_t kNotInMulti = -1;
  std::int64_t queued_commands = kNotInMulti;   ///< since MULTI
  std::uint64_t transaction_bytes = 0;          ///< what the queue and the watched keys take
  /// Null until the first MULTI or WATCH. Shared so that this can be copied; the copies that others get to see have none.
  std::shared_ptr<ClientTransaction> transaction;

  bool in_multi() const { return queued_commands >= 0; }
};

}  // namespace lsmkv
