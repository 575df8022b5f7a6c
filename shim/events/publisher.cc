#include "shim/events/publisher.h"

#include <algorithm>

#include "oci/sys.h"
#include "shim/log.h"
#include "shim/proto/forward.pb.h"

namespace moat::shim {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kForwardTimeout{5000};  // containerd's own for this call
constexpr milliseconds kFirstDelay{20};        // a daemon that restarts is back within a second
constexpr milliseconds kMaxDelay{5000};

std::string path_of(std::string_view address) {
  constexpr std::string_view kScheme = "unix://";
  if (address.starts_with(kScheme)) address.remove_prefix(kScheme.size());
  return std::string(address);
}

// The daemon was not reached, or was too busy; anything else it said is its last word.
bool may_succeed_later(Code code) {
  return code == Code::Unavailable || code == Code::DeadlineExceeded ||
         code == Code::ResourceExhausted || code == Code::Canceled;
}

}  // namespace

Publisher::Publisher(oci::Loop& loop, std::string address, std::string ns)
    : loop_(loop),
      ns_(std::move(ns)),
      enabled_(!address.empty()),
      client_(loop, path_of(address)) {}

Publisher::~Publisher() {
  loop_.cancel(retry_);
  loop_.cancel(flush_bound_);
}

void Publisher::publish(std::string_view topic, std::string_view type,
                        const google::protobuf::MessageLite& event) {
  if (!enabled_) return;
  containerd::services::events::ttrpc::v1::ForwardRequest request;
  auto& envelope = *request.mutable_envelope();
  const auto [seconds, nanos] = oci::utc_now();
  envelope.mutable_timestamp()->set_seconds(seconds);
  envelope.mutable_timestamp()->set_nanos(nanos);
  envelope.set_namespace_(ns_);
  envelope.set_topic(std::string(topic));
  envelope.mutable_event()->set_type_url(std::string(type));
  envelope.mutable_event()->set_value(event.SerializeAsString());
  // The head may be on the wire: the one after it goes.
  if (queue_.size() >= kMaxQueuedEvents) {
    ++dropped_;
    log_error("event dropped: the queue is full",
              {{"topic", queue_[1].topic}, {"dropped", std::to_string(dropped_)}});
    queue_.erase(queue_.begin() + 1);
  }
  queue_.push_back({request.SerializeAsString(), std::string(topic), oci::monotonic_ms()});
  if (retry_ == 0) send_head();
}

void Publisher::send_head() {
  if (in_flight_ || queue_.empty()) return;
  in_flight_ = true;
  client_.call({"containerd.services.events.ttrpc.v1.Events",
                "Forward",
                queue_.front().request,
                {{"containerd-namespace-ttrpc", ns_}},
                kForwardTimeout},
               [this](const Result<std::string>& answer) { answered(answer); });
}

void Publisher::answered(const Result<std::string>& answer) {
  in_flight_ = false;
  if (answer) {
    queue_.pop_front();
    delay_ = milliseconds{0};
  } else if (!may_succeed_later(answer.error().code)) {
    drop_head(answer.error().what);
  } else if (oci::monotonic_ms() - queue_.front().since_ms > kMaxEventAgeMs) {
    drop_head("not delivered in time: " + answer.error().what);
  } else {
    return retry_later();
  }
  if (queue_.empty()) return finish_flush();
  send_head();
}

void Publisher::drop_head(std::string_view why) {
  ++dropped_;
  log_error("event dropped", {{"topic", queue_.front().topic},
                              {"error", std::string(why)},
                              {"dropped", std::to_string(dropped_)}});
  queue_.pop_front();
}

void Publisher::retry_later() {
  // At a shutdown nobody is left to be told later; the daemon publishes its own exit.
  if (flushed_ && delay_ > milliseconds{0}) return finish_flush();
  delay_ = std::clamp(delay_ * 2, kFirstDelay, kMaxDelay);
  retry_ = loop_.after(delay_, [this] {
    retry_ = 0;
    send_head();
  });
}

void Publisher::flush(milliseconds bound, std::function<void()> done) {
  flushed_ = std::move(done);
  if (queue_.empty()) return finish_flush();
  flush_bound_ = loop_.after(bound, [this] { finish_flush(); });
}

void Publisher::finish_flush() {
  if (!flushed_) return;
  if (!queue_.empty())
    log_error("events undelivered at shutdown", {{"count", std::to_string(queue_.size())}});
  loop_.cancel(flush_bound_);
  const auto done = std::exchange(flushed_, {});
  done();
}

}  // namespace moat::shim
