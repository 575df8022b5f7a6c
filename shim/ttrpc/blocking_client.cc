#include <poll.h>
#include <sys/socket.h>

#include "oci/socket.h"
#include "oci/sys.h"
#include "shim/ttrpc/client.h"

namespace moat::shim::ttrpc {

namespace {

constexpr std::chrono::milliseconds kDefaultTimeout{10000};

Status wait_readable(int socket, std::int64_t deadline) {
  const std::int64_t left = deadline - oci::monotonic_ms();
  if (left <= 0) return fail(Code::DeadlineExceeded, "no answer in time");
  pollfd entry{socket, POLLIN, 0};
  if (::poll(&entry, 1, static_cast<int>(left)) < 0 && errno != EINTR)
    return fail_errno(errno, "poll");
  return {};
}

}  // namespace

Result<BlockingClient> BlockingClient::connect(const std::string& path) {
  auto socket = oci::connect_unix(path, SOCK_STREAM);
  if (!socket) return fail(std::move(socket.error()));
  return BlockingClient(std::move(*socket));
}

Result<std::string> BlockingClient::call(const Outgoing& call) {
  const auto timeout = call.timeout.count() > 0 ? call.timeout : kDefaultTimeout;
  const std::int64_t deadline = oci::monotonic_ms() + timeout.count();
  const std::uint32_t stream = std::exchange(next_stream_, next_stream_ + 2);
  const std::string request = encode_frame(stream, kRequest, encode_request(call));
  std::size_t sent = 0;
  while (sent < request.size()) {
    const ssize_t n =
        ::send(socket_.raw(), request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "send");
    sent += static_cast<std::size_t>(n);
  }
  for (;;) {
    while (const auto frame = reader_.next())
      if (frame->type == kResponse && frame->stream == stream)
        return decode_response(frame->payload);
    auto readable = wait_readable(socket_.raw(), deadline);
    if (!readable) return fail(std::move(readable.error()));
    char buffer[16384];
    const ssize_t n = ::recv(socket_.raw(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n < 0) return fail_errno(errno, "recv");
    if (n == 0) return fail(Code::Unavailable, "the server closed the connection");
    reader_.push({buffer, static_cast<std::size_t>(n)});
  }
}

}  // namespace moat::shim::ttrpc
