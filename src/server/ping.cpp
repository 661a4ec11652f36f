#include "server/ping.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "resp/writer.h"

namespace lsmkv {
namespace {

constexpr timeval kTimeout{3, 0};
constexpr std::size_t kMaxReplyBytes = 512;

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &kTimeout, sizeof(kTimeout));
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &kTimeout, sizeof(kTimeout));
  }
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

Status Failed(const std::string& what) { return Status::IoError(what + ": " + std::strerror(errno)); }

/// Sends `words` as a command and reads one line.
Result<std::string> Ask(const Socket& socket, std::initializer_list<std::string_view> words) {
  resp::OutputBuffer request;
  resp::Writer writer(request, 2);
  writer.Array(words.size());
  for (const std::string_view word : words) writer.Bulk(word);
  if (::send(socket.fd(), request.view().data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    return Failed("cannot send");
  }
  std::string line;
  while (!line.ends_with("\r\n") && line.size() < kMaxReplyBytes) {
    char byte = 0;
    const ssize_t received = ::recv(socket.fd(), &byte, 1, 0);
    if (received == 0) return Status::IoError("the server closed the connection");
    if (received < 0) return Failed("no answer");
    line += byte;
  }
  if (line.ends_with("\r\n")) line.resize(line.size() - 2);
  return line;
}

Status Converse(const Socket& socket, const Settings& settings) {
  if (!settings.requirepass.empty()) {
    const Result<std::string> reply = Ask(socket, {"AUTH", settings.requirepass});
    if (!reply) return reply.error();
    if (*reply != "+OK") return Status::IoError("AUTH was answered with " + *reply);
  }
  const Result<std::string> reply = Ask(socket, {"PING"});
  if (!reply) return reply.error();
  // A password that was given on the server's command line is not known here; who asks for it is alive.
  if (*reply != "+PONG" && !reply->starts_with("-NOAUTH")) return Status::IoError("PING was answered with " + *reply);
  return Status::Ok();
}

Status PingUnix(const Settings& settings) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (settings.unixsocket.size() >= sizeof(address.sun_path)) return Status::InvalidArgument("the path of the unix socket is too long");
  std::memcpy(address.sun_path, settings.unixsocket.data(), settings.unixsocket.size());
  const Socket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return Failed("cannot connect to " + settings.unixsocket);
  }
  return Converse(socket, settings);
}

/// Where a client on this machine reaches a server that is bound to `address`.
std::string Reachable(std::string address) {
  if (address.starts_with('-')) address.erase(0, 1);
  if (address == "*" || address == "0.0.0.0") return "127.0.0.1";
  if (address == "::*" || address == "::") return "::1";
  return address;
}

}  // namespace

Status PingServer(const Settings& settings) {
  if (settings.port == 0 || settings.bind.empty()) return PingUnix(settings);
  const std::string host = Reachable(settings.bind.front());
  const std::string port = std::to_string(settings.port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
    return Status::IoError("cannot resolve " + host + ": " + ::gai_strerror(error));
  }
  const Socket socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int connected = ::connect(socket.fd(), found->ai_addr, found->ai_addrlen);
  const int why = errno;
  ::freeaddrinfo(found);
  errno = why;
  if (connected != 0) return Failed("cannot connect to " + host + ":" + port);
  return Converse(socket, settings);
}

}  // namespace lsmkv
