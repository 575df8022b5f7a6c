// The shim's end of its supervisor: starts it when it is needed, talks to it, and knows at once
// when it is gone. The journal outlives it: what it had not answered is there.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "hooks/message.h"
#include "oci/loop.h"
#include "oci/spawn.h"
#include "shim/reaper.h"
#include "shim/supervise/journal.h"

namespace moat::shim {

class SupervisorLink {
 public:
  using OnMessage = std::function<void(const hooks::Message&)>;
  using OnLost = std::function<void()>;

  SupervisorLink(oci::Loop& loop, Reaper& reaper, OnMessage on_message, OnLost on_lost)
      : loop_(loop),
        reaper_(reaper),
        on_message_(std::move(on_message)),
        on_lost_(std::move(on_lost)) {}
  ~SupervisorLink();

  Status ensure();  // running, or started now
  Status send(const hooks::Message& message, const std::vector<int>& fds = {});
  [[nodiscard]] pid_t pid() const { return child_ ? child_->pid : 0; }
  [[nodiscard]] JournalPage& journal() { return journal_->page(); }  // once it has been running
  [[nodiscard]] int journal_fd() const { return journal_->fd(); }
  [[nodiscard]] int pidfd() const { return child_->pidfd.raw(); }  // while pid() is not 0
  std::uint32_t next_number() { return next_number_++; }  // of a container or descriptor in there

  // Sends a message that carries a ticket; `done` gets the answer, or null after `deadline`.
  void ask(std::function<hooks::Message(std::uint64_t ticket)> question,
           std::chrono::milliseconds deadline, std::function<void(const hooks::Message*)> done);

 private:
  struct Question {
    std::function<void(const hooks::Message*)> done;
    oci::Loop::TimerId deadline;
  };
  bool on_readable();  // false: there was nothing
  void disowned();
  void lost();
  void answer(std::uint64_t ticket, const hooks::Message* message);

  oci::Loop& loop_;
  Reaper& reaper_;
  OnMessage on_message_;
  OnLost on_lost_;
  std::optional<oci::Child> child_;
  std::optional<Journal> journal_;
  UniqueFd socket_;
  std::map<std::uint64_t, Question> questions_;
  std::uint64_t next_ticket_ = 1;
  std::uint32_t next_number_ = 1;
};

}  // namespace moat::shim
