// What servers do all day, in every phase.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <thread>

#include "attempts.h"

namespace moat::victim {

namespace {

int read_some(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  char text[4096];
  const int err = errno_unless(::read(fd, text, sizeof text) > 0);
  ::close(fd);
  return err;
}

int read_model(const Run&) {
  return read_some("/models/model.bin");
}

int read_proc(const Run&) {
  for (const char* file : {"/proc/self/status", "/proc/meminfo", "/proc/cpuinfo", "/etc/hosts"})
    if (const int err = read_some(file); err != 0) return err;
  return 0;
}

// As the dynamic loader would.
int map_library(const Run&) {
  const int fd = ::open("/usr/lib/libhonest.so", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  void* code = ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
  const int err = errno_unless(code != MAP_FAILED);
  ::close(fd);
  return err;
}

int write_file(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  const int err = errno_unless(::write(fd, "honest\n", 7) == 7 && ::fsync(fd) == 0);
  ::close(fd);
  return err;
}

int files_in(const std::string& folder, const Run& run) {
  const std::string work = folder + "/" + run.id(), file = work + "/a", moved = work + "/b";
  if (::mkdir(work.c_str(), 0700) != 0) return errno;
  if (const int err = write_file(file, O_WRONLY | O_CREAT | O_EXCL); err != 0) return err;
  if (const int err = write_file(file, O_RDWR | O_TRUNC); err != 0) return err;
  if (::rename(file.c_str(), moved.c_str()) != 0 || ::chmod(moved.c_str(), 0640) != 0) return errno;
  if (::link(moved.c_str(), file.c_str()) != 0 || ::unlink(file.c_str()) != 0) return errno;
  if (::symlink("b", file.c_str()) != 0 || ::truncate(file.c_str(), 3) != 0) return errno;
  if (::unlink(file.c_str()) != 0 || ::unlink(moved.c_str()) != 0) return errno;
  return errno_unless(::rmdir(work.c_str()) == 0);
}

int scratch_files(const Run& run) {
  return files_in("/tmp", run);
}

int shared_memory(const Run& run) {
  return files_in("/dev/shm", run);
}

int own_log(const Run&) {
  return write_file("/tmp/server.log", O_WRONLY | O_APPEND);
}

int null_device(const Run&) {
  const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (fd < 0) return errno;
  ::close(fd);
  return read_some("/dev/urandom");
}

int threads(const Run&) {
  int seen = 0;
  std::thread([&seen] { seen = 1; }).join();
  return seen == 1 ? 0 : ECHILD;
}

int thread_name(const Run& run) {
  return ::pthread_setname_np(::pthread_self(), run.name.substr(0, 15).c_str());
}

int child(const Run&) {
  return in_child([] { return ::getpid() > 1 ? 0 : ESRCH; });
}

int socket_pair(const Run&) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return errno;
  char got = 0;
  const int err = errno_unless(::send(pair[0], "x", 1, 0) == 1 && ::recv(pair[1], &got, 1, 0) == 1);
  ::close(pair[0]);
  ::close(pair[1]);
  return err;
}

int unix_server(const Run& run) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s.sock", run.scratch().c_str());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int err =
      errno_unless(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  ::close(fd);
  ::unlink(address.sun_path);
  return err;
}

// To itself by each of its names, and to its group; a signal that nobody minds.
int own_signal(const Run&) {
  const pid_t pid = ::getpid();
  const auto tid = static_cast<pid_t>(::syscall(SYS_gettid));
  const bool sent = ::kill(pid, 0) == 0 && ::kill(pid, SIGCONT) == 0 && ::kill(0, SIGCONT) == 0 &&
                    ::syscall(SYS_tkill, tid, SIGCONT) == 0 &&
                    ::syscall(SYS_tgkill, pid, tid, SIGCONT) == 0;
  return errno_unless(sent);
}

// As a master does with a worker that does not answer.
int own_child(const Run&) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(5);  // should it be left alone
    ::pause();
    ::_exit(0);
  }
  if (child < 0) return errno;
  const int err = errno_unless(::kill(child, SIGKILL) == 0);
  int status = 0;
  ::waitpid(child, &status, 0);
  return err != 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ? err : ECHILD;
}

int own_limit(const Run&) {
  rlimit limit{};
  return errno_unless(::prlimit(::getpid(), RLIMIT_CORE, nullptr, &limit) == 0);
}

// As libffi and oneDNN would.
int fresh_code(const Run&) {
  void* code = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED) return errno;
  const int err = errno_unless(::mprotect(code, 4096, PROT_READ | PROT_EXEC) == 0);
  ::munmap(code, 4096);
  return err;
}

constexpr std::array kActions{
    Honest{"read_model", read_model},       Honest{"read_proc", read_proc},
    Honest{"map_library", map_library},     Honest{"scratch_files", scratch_files},
    Honest{"shared_memory", shared_memory}, Honest{"own_log", own_log},
    Honest{"null_device", null_device},     Honest{"threads", threads},
    Honest{"thread_name", thread_name},     Honest{"child", child},
    Honest{"socket_pair", socket_pair},     Honest{"unix_server", unix_server},
    Honest{"own_signal", own_signal},       Honest{"own_limit", own_limit},
    Honest{"fresh_code", fresh_code},       Honest{"own_child", own_child},
};

}  // namespace

std::span<const Honest> honest_actions() {
  return kActions;
}

}  // namespace moat::victim
