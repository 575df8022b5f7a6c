#include "shim/ttrpc/client.h"

#include <sys/socket.h>

#include "oci/socket.h"
#include "shim/proto/ttrpc.pb.h"
#include "shim/ttrpc/status.h"

namespace moat::shim::ttrpc {

std::string encode_request(const Outgoing& call) {
  ::ttrpc::Request request;
  request.set_service(call.service);
  request.set_method(call.method);
  request.set_payload(call.payload);
  request.set_timeout_nano(std::chrono::nanoseconds(call.timeout).count());
  for (const auto& [key, value] : call.metadata) {
    auto* pair = request.add_metadata();
    pair->set_key(key);
    pair->set_value(value);
  }
  return request.SerializeAsString();
}

Result<std::string> decode_response(std::string_view payload) {
  ::ttrpc::Response response;
  if (!response.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
    return moat::fail(Code::Internal, "the answer is not a ttrpc response");
  if (response.status().code() != 0)
    return moat::fail(from_wire(response.status().code()), response.status().message());
  return std::move(*response.mutable_payload());
}

Client::~Client() {
  *alive_ = false;
  for (const auto& [stream, waiting] : waiting_) loop_.cancel(waiting.deadline);
}

Status Client::connect() {
  if (connection_ && connection_->is_open()) return {};
  if (connection_) lost();  // its callback has not come yet; its calls are not the next one's
  // Non-blocking: with its backlog full a daemon that hangs must not hang us.
  auto socket = oci::connect_unix(path_, SOCK_STREAM | SOCK_NONBLOCK);
  if (!socket) return moat::fail(std::move(socket.error()));
  connection_ = Connection::open(loop_, std::move(*socket),
                                 {[this, alive = alive_](const Frame& frame) {
                                    if (*alive) on_frame(frame);
                                  },
                                  [this, alive = alive_, epoch = ++epoch_] {
                                    if (*alive && epoch == epoch_ && connection_) lost();
                                  }});
  next_stream_ = 1;
  return {};
}

void Client::call(const Outgoing& call, Done done) {
  auto connected = connect();
  if (!connected) {
    Error error = std::move(connected.error());
    error.code = Code::Unavailable;
    loop_.post([alive = alive_, done = std::move(done), error = std::move(error)] {
      if (*alive) done(moat::fail(error));
    });
    return;
  }
  const std::uint32_t stream = std::exchange(next_stream_, next_stream_ + 2);
  Waiting& waiting = waiting_[stream];
  waiting.done = std::move(done);
  if (call.timeout.count() > 0)
    waiting.deadline = loop_.after(call.timeout, [this, alive = alive_, stream] {
      if (*alive) finish(stream, moat::fail(Code::DeadlineExceeded, "no answer in time"));
    });
  connection_->send(stream, kRequest, encode_request(call));
}

void Client::on_frame(const Frame& frame) {
  if (frame.type != kResponse) return;
  if (frame.oversized > 0)
    return finish(frame.stream, moat::fail(Code::ResourceExhausted, "the answer exceeds 4 MiB"));
  finish(frame.stream, decode_response(frame.payload));
}

void Client::finish(std::uint32_t stream, Result<std::string> answer) {
  const auto found = waiting_.find(stream);
  if (found == waiting_.end()) return;  // an answer after its deadline
  Waiting waiting = std::move(found->second);
  waiting_.erase(found);
  loop_.cancel(waiting.deadline);
  waiting.done(std::move(answer));
}

void Client::lost() {
  connection_.reset();
  auto waiting = std::exchange(waiting_, {});
  for (auto& [stream, entry] : waiting) {
    loop_.cancel(entry.deadline);
    entry.done(moat::fail(Code::Unavailable, "connection to " + path_ + " lost"));
  }
}

}  // namespace moat::shim::ttrpc
