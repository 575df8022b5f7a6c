// Starting a program: by every call that can, and from every kind of file.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bypass.h"

#define OWN "/bin/model_server"
#define LOADER "/lib64/ld-linux-x86-64.so.2"

static char* const kNone[] = {NULL};

static int run_path(const char* path) {
  execve(path, payload_arguments(), kNone);
  return errno;
}

static int run_descriptor(int fd) {
  syscall(SYS_execveat, fd, "", payload_arguments(), kNone, AT_EMPTY_PATH);
  return errno;
}

static int run_link(int fd) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return run_path(path);
}

static int exec_path(void) {
  return run_path(OWN);
}

static int exec_opath(void) {
  return run_descriptor(open(OWN, O_PATH));
}

static int exec_held(void) {
  return run_descriptor(held.program);
}

static int exec_proc_fd(void) {
  return run_link(held.program);
}

static int exec_proc_exe(void) {
  return run_path("/proc/self/exe");
}

static int exec_dirfd(void) {
  const int folder = open("/bin", O_PATH | O_DIRECTORY);
  syscall(SYS_execveat, folder, "model_server", payload_arguments(), kNone, 0);
  return errno;
}

static int memory_file(void) {
  const int file = memfd_create("payload", 0);
  return file >= 0 && copy_program(file) ? file : -1;
}

static int memfd_execveat(void) {
  const int file = memory_file();
  return file < 0 ? errno : run_descriptor(file);
}

static int memfd_fexecve(void) {
  const int file = memory_file();
  return file < 0 ? errno : run_link(file);
}

// Says that it will not be executed, and is made executable afterwards.
static int memfd_unsealed(void) {
  const int file = memfd_create("payload", 0x8 /* MFD_NOEXEC_SEAL */);
  if (file < 0 || !copy_program(file) || fchmod(file, 0755) != 0) return errno;
  return run_descriptor(file);
}

static int shell_command(const char* first, const char* second) {
  char command[96];
  snprintf(command, sizeof command, "echo effect %s", run_id());
  char* const words[] = {(char*)first, (char*)(second ? second : "-c"), second ? "-c" : command,
                         second ? command : NULL, NULL};
  execve(first, words, kNone);
  return errno;
}

static int shell(void) {
  return shell_command("/bin/sh", NULL);
}

static int loader_shell(void) {
  return access(LOADER, F_OK) == 0 ? shell_command(LOADER, "/bin/sh") : ABSENT;
}

// A program where anything may be written, mapped by a loader that may run.
static int loader_dropped(void) {
  if (access(LOADER, F_OK) != 0) return ABSENT;
  const int err = copied_to(scratch());
  if (err != 0) return err;
  char* const* words = payload_arguments();
  char* const arguments[] = {(char*)LOADER, (char*)scratch(), words[1], words[2], NULL};
  execve(LOADER, arguments, kNone);
  return errno;
}

static int dropped_tmp(void) {
  const int err = copied_to(scratch());
  return err != 0 ? err : run_path(scratch());
}

static int dropped_shm(void) {
  char path[96];
  snprintf(path, sizeof path, "/dev/shm/%s", run_id());
  const int err = copied_to(path);
  return err != 0 ? err : run_path(path);
}

static int dropped_script(void) {
  const int file = open(scratch(), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
  if (file < 0) return errno;
  dprintf(file, "#!/bin/sh\necho effect %s\n", run_id());
  close(file);
  return run_path(scratch());
}

// Unlinked before it is run: it has no path any more.
static int dropped_unlinked(void) {
  const int err = copied_to(scratch());
  if (err != 0) return err;
  const int file = open(scratch(), O_PATH);
  unlink(scratch());
  return run_descriptor(file);
}

static int own_vfork(void) {
  int err = 0, status = 0;
  char* const* arguments = payload_arguments();
  const pid_t child = vfork();
  if (child == 0) {
    execve(OWN, arguments, kNone);
    _exit(errno);
  }
  if (child < 0) return errno;
  waitpid(child, &status, 0);
  err = WEXITSTATUS(status);
  return err;
}

static int own_spawn(void) {
  pid_t child = 0;
  const int err = posix_spawn(&child, OWN, NULL, NULL, payload_arguments(), kNone);
  if (err != 0) return err;
  int status = 0;
  waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

static void* in_thread(void* unused) {
  (void)unused;
  _exit(run_path(OWN));
}

static int thread_exec(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, in_thread, NULL) != 0) return errno;
  pthread_join(thread, NULL);
  return EIO;
}

// Owned by root, with the set-user-ID bit; the caller gives up being root first.
static int set_user_id(void) {
  if (!exists("/bin/set_user_id")) return ABSENT;
  if (setresuid(65534, 65534, 65534) != 0) return errno;
  return run_path("/bin/set_user_id");
}

struct attempts program_attempts(void) {
  static const struct attempt list[] = {
      {"exec_path", exec_path, 0, 0},           {"exec_opath", exec_opath, 0, 0},
      {"exec_held", exec_held, 0, 0},           {"exec_proc_fd", exec_proc_fd, 0, 0},
      {"exec_proc_exe", exec_proc_exe, 0, 0},   {"exec_dirfd", exec_dirfd, 0, 0},
      {"memfd_execveat", memfd_execveat, 0, 0}, {"memfd_fexecve", memfd_fexecve, 0, 0},
      {"memfd_unsealed", memfd_unsealed, 0, 0}, {"shell", shell, 0, 0},
      {"loader_shell", loader_shell, 0, 0},     {"loader_dropped", loader_dropped, 0, 0},
      {"dropped_tmp", dropped_tmp, 0, 0},       {"dropped_shm", dropped_shm, 0, 0},
      {"dropped_script", dropped_script, 0, 0}, {"dropped_unlinke", dropped_unlinked, 0, 0},
      {"own_vfork", own_vfork, 0, 0},           {"own_spawn", own_spawn, 0, 0},
      {"thread_exec", thread_exec, 0, 0},       {"set_user_id", set_user_id, 0, 0},
  };
  return ATTEMPTS(list);
}
