// A process in a container that does as it is told, step by step, and says what became of it:
//
//   intruder STEP [ARGUMENT...] [, STEP ...]
//
// As a shared object (INTRUDER_LIBRARY) it reads its steps from the environment variable INTRUDER
// before the program that loads it has begun.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kMaxWords = 128 };

// One write a line: several of us may share the output.
static void say(const char* step, const char* object, int err) {
  char line[512];
  const int n = snprintf(line, sizeof line, "%s %s: %s\n", step, object,
                         err == 0 ? "ok" : strerrorname_np(err));
  if (n > 0 && write(STDOUT_FILENO, line, (size_t)n) < 0) _exit(9);
}

static int opened(const char* path, int flags) {
  const int fd = open(path, flags | O_CLOEXEC, 0644);
  const int err = fd < 0 ? errno : 0;
  if (fd >= 0) close(fd);
  return err;
}

static int full = -1;  // a listener that accepts nobody

static void* knock(void* unused) {
  struct sockaddr_un address = {AF_UNIX, "/tmp/full"};
  for (int i = 0; i < 4; ++i) {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr*)&address, sizeof address) != 0) break;
  }
  return unused;
}

// A thread stays inside a connect until `let-go`.
static int stick(void) {
  struct sockaddr_un address = {AF_UNIX, "/tmp/full"};
  pthread_t thread;
  full = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(full, (struct sockaddr*)&address, sizeof address) != 0 || listen(full, 0) != 0)
    return errno;
  const int err = pthread_create(&thread, NULL, knock, NULL);
  usleep(200 * 1000);
  return err;
}

// What a process of our own came to: 0, or the errno it exited with.
static int outcome_of(pid_t child) {
  int status = 0;
  if (child < 0) return errno;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

static int executed(const char* program, char** words) {
  const pid_t child = fork();
  if (child == 0) {
    execv(program, words);
    _exit(errno);
  }
  return outcome_of(child);
}

// By a name that does not say what it stands for.
static int executed_by_descriptor(const char* program, char** words) {
  const int fd = open(program, O_PATH);  // stays open across the fork, and needs no right to read
  if (fd < 0) return errno;
  const pid_t child = fork();
  if (child == 0) {
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/fd/%d", (int)getpid(), fd);
    execv(name, words);
    _exit(errno);
  }
  close(fd);
  return outcome_of(child);
}

// A program that no mount and no file has.
static int executed_from_memory(const char* program, char** words) {
  const int from = open(program, O_RDONLY | O_CLOEXEC);
  if (from < 0) return errno;
  const int memory = memfd_create("moved-in", 0);
  if (memory < 0) {
    const int err = errno;
    close(from);
    return err;
  }
  char buffer[65536];
  for (ssize_t n = 0; (n = read(from, buffer, sizeof buffer)) > 0;)
    if (write(memory, buffer, (size_t)n) != n) return EIO;
  close(from);
  const pid_t child = fork();
  if (child == 0) {
    char* none[] = {NULL};
    syscall(SYS_execveat, memory, "", words, none, AT_EMPTY_PATH);
    _exit(errno);
  }
  close(memory);
  return outcome_of(child);
}

static int waited_for(const char* path) {
  struct stat info;
  for (int i = 0; i < 3000; ++i) {
    if (stat(path, &info) == 0) return 0;
    usleep(10000);
  }
  return ETIMEDOUT;
}

// Many at once, each with what it opened still open: how many got in is what it says.
struct Crowd {
  const char* path;
  atomic_int in;
};
static void* press(void* raw) {
  struct Crowd* crowd = raw;
  for (int i = 0; i < 200; ++i)
    if (opened(crowd->path, O_RDONLY) == 0) atomic_fetch_add(&crowd->in, 1);
  return NULL;
}
static int pressed(const char* path, int threads) {
  struct Crowd crowd = {path, 0};
  pthread_t ids[512];
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 << 10);
  int made = 0;
  for (; made < threads && made < 512; ++made)
    if (pthread_create(&ids[made], &attributes, press, &crowd) != 0) break;
  for (int i = 0; i < made; ++i) pthread_join(ids[i], NULL);
  return atomic_load(&crowd.in) > 0 ? 0 : EPERM;
}

// A descriptor without a path as the folder of an empty name, in a root that has such a folder.
static int pipe_end;
static int named_like_a_pipe(void) {
  int ends[2];
  char name[64], target[64] = "/";
  if (pipe(ends) != 0) return errno;
  pipe_end = ends[0];
  snprintf(name, sizeof name, "/proc/self/fd/%d", pipe_end);
  if (readlink(name, target + 1, sizeof target - 2) <= 0) return errno;
  return mkdir(target, 0755) == 0 ? 0 : errno;
}

// Says a line to the standard input of another process of the container that has one.
static int fed(const char* line) {
  int err = ESRCH;
  for (int pid = 2; pid < 200; ++pid) {
    char name[64];
    if (pid == getpid()) continue;
    snprintf(name, sizeof name, "/proc/%d/fd/0", pid);
    if (access(name, F_OK) != 0) continue;
    const int fd = open(name, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
      err = errno;
      continue;
    }
    if (dprintf(fd, "%s\n", line) > 0) err = 0;
    close(fd);
  }
  return err;
}

