// The right, and the duty, to answer one request.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "policies/result.h"

namespace moat::shim::ttrpc {

// Where answers go: the server's side of a connection, or a test's list.
class ReplyPort {
 public:
  virtual ~ReplyPort() = default;
  virtual void reply(std::uint32_t stream, const Result<std::string>& answer) = 0;
  // False once the request was answered for us (its deadline passed) or its client has gone.
  [[nodiscard]] virtual bool waiting(std::uint32_t stream) const = 0;
};

// Move-only. A call that is dropped unanswered answers Internal: no client waits for ever because
// a path forgot it.
class Call {
 public:
  Call() = default;
  Call(std::weak_ptr<ReplyPort> port, std::uint32_t stream)
      : port_(std::move(port)), stream_(stream), open_(true) {}
  Call(Call&& other) noexcept
      : port_(std::move(other.port_)),
        stream_(other.stream_),
        open_(std::exchange(other.open_, false)) {}
  Call& operator=(Call&& other) noexcept {
    if (this == &other) return *this;
    forgotten();
    port_ = std::move(other.port_);
    stream_ = other.stream_;
    open_ = std::exchange(other.open_, false);
    return *this;
  }
  ~Call() { forgotten(); }

  void ok(std::string payload = {}) { answer(std::move(payload)); }
  void fail(Error error) { answer(moat::fail(std::move(error))); }
  void fail(Code code, std::string what) { fail(Error{code, 0, std::move(what)}); }

  // Whether anybody still wants the answer.
  [[nodiscard]] bool wanted() const {
    const auto port = port_.lock();
    return open_ && port != nullptr && port->waiting(stream_);
  }

 private:
  void answer(const Result<std::string>& result) {
    if (!std::exchange(open_, false)) return;
    if (const auto port = port_.lock()) port->reply(stream_, result);
  }
  void forgotten() {
    if (open_) fail(Code::Internal, "the request was dropped without an answer");
  }

  std::weak_ptr<ReplyPort> port_;
  std::uint32_t stream_ = 0;
  bool open_ = false;
};

}  // namespace moat::shim::ttrpc
