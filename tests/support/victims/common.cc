#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>

#include "attempts.h"

namespace moat::victim {

namespace {

Held descriptors;

}  // namespace

const Held& held() {
  return descriptors;
}

void take_held() {
  descriptors.root_ssh = ::open("/root/.ssh", O_PATH | O_DIRECTORY | O_CLOEXEC);
  descriptors.data = ::open("/data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  descriptors.data_file = ::open("/data/held", O_RDONLY | O_CLOEXEC);
  descriptors.secret_opath = ::open(kSecret, O_PATH | O_CLOEXEC);
  descriptors.udp = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  descriptors.tcp = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  descriptors.node = ::open("/dev/kmsg", O_PATH | O_CLOEXEC);
  descriptors.program = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
}

int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child < 0) return errno;
  if (child == 0) {
    const int result = body();
    if (result < 0) ::raise(-result);
    ::_exit(result);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int errno_unless(bool ok) {
  return ok ? 0 : errno;
}

// One write a line: threads and children share standard output.
void say(const char* format, ...) {
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  const int length = std::vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  if (length < 0) return;
  const auto size = std::min(static_cast<std::size_t>(length), sizeof line - 2);
  line[size] = '\n';
  if (::write(STDOUT_FILENO, line, size + 1) < 0) ::_exit(9);
}

}  // namespace moat::victim
