#include "shim/ttrpc/session.h"

#include "shim/proto/ttrpc.pb.h"
#include "shim/ttrpc/server.h"
#include "shim/ttrpc/status.h"

namespace moat::shim::ttrpc {

std::shared_ptr<Session> Session::open(oci::Loop& loop, UniqueFd socket, const Registry& registry,
                                       std::function<void(Session*)> closed) {
  std::shared_ptr<Session> self(new Session(loop, registry));
  const std::weak_ptr<Session> weak = self;
  self->connection_ = Connection::open(loop, std::move(socket),
                                       {[weak](const Frame& frame) {
                                          if (auto session = weak.lock()) session->on_frame(frame);
                                        },
                                        [weak, closed = std::move(closed)] {
                                          if (auto session = weak.lock()) closed(session.get());
                                        }});
  return self;
}

Session::~Session() {
  for (const auto& [stream, timer] : pending_) loop_.cancel(timer);
}

Status Session::check_stream(const Frame& frame) {
  if (frame.stream % 2 == 0)
    return moat::fail(Code::InvalidArgument, "StreamID must be odd for client initiated streams");
  if (frame.type == kData) {
    // A data frame of a request still being served has no meaning for unary methods.
    if (pending_.contains(frame.stream)) return {};
    return moat::fail(Code::InvalidArgument, "StreamID is no longer active");
  }
  if (frame.stream <= last_stream_)
    return moat::fail(Code::InvalidArgument, "StreamID cannot be re-used and must increment");
  last_stream_ = frame.stream;
  if (frame.oversized > 0)
    return moat::fail(Code::ResourceExhausted, "message length " + std::to_string(frame.oversized) +
                                                   " exceed maximum message size of " +
                                                   std::to_string(kMaxPayload));
  if (pending_.size() >= kMaxPending)
    return moat::fail(Code::ResourceExhausted, "too many unanswered requests on this connection");
  return {};
}

void Session::on_frame(const Frame& frame) {
  if (frame.type != kRequest && frame.type != kData) return;  // others are not ours to judge
  auto allowed = check_stream(frame);
  if (!allowed) return send(frame.stream, moat::fail(std::move(allowed.error())));
  if (frame.type == kRequest) dispatch(frame.stream, frame.payload);
}

void Session::dispatch(std::uint32_t stream, std::string_view payload) {
  ::ttrpc::Request request;
  if (!request.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
    return send(stream,
                moat::fail(Code::InvalidArgument, "unmarshal request error: not a ttrpc request"));
  auto handler = registry_.find(request.service(), request.method());
  if (!handler) return send(stream, moat::fail(std::move(handler.error())));
  pending_.emplace(stream, 0);
  const std::chrono::nanoseconds timeout(std::max<std::int64_t>(request.timeout_nano(), 0));
  (**handler)(Call(weak_from_this(), stream), request.payload(), timeout);
  if (timeout.count() > 0) arm_deadline(stream, timeout);
}

void Session::arm_deadline(std::uint32_t stream, std::chrono::nanoseconds timeout) {
  const auto found = pending_.find(stream);
  if (found == pending_.end()) return;  // most requests are answered before their handler returns
  const auto delay = std::chrono::ceil<std::chrono::milliseconds>(timeout);
  found->second = loop_.after(delay, [weak = weak_from_this(), stream] {
    if (const auto session = weak.lock())
      session->reply(stream, moat::fail(Code::DeadlineExceeded, "context deadline exceeded"));
  });
}

bool Session::waiting(std::uint32_t stream) const {
  return connection_->is_open() && pending_.contains(stream);
}

void Session::reply(std::uint32_t stream, const Result<std::string>& answer) {
  const auto found = pending_.find(stream);
  if (found == pending_.end()) return;
  if (found->second != 0) loop_.cancel(found->second);
  pending_.erase(found);
  send(stream, answer);
}

void Session::send(std::uint32_t stream, const Result<std::string>& answer) {
  ::ttrpc::Response response;
  if (answer) {
    response.set_payload(*answer);
  } else {
    response.mutable_status()->set_code(to_wire(answer.error().code));
    response.mutable_status()->set_message(answer.error().what);
  }
  std::string payload = response.SerializeAsString();
  if (payload.size() > kMaxPayload)
    return send(stream, moat::fail(Code::ResourceExhausted, "the answer exceeds 4 MiB"));
  connection_->send(stream, kResponse, payload);
}

}  // namespace moat::shim::ttrpc
