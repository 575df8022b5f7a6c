// moat-hook: the program that runtimes start around a container's life, and that a model server may
// start to say which phase it enters. Must never hold up or fail the deletion of a container.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>
#include <string_view>

#include "hooks/removal.h"
#include "oci/socket.h"
#include "oci/sys.h"
#include "policies/nearest.h"
#include "policies/phase.h"
#include "policies/text.h"

namespace moat::hooks {

namespace {

constexpr int kFine = 0, kUsage = 2, kFailure = 3;
constexpr std::size_t kMaxState = 1U << 20;  // annotations included, as large as a pod's can be

constexpr std::string_view kHelp =
    "usage: moat-hook poststop     OCI hook: reads the container's state on standard input and\n"
    "                              removes what moat left behind for it\n"
    "       moat-hook phase NAME   tells moat, at $MOAT_NOTIFY_SOCKET, that NAME begins\n"
    "       moat-hook version\n";

void say(int fd, std::string_view text) {
  (void)oci::write_all(fd, text);
}

void complain(std::string_view what) {
  constexpr std::size_t kMaxLine = 1000;
  say(STDERR_FILENO, "moat-hook: " + policies::printable(what, kMaxLine) + "\n");
}

// A hook that fails makes the runtime complain about a deletion that has been done, so problems
// are said and the status is fine.
int poststop() {
  const auto text = oci::read_all(STDIN_FILENO, kMaxState);
  const auto stopped = text.and_then([](const std::string& state) { return parse_stopped(state); });
  if (!stopped) {
    complain("poststop: " + stopped.error().what);
    return kFine;
  }
  const auto removed = remove_leftovers(oci::env_or("MOAT_STATE_DIR", kStateDir), *stopped);
  if (!removed) complain("poststop: " + removed.error().what);
  return kFine;
}

Status notify(std::string_view phase) {
  const std::string path = oci::env_or("MOAT_NOTIFY_SOCKET", "");
  if (path.empty())
    return fail(Code::NotFound, "moat does not listen here: MOAT_NOTIFY_SOCKET is not set");
  const auto socket = oci::connect_unix(path, SOCK_STREAM);
  if (!socket) return fail(Error(socket.error()).in("moat does not listen here"));
  const std::string line = "phase " + std::string(phase) + "\n";
  // NOSIGNAL: a listener that goes away is an error to report, not a signal to die of.
  if (::send(socket->raw(), line.data(), line.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(line.size()))
    return fail_errno(errno, "moat does not listen here: " + path);
  return {};
}

int phase(std::string_view name) {
  if (!policies::phase_from(name)) {
    std::array<std::string_view, policies::kPhases.size()> names{};
    for (std::size_t i = 0; i < names.size(); ++i) names[i] = to_string(policies::kPhases[i]);
    complain("phase " + policies::not_one_of(name, names));
    return kUsage;
  }
  const auto told = notify(name);
  if (told) return kFine;
  complain(told.error().what);
  return kFailure;
}

int run(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "poststop" && argc == 2) return poststop();
  if (command == "phase" && argc == 3) return phase(argv[2]);
  if ((command == "version" || command == "--version") && argc == 2) {
    say(STDOUT_FILENO, "moat-hook " MOAT_VERSION "\n");
    return kFine;
  }
  const bool asked = (command == "--help" || command == "-h") && argc == 2;
  say(asked ? STDOUT_FILENO : STDERR_FILENO, kHelp);
  return asked ? kFine : kUsage;
}

}  // namespace

}  // namespace moat::hooks

int main(int argc, char** argv) {
  return moat::hooks::run(argc, argv);
}
