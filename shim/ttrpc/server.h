// The ttrpc server: accepts on a listening socket, decodes requests, answers in any order.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>

#include "oci/fd.h"
#include "oci/loop.h"
#include "shim/ttrpc/service.h"

namespace moat::shim::ttrpc {

// A client may have this many unanswered requests on a connection; beyond it ResourceExhausted.
// containerd keeps a handful: one Wait per process.
inline constexpr std::size_t kMaxPending = 8192;

class Session;

class Server {
 public:
  Server(oci::Loop& loop, const Registry& registry);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Only peers with our own user and group are served; others are closed unheard.
  Status serve(UniqueFd listener);
  void stop_accepting();

  // Calls `done` when every reply so far is on its way, or after `bound`.
  void flush(std::chrono::milliseconds bound, std::function<void()> done);

  [[nodiscard]] std::size_t connections() const { return sessions_.size(); }
  void on_connections_changed(std::function<void()> callback) { changed_ = std::move(callback); }

 private:
  void accept_some();
  void adopt(UniqueFd socket);

  oci::Loop& loop_;
  const Registry& registry_;
  UniqueFd listener_;
  std::unordered_map<const Session*, std::shared_ptr<Session>> sessions_;
  std::function<void()> changed_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace moat::shim::ttrpc
