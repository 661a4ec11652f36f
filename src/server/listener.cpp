#include "server/listener.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "server/peer_address.h"

namespace lsmkv {
namespace {

constexpr int kAcceptsPerWakeUp = 256;
constexpr std::chrono::milliseconds kRest{100};

constexpr std::string_view kTooManyClients = "-ERR max number of clients reached\r\n";
constexpr std::string_view kNoDescriptors = "-ERR the server has run out of file descriptors\r\n";
constexpr std::string_view kProtectedMode =
    "-DENIED This server is running in protected mode: no password is set for the default user, and connections are then "
    "accepted from the loopback interface only. To connect from other machines do one of these: 1) send 'CONFIG SET "
    "protected-mode no' from the machine the server runs on, after making sure that it cannot be reached from the internet, and "
    "CONFIG REWRITE to keep it. 2) Put 'protected-mode no' into the configuration file and restart the server. 3) Start it with "
    "'--protected-mode no'. 4) Set a password with 'requirepass'.\r\n";

Status Failed(const std::string& what) { return Status::IoError(what + ": " + std::strerror(errno)); }

std::string Advice(int error) {
  if (error == EADDRINUSE) return " (another server has it; stop that one or choose another --port)";
  if (error == EACCES) return " (ports below 1024 need privileges; choose another --port)";
  if (error == EADDRNOTAVAIL) return " (this machine does not have that address; see 'bind')";
  return {};
}

void Enable(int fd, int level, int option, int value = 1) { ::setsockopt(fd, level, option, &value, sizeof(value)); }

void KeepAlive(int fd, std::uint64_t seconds) {
  if (seconds == 0) return;
  const int interval = static_cast<int>(seconds);
  Enable(fd, SOL_SOCKET, SO_KEEPALIVE);
  Enable(fd, IPPROTO_TCP, TCP_KEEPIDLE, interval);
  Enable(fd, IPPROTO_TCP, TCP_KEEPINTVL, std::max(interval / 3, 1));
  Enable(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

}  // namespace

Listener::Listener(boost::asio::io_context& io, const Config& config, Clock& clock, std::atomic<std::uint64_t>& clients)
    : io_(io),
      clock_(clock),
      clients_(clients),
      settings_(config),
      reserve_fd_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {}

Listener::~Listener() {
  Close();
  if (reserve_fd_ >= 0) ::close(reserve_fd_);
}

Status Listener::Bind(const Settings& settings) {
  if (settings.port != 0) {
    for (std::string host : settings.bind) {
      const bool optional = host.starts_with('-');
      if (optional) host.erase(0, 1);
      const Status status = BindTcp(host, settings.port);
      if (status.ok()) continue;
      if (!optional) return status;
      LogInfo("server", "going on without {}: {}", host, status.message());
    }
  }
  if (doors_.empty() && settings.unixsocket.empty()) return Status::IoError("none of the addresses of 'bind' is there; nobody could connect");
  return Status::Ok();
}

Status Listener::BindTcp(const std::string& host, std::uint64_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  const bool any4 = host == "*";
  const bool any6 = host == "::*";
  hints.ai_family = any4 ? AF_INET : any6 ? AF_INET6 : AF_UNSPEC;
  addrinfo* found = nullptr;
  const std::string port_text = std::to_string(port);
  const char* const node = any4 || any6 ? nullptr : host.c_str();
  if (const int error = ::getaddrinfo(node, port_text.c_str(), &hints, &found); error != 0) {
    return Status::IoError("cannot listen on '" + host + "': " + ::gai_strerror(error) + "; see 'bind'");
  }
  Status status;
  const std::string address = AddressText(*found->ai_addr);
  const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    status = Failed("cannot listen on " + address);
  } else {
    Enable(fd, SOL_SOCKET, SO_REUSEADDR);
    if (found->ai_family == AF_INET6) Enable(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    if (::bind(fd, found->ai_addr, found->ai_addrlen) != 0) {
      const int why = errno;
      status = Failed("cannot listen on " + address);
      status = {status.code(), status.message() + Advice(why)};
      ::close(fd);
    } else {
      doors_.push_back(std::make_unique<Door>(Door{{io_, fd}, address, false, boost::asio::steady_timer(io_)}));
    }
  }
  ::freeaddrinfo(found);
  return status;
}

Status Listener::BindUnix(const Settings& settings) {
  const std::string& path = settings.unixsocket;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Status::InvalidArgument("unixsocket '" + path + "': longer than " + std::to_string(sizeof(address.sun_path) - 1) + " bytes");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Failed("cannot make the unix socket " + path);
  ::unlink(path.c_str());   // as Redis: what a killed server has left
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    Status status = Failed("cannot listen on the unix socket " + path);
    ::close(fd);
    return status;
  }
  if (settings.unixsocketperm != 0) ::chmod(path.c_str(), settings.unixsocketperm);
  unix_path_ = path;
  doors_.push_back(std::make_unique<Door>(Door{{io_, fd}, path, true, boost::asio::steady_timer(io_)}));
  return Status::Ok();
}

Status Listener::Start(const Settings& settings, std::span<const std::unique_ptr<Loop>> loops) {
  loops_ = loops;
  if (!settings.unixsocket.empty()) {
    if (Status status = BindUnix(settings); !status.ok()) return status;
  }
  for (const std::unique_ptr<Door>& door : doors_) {
    if (::listen(door->socket.native_handle(), static_cast<int>(settings.tcp_backlog)) != 0) {
      return Failed("cannot listen on " + door->address);
    }
    Wait(*door);
  }
  return Status::Ok();
}

void Listener::Close() {
  doors_.clear();
  if (!unix_path_.empty()) ::unlink(unix_path_.c_str());
  unix_path_.clear();
}

std::string Listener::Addresses() const {
  std::string text;
  for (const std::unique_ptr<Door>& door : doors_) text += (text.empty() ? "" : " ") + door->address;
  return text;
}

void Listener::Wait(Door& door) {
  door.socket.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this, &door](const boost::system::error_code& error) {
    if (!error) AcceptSome(door);   // an error: the door is being closed
  });
}

