// The server's side of one connection: stream rules, dispatch, deadlines.
#pragma once

#include <memory>
#include <unordered_map>

#include "shim/ttrpc/connection.h"
#include "shim/ttrpc/service.h"

namespace moat::shim::ttrpc {

class Session : public ReplyPort, public std::enable_shared_from_this<Session> {
 public:
  static std::shared_ptr<Session> open(oci::Loop& loop, UniqueFd socket, const Registry& registry,
                                       std::function<void(Session*)> closed);
  ~Session() override;

  void reply(std::uint32_t stream, const Result<std::string>& answer) override;
  [[nodiscard]] bool waiting(std::uint32_t stream) const override;
  [[nodiscard]] bool flushed() const { return connection_->flushed(); }
  [[nodiscard]] bool is_open() const { return connection_->is_open(); }

 private:
  Session(oci::Loop& loop, const Registry& registry) : loop_(loop), registry_(registry) {}
  void on_frame(const Frame& frame);
  Status check_stream(const Frame& frame);
  void dispatch(std::uint32_t stream, std::string_view payload);
  void arm_deadline(std::uint32_t stream, std::chrono::nanoseconds timeout);
  void send(std::uint32_t stream, const Result<std::string>& answer);

  oci::Loop& loop_;
  const Registry& registry_;
  std::shared_ptr<Connection> connection_;
  std::unordered_map<std::uint32_t, oci::Loop::TimerId> pending_;  // 0: no deadline
  std::uint32_t last_stream_ = 0;
};

}  // namespace moat::shim::ttrpc
