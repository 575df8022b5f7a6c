//   stress idle                  sleeps, and ignores every signal that can be ignored
//   stress mixed [OPTION...]     honest calls and attempts until SIGTERM; tells how they fared then
//                                and at each SIGUSR1, since the last time
//   stress attempts              each once
//   stress bomb                  forks for ever; all of them attempt
//   stress descriptors THREADS   opens all it can, then so many threads attempt
//   stress recycle SECONDS       attempts by processes that die meanwhile, beside honest ones
//   stress orphan                leaves a child behind, which asks later
//   stress last                  when /tmp/go is there: tries, and tells in /tmp/last
//   stress scratch NAME          makes /tmp/NAME
//   stress effect NAME           makes /data/effect.NAME
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "stress.h"

extern char** environ;

namespace moat::stress {

volatile bool stopping = false, asked = false;

std::int64_t now_us() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return std::int64_t{time.tv_sec} * 1000000 + time.tv_nsec / 1000;
}

void say(const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  const int length = std::vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  if (length < 0) return;
  line[length] = '\n';
  (void)!::write(STDOUT_FILENO, line, static_cast<std::size_t>(length) + 1);
}

bool begin_load() {
  const int fd = ::open("/models/model.bin", O_RDONLY | O_CLOEXEC);
  char byte = 0;
  const bool read = fd >= 0 && ::read(fd, &byte, 1) == 1;
  say(read ? "loaded" : "not loaded: %s", std::strerror(errno));
  ::close(fd);
  return read;
}

namespace {

int result_of_open(int fd) {
  if (fd < 0) return errno;
  ::close(fd);
  return 0;
}

}  // namespace

int create_file() {
  return result_of_open(::open("/data/effect.file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

// What a vfork's child cannot tell its parent: that the call was made and failed.
int start_program() {
  volatile int err = 0;
  const pid_t child = ::vfork();
  if (child < 0) return errno;
  if (child == 0) {
    const char* const words[] = {"stress", "effect", "program", nullptr};
    ::execve("/bin/stress", const_cast<char* const*>(words), environ);
    err = errno;
    ::_exit(1);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return err == 0 && status != 0 ? ECANCELED : err;  // it was killed before it could tell
}

int read_secret() {
  return result_of_open(::open("/root/.ssh/id_rsa", O_RDONLY | O_CLOEXEC));
}

int move_file() {
  return ::rename("/data/planted", "/data/effect.moved") == 0 ? 0 : errno;
}

int open_scratch(const std::string& name) {
  return result_of_open(::open(("/tmp/" + name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

namespace {

int idle() {
  for (int signal = 1; signal < SIGRTMAX; ++signal) ::signal(signal, SIG_IGN);
  begin_load();
  for (;;) ::pause();
}

int orphan() {
  if (::fork() != 0) return 0;
  ::setsid();
  ::usleep(700000);
  const int err = open_scratch("orphan.asked");
  return open_scratch(err == 0 ? "orphan.answered" : "orphan.refused");
}

// Its own output is held open: nothing can be opened for writing any more.
int last() {
  ::signal(SIGPIPE, SIG_IGN);
  const int told = ::open("/tmp/last", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(9999);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool connected =
      ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  begin_load();
  while (::access("/tmp/go", F_OK) != 0) ::usleep(20000);
  const int sent = ::write(socket, "x", 1) == 1 ? 0 : errno;
  ::dprintf(told, "create %s\nprogram %s\nmove %s\nsend %s%s\nend\n",
            ::strerrorname_np(create_file()), ::strerrorname_np(start_program()),
            ::strerrorname_np(move_file()), ::strerrorname_np(sent),
            connected ? "" : " unconnected");
  for (;;) ::pause();
}

int run(const Words& words) {
  const std::string what = words.empty() ? "" : words[0];
  struct sigaction stop {};
  stop.sa_handler = [](int) { stopping = true; };
  stop.sa_flags = SA_RESTART;
  ::sigaction(SIGTERM, &stop, nullptr);
  stop.sa_handler = [](int) { asked = true; };
  ::sigaction(SIGUSR1, &stop, nullptr);
  if (what == "idle") return idle();
  if (what == "mixed") return mixed({words.begin() + 1, words.end()});
  if (what == "bomb") return bomb();
  if (what == "attempts") {
    for (const Attempt attempt : kAttempts) (void)attempt();
    return 0;
  }
  if (what == "orphan") return orphan();
  if (what == "last") return last();
  if (words.size() == 2) {
    if (what == "descriptors") return descriptors(static_cast<unsigned>(std::stoul(words[1])));
    if (what == "recycle") return recycle(static_cast<unsigned>(std::stoul(words[1])));
    if (what == "scratch") return open_scratch(words[1]);
    if (what == "effect")
      return result_of_open(
          ::open(("/data/effect." + words[1]).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  }
  return 2;
}

}  // namespace

}  // namespace moat::stress

int main(int argc, char** argv) {
  return moat::stress::run({argv + 1, argv + argc});
}
