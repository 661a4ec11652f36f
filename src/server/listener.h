// The sockets clients connect to, and the door: who may come in.
//
// All of it happens on the main thread's io_context, so that no event loop is disturbed by a storm of connections. A
// connection that may come in is given to the loop that has the fewest.
//
// Running out of descriptors: one is kept in reserve. It is closed so that the connection can be accepted, told and closed, and
// then opened again; when even that fails that socket rests for kRest instead of spinning on being readable. So it does when the
// system has no memory for a connection.
// Threads  the main thread; the counters may be read from any.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "config/config.h"
#include "server/loop.h"

namespace lsmkv {

class Listener {
 public:
  Listener(boost::asio::io_context& io, const Config& config, Clock& clock, std::atomic<std::uint64_t>& clients);
  ~Listener();

  /// Takes the TCP addresses, so that a taken port is found before anything else happens. Errors name the address, what is wrong, and what to do about it.
  Status Bind(const Settings& settings);
  /// Makes the unix socket (only now: it replaces the file, so the data directory must be ours) and lets clients in. `loops` outlive the listener.
  Status Start(const Settings& settings, std::span<const std::unique_ptr<Loop>> loops);
  /// Stops listening; the unix socket's file goes.
  void Close();

  /// "127.0.0.1:6379 [::1]:6379 /run/lsmkv.sock"
  std::string Addresses() const;
  std::uint64_t accepted() const { return accepted_.Get(); }
  std::uint64_t refused() const { return refused_.Get(); }

 private:
  struct Door {
    boost::asio::posix::stream_descriptor socket;
    std::string address;
    bool unix_socket;
    boost::asio::steady_timer rest;      // of its own: a door that waits for another's timer would not open again
  };

  Status BindTcp(const std::string& host, std::uint64_t port);
  Status BindUnix(const Settings& settings);
  void Wait(Door& door);
  void AcceptSome(Door& door);
  bool AcceptOne(Door& door);
  void Rest(Door& door);
  bool RefuseForLackOfDescriptors(Door& door);
  void Welcome(int fd, const Door& door);
  void Refuse(int fd, std::string_view why);
  Loop& LeastLoaded();

  boost::asio::io_context& io_;
  Clock& clock_;
  std::atomic<std::uint64_t>& clients_;   // connections that are open
  SettingsCache settings_;
  std::vector<std::unique_ptr<Door>> doors_;
  std::span<const std::unique_ptr<Loop>> loops_;
  std::string unix_path_;           // to be removed at the end
  std::uint64_t next_client_id_ = 1;
  std::size_t next_loop_ = 0;       // where the search for the least loaded begins
  int reserve_fd_ = -1;
  Counter accepted_;
  Counter refused_;
};

}  // namespace lsmkv
