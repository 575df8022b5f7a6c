// Starting a program: by every call that can, and from every kind of file.
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "attempts.h"

namespace moat::victim {

namespace {

char* const kNoEnvironment[] = {nullptr};

// What the program is to say, when it runs.
struct Arguments {
  explicit Arguments(const Run& run) : command("echo effect " + run.id()), id(run.id()) {}
  std::array<char*, 4> shell() { return {text("sh"), text("-c"), command.data(), nullptr}; }
  std::array<char*, 4> self() { return {text("server"), text("payload"), id.data(), nullptr}; }
  static char* text(const char* literal) { return const_cast<char*>(literal); }
  std::string command, id;
};

int execveat_empty(int fd, char* const* argv) {
  ::syscall(SYS_execveat, fd, "", argv, kNoEnvironment, AT_EMPTY_PATH);
  return errno;
}

int sh_execve(const Run& run) {
  return in_child([&] {
    Arguments arguments(run);
    ::execve("/bin/sh", arguments.shell().data(), kNoEnvironment);
    return errno;
  });
}

int sh_execveat(const Run& run) {
  return in_child([&] {
    Arguments arguments(run);
    const int shell = ::open("/bin/sh", O_PATH);
    return shell < 0 ? errno : execveat_empty(shell, arguments.shell().data());
  });
}

int sh_spawn(const Run& run) {
  Arguments arguments(run);
  pid_t child = 0;
  const int err =
      ::posix_spawn(&child, "/bin/sh", nullptr, nullptr, arguments.shell().data(), kNoEnvironment);
  if (err != 0) return err;
  int status = 0;
  ::waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

// The dynamic loader as a program: it maps the shell itself.
int sh_loader(const Run& run) {
  return in_child([&] {
    Arguments arguments(run);
    std::array<char*, 5> argv{Arguments::text("/lib64/ld-linux-x86-64.so.2"),
                              Arguments::text("/bin/sh"), Arguments::text("-c"),
                              arguments.command.data(), nullptr};
    ::execve(argv[0], argv.data(), kNoEnvironment);
    return errno;
  });
}

bool copy_program(int to) {
  const int program = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  ssize_t copied = 0;
  while ((copied = ::sendfile(to, program, nullptr, 1U << 20)) > 0) continue;
  ::close(program);
  return copied == 0;
}

int memfd_exec(const Run& run) {
  return in_child([&] {
    Arguments arguments(run);
    const int memory = ::memfd_create("payload", 0);
    if (memory < 0 || !copy_program(memory)) return errno;
    return execveat_empty(memory, arguments.self().data());
  });
}

int exec_held(const Run& run) {
  return in_child([&] {
    Arguments arguments(run);
    return execveat_empty(held().program, arguments.self().data());
  });
}

int tmp_exec(const Run& run) {
  const std::string path = run.scratch();
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
  if (file < 0 || !copy_program(file)) return errno;
  ::close(file);
  const int result = in_child([&] {
    Arguments arguments(run);
    ::execve(path.c_str(), arguments.self().data(), kNoEnvironment);
    return errno;
  });
  ::unlink(path.c_str());
  return result;
}

constexpr std::array kAttempts{
    Attempt{"sh_execve", "process.exec", "says", Planted::Nothing, sh_execve},
    Attempt{"sh_execveat", "process.exec", "says", Planted::Nothing, sh_execveat},
    Attempt{"sh_spawn", "process.exec", "says", Planted::Nothing, sh_spawn},
    Attempt{"sh_loader", "process.exec", "says", Planted::Nothing, sh_loader},
    Attempt{"memfd_exec", "filesystem.exec", "says", Planted::Nothing, memfd_exec},
    Attempt{"exec_held", "process.exec", "says", Planted::Nothing, exec_held},
    Attempt{"tmp_exec", "process.exec", "says", Planted::Nothing, tmp_exec},
};

}  // namespace

std::span<const Attempt> exec_attempts() {
  return kAttempts;
}

}  // namespace moat::victim
