// Opens, whose path, folder or link changes meanwhile.
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "race.h"

int open_unasked(const char* path, unsigned flags) {
  struct open_how how;
  memset(&how, 0, sizeof how);
  how.flags = flags;
  return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
}

static int wins_read(int fd, struct identity what) {
  char byte;
  const int won = is_same(fd, what) && pread(fd, &byte, 1, 0) == 1;
  if (fd >= 0) close(fd);
  return won ? 1 : decoy(fd >= 0);
}

static int wins_write(int fd, struct identity what) {
  const int won = is_same(fd, what) && write(fd, "won\n", 4) == 4;
  if (fd >= 0) close(fd);
  return won ? 1 : decoy(fd >= 0);
}

static void flip_read(int bad) {
  set_argument(bad ? SECRET : DECOY);
}
static int open_read(void) {
  return wins_read(open(argument, O_RDONLY | O_CLOEXEC), secret_file);
}

static void flip_second(int bad) {
  set_argument(bad ? SECOND : DECOY);
}

static void flip_write(int bad) {
  set_argument(bad ? TARGET : "/tmp/decoy");
}
static int open_write(void) {
  return wins_write(open(argument, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), target_file);
}

// A new file in a folder where there may be none: it must not even be there.
static void flip_create(int bad) {
  set_argument(bad ? "/data/new" : "/tmp/new");
}
static int open_create(void) {
  const int fd = open(argument, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0) close(fd);
  if (access("/data/new", F_OK) == 0) return unlinkat(AT_FDCWD, "/data/new", 0) == 0;
  return decoy(fd >= 0 && unlinkat(AT_FDCWD, "/tmp/new", 0) == 0);
}

