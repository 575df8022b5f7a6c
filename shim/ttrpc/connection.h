// One ttrpc connection on the loop: frames in, frames out, nothing about their meaning.
// Writing never blocks and is bounded; a peer that does not read is first not read from, then cut.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "oci/fd.h"
#include "oci/loop.h"
#include "shim/ttrpc/frame.h"

namespace moat::shim::ttrpc {

inline constexpr std::size_t kPauseReading = 1U << 20;  // unsent bytes at which requests wait
inline constexpr std::size_t kMaxUnsent = 16U << 20;    // four of the largest replies

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Handlers {
    std::function<void(const Frame&)> frame;
    std::function<void()> closed;  // called once, from the loop
  };

  static std::shared_ptr<Connection> open(oci::Loop& loop, UniqueFd socket, Handlers handlers);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void send(std::uint32_t stream, std::uint8_t type, std::string_view payload);
  void close();
  [[nodiscard]] bool is_open() const { return socket_.valid(); }
  [[nodiscard]] bool flushed() const { return unsent() == 0; }

 private:
  Connection(oci::Loop& loop, UniqueFd socket, Handlers handlers);
  [[nodiscard]] std::size_t unsent() const { return out_.size() - sent_; }
  void on_events(std::uint32_t events);
  void read_some();
  void write_some();
  void update_interest();

  oci::Loop& loop_;
  UniqueFd socket_;
  Handlers handlers_;
  FrameReader reader_;
  std::string out_;
  std::size_t sent_ = 0;
  std::uint32_t interest_ = 0;
};

}  // namespace moat::shim::ttrpc
