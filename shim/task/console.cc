#include "shim/task/console.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "oci/socket.h"
#include "oci/sys.h"

namespace moat::shim {

namespace {
constexpr std::size_t kMaxMessage = 4096;  // the terminal's name comes along
}

Result<Console> Console::listen(const std::string& bundle) {
  auto folder = oci::open_file(bundle, O_PATH | O_DIRECTORY);
  if (!folder) return fail(std::move(folder.error()).in("console"));
  // Ours as long as the folder is held open.
  std::string name = "pty" + std::to_string(folder->raw());
  const std::string path = "/proc/self/fd/" + std::to_string(folder->raw()) + "/" + name;
  ::unlink(path.c_str());  // of a shim that was killed
  auto listener = oci::listen_unix(path, SOCK_STREAM, 0600);
  if (!listener) return fail(std::move(listener.error()).in("console"));
  return Console(std::move(*folder), std::move(*listener), std::move(name));
}

Console::~Console() {
  if (bundle_.valid()) ::unlinkat(bundle_.raw(), name_.c_str(), 0);
}

Result<UniqueFd> Console::take() {
  const auto none = [] {
    return fail(Code::Unknown, "the runtime sent no terminal to its console socket");
  };
  const auto connection = oci::accept_unix(listener_.raw());
  if (!connection) return none();
  auto packet = oci::receive_packet(connection->raw(), kMaxMessage);
  if (!packet || packet->fds.size() != 1 || ::isatty(packet->fds[0].raw()) != 1) return none();
  UniqueFd master = std::move(packet->fds[0]);
  if (::fcntl(master.raw(), F_SETFL, O_RDWR | O_NONBLOCK) != 0) return fail_errno(errno, "console");
  return master;
}

Status set_window_size(int master, WindowSize size) {
  winsize window{};
  window.ws_col = size.columns;
  window.ws_row = size.rows;
  if (::ioctl(master, TIOCSWINSZ, &window) == 0) return {};
  return fail_errno(errno, "resize");
}

}  // namespace moat::shim