void Listener::AcceptSome(Door& door) {
  for (int i = 0; i < kAcceptsPerWakeUp; ++i) {
    if (AcceptOne(door)) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) break;
    if (errno == EMFILE || errno == ENFILE) {
      const bool refused = RefuseForLackOfDescriptors(door);
      if (refused && reserve_fd_ >= 0) continue;
      if (reserve_fd_ >= 0) break;                        // nobody is waiting any more
      LogWarning("server", "out of file descriptors: no new clients at {} for {} ms", door.address, kRest.count());
      return Rest(door);
    }
    if (errno == ENOMEM || errno == ENOBUFS) {
      LogWarning("server", "no memory for a connection: no new clients at {} for {} ms", door.address, kRest.count());
      return Rest(door);
    }
    if (errno != ECONNABORTED && errno != EINTR) break;   // a connection that is gone again is no reason to stop
  }
  Wait(door);
}

void Listener::Rest(Door& door) {
  door.rest.expires_after(kRest);
  door.rest.async_wait([this, &door](const boost::system::error_code& error) {
    if (!error && !doors_.empty()) AcceptSome(door);
  });
}

// False: errno says why.
bool Listener::AcceptOne(Door& door) {
  if (reserve_fd_ < 0) reserve_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int fd = ::accept4(door.socket.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return false;
  Welcome(fd, door);
  return true;
}

// False: there was nobody to refuse, or no descriptor even for that.
bool Listener::RefuseForLackOfDescriptors(Door& door) {
  if (reserve_fd_ >= 0) ::close(reserve_fd_);
  reserve_fd_ = -1;
  const int fd = ::accept4(door.socket.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) Refuse(fd, kNoDescriptors);
  reserve_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  return fd >= 0;
}

void Listener::Refuse(int fd, std::string_view why) {
  refused_.Add();
  // The buffer of a new socket is empty: it takes this whole or the client is gone already.
  [[maybe_unused]] const ssize_t sent = ::send(fd, why.data(), why.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  ::close(fd);
}

void Listener::Welcome(int fd, const Door& door) {
  const Settings& settings = settings_.Now();
  if (clients_.load(std::memory_order_relaxed) >= settings.maxclients) return Refuse(fd, kTooManyClients);
  ClientState client;
  client.unix_socket = door.unix_socket;
  if (door.unix_socket) {
    client.address = client.local_address = door.address + ":0";
  } else {
    const PeerAddresses addresses = AddressesOf(fd);
    if (settings.protected_mode && settings.requirepass.empty() && !addresses.peer_is_local) return Refuse(fd, kProtectedMode);
    client.address = addresses.peer;
    client.local_address = addresses.local;
    Enable(fd, IPPROTO_TCP, TCP_NODELAY);
    KeepAlive(fd, settings.tcp_keepalive_seconds);
  }
  client.id = next_client_id_++;
  client.created_ms = client.last_active_ms = clock_.WallMillis();
  client.authenticated = settings.requirepass.empty();
  Loop& loop = LeastLoaded();
  clients_.fetch_add(1, std::memory_order_relaxed);
  loop.AddLoad();
  accepted_.Add();
  if (!loop.Post([&loop, fd, client = std::move(client)] { loop.Adopt(fd, client); })) ::close(fd);   // it has ended
}

Loop& Listener::LeastLoaded() {
  std::size_t best = next_loop_ % loops_.size();
  for (std::size_t i = 1; i < loops_.size(); ++i) {
    const std::size_t candidate = (next_loop_ + i) % loops_.size();
    if (loops_[candidate]->load() < loops_[best]->load()) best = candidate;
  }
  ++next_loop_;
  return *loops_[best];
}

}  // namespace lsmkv