// Below a descriptor, and as a standard stream: names that do not say what they stand for.
static int opened_below(const char* folder, const char* name) {
  char path[256];
  const int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  snprintf(path, sizeof path, "/dev/fd/%d/%s", fd, name);
  const int err = opened(path, O_WRONLY | O_NONBLOCK);
  close(fd);
  return err;
}
static int opened_over_link(const char* folder, const char* name) {
  char target[64], path[256];
  const int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
  snprintf(path, sizeof path, "/tmp/over/%s", name);
  if (fd < 0 || symlink(target, "/tmp/over") != 0) return errno;
  const int err = opened(path, O_WRONLY | O_NONBLOCK);
  close(fd);
  return err;
}
static int opened_as_stream(const char* path, const char* stream) {
  const int fd = open(path, O_PATH);
  if (fd < 0 || dup2(fd, 0) < 0) return errno;
  return opened(stream, O_WRONLY | O_NONBLOCK);
}

// Wakes whoever waits for an answer in one of these cgroups, but for our own kind.
static void wake(const char* list) {
  FILE* file = fopen(list, "re");
  int pid = 0;
  while (file != NULL && fscanf(file, "%d", &pid) == 1) {
    char name[64], exe[256] = "";
    snprintf(name, sizeof name, "/proc/%d/exe", pid);
    if (readlink(name, exe, sizeof exe - 1) > 0 && strstr(exe, "intruder") == NULL)
      kill(pid, SIGURG);
  }
  if (file != NULL) fclose(file);
}
static int stormed(char** lists, const char* until) {
  struct stat info;
  while (stat(until, &info) != 0)
    for (char** list = lists; *list != NULL; ++list) wake(*list);
  return 0;
}

static void ended(int signal) {
  _exit(signal == SIGTERM ? 0 : 1);
}

static void perform(char** words, int count) {
  const char* step = words[0];
  const char* object = count > 1 ? words[1] : "";
  int err = EINVAL;
  words[count] = NULL;
  if (strcmp(step, "open") == 0)
    err = opened(object, O_RDONLY);
  else if (strcmp(step, "write") == 0)
    err = opened(object, O_WRONLY | O_NONBLOCK);
  else if (strcmp(step, "create") == 0)
    err = opened(object, O_WRONLY | O_CREAT);
  else if (strcmp(step, "stick") == 0)
    err = stick();
  else if (strcmp(step, "let-go") == 0)
    err = close(full) == 0 ? 0 : errno;
  else if (strcmp(step, "exec") == 0)
    err = executed(object, words + 1);
  else if (strcmp(step, "exec-descriptor") == 0)
    err = executed_by_descriptor(object, words + 1);
  else if (strcmp(step, "exec-memory") == 0)
    err = executed_from_memory(object, words + 1);
  else if (strcmp(step, "press") == 0 && count > 2)
    err = pressed(object, atoi(words[2]));
  else if (strcmp(step, "pipe-folder") == 0)
    err = named_like_a_pipe();
  else if (strcmp(step, "pipe-remove") == 0)
    err = unlinkat(pipe_end, "", 0) == 0 ? 0 : errno;
  else if (strcmp(step, "wait") == 0)
    err = waited_for(object);
  else if (strcmp(step, "say") == 0)
    err = 0;
  else if (strcmp(step, "write-below") == 0 && count > 2)
    err = opened_below(object, words[2]);
  else if (strcmp(step, "write-over") == 0 && count > 2)
    err = opened_over_link(object, words[2]);
  else if (strcmp(step, "write-stream") == 0 && count > 2)
    err = opened_as_stream(object, words[2]);
  else if (strcmp(step, "often") == 0 && count > 2)
    for (int i = atoi(words[2]); i > 0; --i) err = opened(object, O_RDONLY);
  else if (strcmp(step, "feed") == 0)
    err = fed(object);
  else if (strcmp(step, "storm") == 0)
    err = stormed(words + 2, object);
  else if (strcmp(step, "stay") == 0) {
    signal(SIGTERM, ended);
    for (;;) pause();
  }
  say(step, object, err);
}

static void perform_all(char** words, int count) {
  for (int i = 0, begin = 0; i <= count; ++i) {
    if (i < count && strcmp(words[i], ",") != 0) continue;
    if (i > begin) perform(words + begin, i - begin);
    begin = i + 1;
  }
}

#ifdef INTRUDER_LIBRARY
__attribute__((constructor)) static void begin(void) {
  char* text = getenv("INTRUDER");
  char* words[kMaxWords + 1];
  int count = 0;
  if (text == NULL) return;
  for (char* word = strtok(text, " "); word != NULL && count < kMaxWords; word = strtok(NULL, " "))
    words[count++] = word;
  perform_all(words, count);
  _exit(0);
}
#else
int main(int argc, char** argv) {
  char* words[kMaxWords + 1];
  int count = 0;
  for (int i = 1; i < argc && count < kMaxWords; ++i) words[count++] = argv[i];
  perform_all(words, count);
  return 0;
}
#endif
