// One operation at a time; the others wait in order. It takes the place of a lock in a server that
// never waits: what it guards is one process, so a runtime that hangs delays that process alone.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "oci/loop.h"

namespace moat::shim {

class Turnstile {
 public:
  // Whoever holds it is inside; it leaves when the ticket goes.
  class Ticket {
   public:
    Ticket() = default;
    Ticket(Ticket&&) noexcept = default;
    Ticket& operator=(Ticket&& other) noexcept {
      leave();
      queue_ = std::move(other.queue_);
      return *this;
    }
    ~Ticket() { leave(); }

   private:
    friend class Turnstile;
    struct Queue {
      oci::Loop& loop;
      bool busy = false;
      std::deque<std::function<void(Ticket)>> waiting;
    };
    explicit Ticket(std::shared_ptr<Queue> queue) : queue_(std::move(queue)) {}
    void leave() {
      const auto queue = std::move(queue_);
      if (!queue) return;
      queue->busy = false;
      if (!queue->waiting.empty()) queue->loop.post([queue] { Turnstile::admit(queue); });
    }
    std::shared_ptr<Queue> queue_;
  };

  explicit Turnstile(oci::Loop& loop)
      : queue_(std::make_shared<Ticket::Queue>(Ticket::Queue{loop, false, {}})) {}

  // Runs `operation` at once when nobody is inside.
  void enter(std::function<void(Ticket)> operation) {
    queue_->waiting.push_back(std::move(operation));
    admit(queue_);
  }

 private:
  static void admit(const std::shared_ptr<Ticket::Queue>& queue) {
    if (queue->busy || queue->waiting.empty()) return;
    queue->busy = true;
    const auto operation = std::move(queue->waiting.front());
    queue->waiting.pop_front();
    operation(Ticket(queue));
  }

  std::shared_ptr<Ticket::Queue> queue_;
};

}  // namespace moat::shim
