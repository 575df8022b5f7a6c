// Programs: the path, or the link it is, changes while one is started. The target leaves with 7.
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "race.h"

static char* const kArguments[] = {"program", NULL};
static char* const kNone[] = {NULL};

static int won(pid_t child) {
  int status = 0;
  if (child < 0) return 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 7) return 1;
  return decoy(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void flip_path(int bad) {
  set_argument(bad ? TARGET_PROGRAM : DECOY_PROGRAM);
}
static int exec_path(void) {
  const pid_t child = vfork();
  if (child == 0) {
    execve(argument, kArguments, kNone);
    _exit(1);
  }
  return won(child);
}

static void prepare_links(void) {
  remove_links();
  if (symlink(DECOY_PROGRAM, "/tmp/link") != 0 || symlink(TARGET_PROGRAM, "/tmp/other") != 0)
    exit(5);
}
static void exchange(int bad) {
  (void)bad;
  syscall(SYS_renameat2, AT_FDCWD, "/tmp/link", AT_FDCWD, "/tmp/other", RENAME_EXCHANGE);
}
static int exec_link(void) {
  const pid_t child = vfork();
  if (child == 0) {
    execve("/tmp/link", kArguments, kNone);
    _exit(1);
  }
  return won(child);
}

// The dynamic loader, which the kernel opens as it does a program whenever one is started, runs
// whatever it is told to.
static void flip_loader(int bad) {
  set_argument(bad ? LOADER : DECOY_PROGRAM);
}
static int exec_loader(void) {
  static char* const told[] = {"loader", "/bin/sh", "-c", "exit 7", NULL};
  const pid_t child = vfork();
  if (child == 0) {
    execve(argument, told, kNone);
    _exit(1);
  }
  return won(child);
}

// The descriptor becomes another.
static int good_file = -1, bad_file = -1, file = -1;
static void prepare_files(void) {
  good_file = open(DECOY_PROGRAM, O_PATH | O_CLOEXEC);
  bad_file = open_unasked(TARGET_PROGRAM, O_PATH | O_CLOEXEC);
  if (bad_file < 0) bad_file = open(TARGET_PROGRAM, O_PATH | O_CLOEXEC);  // no such call
  file = dup(good_file);
}
static void flip_file(int bad) {
  dup2(bad ? bad_file : good_file, file);
}
// Shares the table, as vfork() does not.
static int exec_shared(void* unused) {
  (void)unused;
  syscall(SYS_execveat, file, "", kArguments, kNone, AT_EMPTY_PATH);
  _exit(1);
}
static int exec_file(void) {
  static char stack[64 << 10] __attribute__((aligned(64)));
  return won(clone(exec_shared, stack + sizeof stack,
                   CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, NULL));
}

struct races program_races(void) {
  static const struct race list[] = {
      {"exec_path", NULL, flip_path, exec_path, 1},
      {"exec_link", prepare_links, exchange, exec_link, 1},
      {"exec_loader", NULL, flip_loader, exec_loader, 1},
      {"exec_file", prepare_files, flip_file, exec_file, 1},
  };
  return RACES(list);
}
