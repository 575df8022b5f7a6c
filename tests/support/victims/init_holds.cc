// What a server can be in the middle of, or have open, when it comes to its artifact.
#include <fcntl.h>
#include <mqueue.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <thread>

#include "attempts.h"

namespace moat::victim {

namespace {

int full_listener = -1;

sockaddr_un full_address() {
  return {AF_UNIX, "/tmp/full"};
}

// A thread that connects to a listener until nothing is accepted any more: then it stays inside.
// (One of TCP would be cut.)
int stuck_connect() {
  const sockaddr_un address = full_address();
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  full_listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::bind(full_listener, generic, sizeof address) != 0 || ::listen(full_listener, 0) != 0)
    return errno;
  std::thread([address] {
    for (int i = 0; i < 4; ++i) {
      const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      (void)::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
  }).detach();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  return 0;
}

// The same, but what it waits for comes.
int slow_connect() {
  if (const int failed = stuck_connect(); failed != 0) return failed;
  std::thread([] {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    for (int i = 0; i < 4; ++i) ::accept(full_listener, nullptr, nullptr);
  }).detach();
  return 0;
}

int open_memory_file() {
  return errno_unless(::memfd_create("tool", 0) >= 0);
}

int open_queue() {
  return errno_unless(::mq_open("/held", O_RDWR | O_CREAT, 0600, nullptr) >= 0);
}

}  // namespace

int hold_in_init(const std::string& what) {
  if (what == "connect") return stuck_connect();
  if (what == "slow-connect") return slow_connect();
  if (what == "memfd") return open_memory_file();
  if (what == "queue") return open_queue();
  return EINVAL;
}

// Who is stuck is told that nobody is there any more.
void let_go() {
  if (full_listener >= 0) ::close(full_listener);
  full_listener = -1;
}

}  // namespace moat::victim
