#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace lsmkv {

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
};

}  // namespace lsmkv
