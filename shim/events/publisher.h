// Events to containerd: one queue, strictly in order. The head is retried while containerd is
// away; nothing overtakes it. What must be given up is counted and logged, never silent.
#pragma once

#include <google/protobuf/message_lite.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "oci/loop.h"
#include "shim/ttrpc/client.h"

namespace moat::shim {

inline constexpr std::size_t kMaxQueuedEvents = 4096;   // ~1 MB; a busy node writes that in minutes
inline constexpr std::int64_t kMaxEventAgeMs = 600000;  // older news no client acts upon

// What the Task service needs of it; tests collect instead.
class EventSink {
 public:
  virtual ~EventSink() = default;
  // `type`: the event's type URL, without any prefix. `topic`: as "/tasks/exit".
  virtual void publish(std::string_view topic, std::string_view type,
                       const google::protobuf::MessageLite& event) = 0;
};

class Publisher : public EventSink {
 public:
  // `address`: containerd's ttrpc socket; empty: events go nowhere.
  Publisher(oci::Loop& loop, std::string address, std::string ns);
  ~Publisher() override;

  void publish(std::string_view topic, std::string_view type,
               const google::protobuf::MessageLite& event) override;

  // Calls `done` when the queue is empty, at the first failure from now on, or after `bound`.
  void flush(std::chrono::milliseconds bound, std::function<void()> done);
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

 private:
  struct Queued {
    std::string request, topic;
    std::int64_t since_ms = 0;
  };
  void send_head();
  void answered(const Result<std::string>& answer);
  void drop_head(std::string_view why);
  void retry_later();
  void finish_flush();

  oci::Loop& loop_;
  std::string ns_;
  bool enabled_;
  ttrpc::Client client_;
  std::deque<Queued> queue_;
  bool in_flight_ = false;
  oci::Loop::TimerId retry_ = 0, flush_bound_ = 0;
  std::chrono::milliseconds delay_{0};
  std::uint64_t dropped_ = 0;
  std::function<void()> flushed_;
};

}  // namespace moat::shim