// Whatever the race before has left there.
void remove_links(void) {
  static const char* const kPlaces[] = {"/tmp/link", "/tmp/other"};
  for (int i = 0; i < 2; ++i) {
    const int at = open(kPlaces[i], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (at >= 0) unlinkat(at, "authorized_keys", 0);
    close(at);
    unlinkat(AT_FDCWD, kPlaces[i], at >= 0 ? AT_REMOVEDIR : 0);
  }
}

// A pipe, into which no mount and no mark keeps anybody from writing.
static int reader = -1;
void open_pipe(void) {
  reader = open(PIPE, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}
static void flip_pipe(int bad) {
  set_argument(bad ? PIPE : "/tmp/decoy");
}
static int pipe_write(void) {
  char byte;
  const int fd = open(argument, O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0600);
  if (fd >= 0) (void)!write(fd, "x", 1);
  const int won = read(reader, &byte, 1) == 1;
  if (fd >= 0) close(fd);
  return won ? 1 : decoy(fd >= 0);
}

// Links, changed by exchanging two of them: there is always one at the place.
static void two_links(const char* good, const char* bad) {
  remove_links();
  if (symlink(good, "/tmp/link") != 0 || symlink(bad, "/tmp/other") != 0) exit(5);
}
static void links_read(void) {
  two_links(DECOY, SECRET);
}
static void links_write(void) {
  two_links("/tmp/decoy", TARGET);
}
static void exchange_links(int bad) {
  (void)bad;
  syscall(SYS_renameat2, AT_FDCWD, "/tmp/link", AT_FDCWD, "/tmp/other", RENAME_EXCHANGE);
}
static int link_read(void) {
  return wins_read(open("/tmp/link", O_RDONLY | O_CLOEXEC), secret_file);
}
static int link_write(void) {
  return wins_write(open("/tmp/link", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), target_file);
}

// A folder below the checked name becomes a link to where the keys are.
static void two_folders(void) {
  remove_links();
  mkdir("/tmp/link", 0700);
  close(open("/tmp/link/authorized_keys", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (symlink("/root/.ssh", "/tmp/other") != 0) exit(5);
}
static int folder_write(void) {
  const int fd = open("/tmp/link/authorized_keys", O_WRONLY | O_APPEND | O_CLOEXEC);
  return wins_write(fd, keys_file);
}
static int folder_read(void) {
  return wins_read(open("/tmp/link/authorized_keys", O_RDONLY | O_CLOEXEC), keys_file);
}

// The folder's descriptor becomes another.
static int good_folder = -1, bad_folder = -1, folder = -1;
static void descriptors(void) {
  good_folder = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
  bad_folder = open("/data", O_PATH | O_DIRECTORY | O_CLOEXEC);
  folder = dup(good_folder);
  close(open("/tmp/target", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}
static void flip_descriptor(int bad) {
  dup2(bad ? bad_folder : good_folder, folder);
}
static int dirfd_write(void) {
  return wins_write(openat(folder, "target", O_WRONLY | O_CLOEXEC), target_file);
}

// A thread whose table of descriptors is its own: the leader's number stands for another folder.
static volatile int apart_won;
static int open_apart(void* unused) {
  (void)unused;
  dup2(bad_folder, folder);
  apart_won = wins_write(openat(folder, "target", O_WRONLY | O_CLOEXEC), target_file);
  syscall(SYS_exit, 0);
  return 0;
}
static int apart_write(void) {
  static char stack[64 << 10] __attribute__((aligned(64)));
  volatile pid_t alive = 1;
  apart_won = 0;
  const int flags = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_CHILD_CLEARTID;
  if (clone(open_apart, stack + sizeof stack, flags, NULL, NULL, NULL, &alive) < 0) return 0;
  // The kernel clears it, and wakes who waits, when the thread is gone.
  while (alive != 0) syscall(SYS_futex, &alive, FUTEX_WAIT, 1, NULL, NULL, 0);
  return apart_won;
}
static void flip_nothing(int bad) {
  (void)bad;
  usleep(1000);
}

// From a file of its own that may be written, to its memory: pages without that right included.
static const volatile char fixed[16] = "fixed";
static void flip_own(int bad) {
  set_argument(bad ? "/proc/self/mem" : "/proc/self/comm");
}
static int own_memory(void) {
  const int fd = open(argument, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const int won = pwrite(fd, "F", 1, (off_t)&fixed) == 1 && fixed[0] == 'F';
  if (won) (void)!pwrite(fd, "f", 1, (off_t)&fixed);
  close(fd);
  return won ? 1 : decoy(1);
}

// The argument is on a page without the right to write, changed through the file of the memory.
static char* page;
static int memory = -1;
static void read_only_page(void) {
  page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  strcpy(page, "/tmp/decoy");
  mprotect(page, 4096, PROT_READ);
  memory = open_unasked("/proc/self/mem", O_WRONLY | O_CLOEXEC);
}
static void flip_page(int bad) {
  const char* const text = bad ? TARGET : "/tmp/decoy";
  (void)!pwrite(memory, text, strlen(text) + 1, (off_t)page);
}
static int page_write(void) {
  return wins_write(open(page, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), target_file);
}

struct races path_races(void) {
  static const struct race list[] = {
      {"open_read", NULL, flip_read, open_read, 0},
      {"open_second", NULL, flip_second, open_read, 0},
      {"open_write", NULL, flip_write, open_write, 0},
      {"open_create", NULL, flip_create, open_create, 0},
      {"pipe_write", NULL, flip_pipe, pipe_write, 0},
      {"link_read", links_read, exchange_links, link_read, 0},
      {"link_write", links_write, exchange_links, link_write, 0},
      {"folder_read", two_folders, exchange_links, folder_read, 0},
      {"folder_write", two_folders, exchange_links, folder_write, 0},
      {"dirfd_write", descriptors, flip_descriptor, dirfd_write, 0},
      {"apart_write", descriptors, flip_nothing, apart_write, 0},
      {"own_memory", NULL, flip_own, own_memory, 0},
      {"page_write", read_only_page, flip_page, page_write, 0},
  };
  return RACES(list);
}
