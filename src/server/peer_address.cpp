#include "server/peer_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

namespace lsmkv {
namespace {

bool IsLoopback(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    sockaddr_in address;
    std::memcpy(&address, &storage, sizeof(address));
    return ntohl(address.sin_addr.s_addr) >> 24 == 127;
  }
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 address;
    std::memcpy(&address, &storage, sizeof(address));
    return IN6_IS_ADDR_LOOPBACK(&address.sin6_addr) ||
           (IN6_IS_ADDR_V4MAPPED(&address.sin6_addr) && address.sin6_addr.s6_addr[12] == 127);
  }
  return false;
}

}  // namespace

std::string AddressText(const sockaddr& address) {
  char host[INET6_ADDRSTRLEN] = "?";
  if (address.sa_family == AF_INET) {
    sockaddr_in ip4;
    std::memcpy(&ip4, &address, sizeof(ip4));
    ::inet_ntop(AF_INET, &ip4.sin_addr, host, sizeof(host));
    return std::string(host) + ":" + std::to_string(ntohs(ip4.sin_port));
  }
  if (address.sa_family == AF_INET6) {
    sockaddr_in6 ip6;
    std::memcpy(&ip6, &address, sizeof(ip6));
    ::inet_ntop(AF_INET6, &ip6.sin6_addr, host, sizeof(host));
    return "[" + std::string(host) + "]:" + std::to_string(ntohs(ip6.sin6_port));
  }
  return "?:0";
}

PeerAddresses AddressesOf(int fd) {
  PeerAddresses result;
  sockaddr_storage storage{};
  socklen_t bytes = sizeof(storage);
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &bytes) == 0) {
    result.peer = AddressText(reinterpret_cast<const sockaddr&>(storage));
    result.peer_is_local = IsLoopback(storage);
  }
  bytes = sizeof(storage);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &bytes) == 0) {
    result.local = AddressText(reinterpret_cast<const sockaddr&>(storage));
  }
  return result;
}

}  // namespace lsmkv
