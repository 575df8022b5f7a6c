#include "tests/support/tools/script_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "oci/socket.h"
#include "oci/sys.h"
#include "shim/proto/ttrpc.pb.h"
#include "shim/ttrpc/client.h"

namespace moat::tests {

namespace {

Reply decode(const shim::ttrpc::Frame& frame) {
  Reply reply{frame.stream, frame.type, frame.flags, -1, "", "", false};
  ttrpc::Response response;
  if (!response.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size())))
    return reply;
  reply.code = response.status().code();
  reply.message = response.status().message();
  reply.payload = response.payload();
  reply.has_status = response.has_status();
  return reply;
}

}  // namespace

std::string name_of_code(int code) {
  constexpr std::array kNames{
      "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
      "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
      "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
      "DataLoss", "Unauthenticated"};
  if (code < 0 || code >= static_cast<int>(kNames.size())) return "code " + std::to_string(code);
  return kNames.at(static_cast<std::size_t>(code));
}

Result<ScriptClient> ScriptClient::connect(const std::string& path) {
  auto socket = oci::connect_unix(path, SOCK_STREAM);
  if (!socket) return fail(std::move(socket.error()));
  return ScriptClient(std::move(*socket));
}

Status ScriptClient::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(socket_.raw(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "send");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Result<std::uint32_t> ScriptClient::send(const Request& request) {
  const std::uint32_t stream = next_stream_;
  shim::ttrpc::Outgoing outgoing{request.service, request.method, request.payload, {}, {}};
  outgoing.timeout = request.timeout;
  auto sent = send_raw(0, shim::ttrpc::kRequest, shim::ttrpc::encode_request(outgoing));
  if (!sent) return fail(std::move(sent.error()));
  return stream;
}

Status ScriptClient::send_raw(std::uint32_t stream, std::uint8_t type, std::string_view payload) {
  if (stream == 0) stream = std::exchange(next_stream_, next_stream_ + 2);
  return write(shim::ttrpc::encode_frame(stream, type, payload));
}

Result<Reply> ScriptClient::await(std::uint32_t stream, std::chrono::milliseconds patience) {
  const std::int64_t deadline = oci::monotonic_ms() + patience.count();
  for (;;) {
    const auto found = stream == 0 ? early_.begin() : early_.find(stream);
    if (found != early_.end()) {
      Reply reply = std::move(found->second);
      early_.erase(found);
      return reply;
    }
    const std::int64_t left = deadline - oci::monotonic_ms();
    if (left <= 0) return fail(Code::DeadlineExceeded, "no answer");
    pollfd entry{socket_.raw(), POLLIN, 0};
    if (::poll(&entry, 1, static_cast<int>(left)) <= 0) continue;
    std::array<char, 16384> buffer;
    const ssize_t n = ::recv(socket_.raw(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n <= 0) return fail(Code::Unavailable, "the connection is closed");
    reader_.push({buffer.data(), static_cast<std::size_t>(n)});
    while (const auto frame = reader_.next()) early_.emplace(frame->stream, decode(*frame));
  }
}

}  // namespace moat::tests
