#pragma once

#include <string>

struct sockaddr;

namespace lsmkv {

/// "127.0.0.1:6379" or "[::1]:6379"; another family gives "?:0".
std::string AddressText(const sockaddr& address);

struct PeerAddresses {
  std::string peer;
  std::string local;
  bool peer_is_local = false;   ///< a loopback address
};
/// Of a connected TCP socket.
PeerAddresses AddressesOf(int fd);

}  // namespace lsmkv
