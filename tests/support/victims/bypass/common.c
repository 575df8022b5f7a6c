#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bypass.h"

struct held held;
static int* signal_count;

static void count_signal(int signal) {
  (void)signal;
  __atomic_add_fetch(signal_count, 1, __ATOMIC_SEQ_CST);
}

int signals_taken(void) {
  return __atomic_load_n(signal_count, __ATOMIC_SEQ_CST);
}

static int connected(int type) {
  struct sockaddr_in to = {AF_INET, htons(CANARY_PORT), {htonl(INADDR_LOOPBACK)}, {0}};
  int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  (void)!connect(fd, (struct sockaddr*)&to, sizeof to);
  return fd;
}

static void start_stranger(void) {
  held.stranger = fork();
  if (held.stranger != 0) return;
  for (;;) pause();
}

static void listen_in_tmp(void) {
  const struct sockaddr_un at = {AF_UNIX, LISTENER};
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(fd, (const struct sockaddr*)&at, sizeof at) == 0) listen(fd, 8);
}

void take_held(void) {
  listen_in_tmp();
  held.pipe = open(PIPE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  signal_count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &action, NULL);
  start_stranger();
  held.data = open("/data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  held.data_file = open("/data/held", O_RDONLY | O_CLOEXEC);
  held.root_ssh = open("/root/.ssh", O_PATH | O_DIRECTORY | O_CLOEXEC);
  held.secret = open(SECRET, O_PATH | O_CLOEXEC);
  held.program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  held.udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  for (int i = 0; i < 6; ++i) held.tcp[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  held.udp_connected = connected(SOCK_DGRAM);
  held.tcp_connected = connected(SOCK_STREAM);
  held.unix_datagram = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

int errno_unless(int ok) {
  return ok ? 0 : errno;
}

int close_or_errno(long fd) {
  if (fd < 0) return errno;
  close((int)fd);
  return 0;
}

int exists(const char* path) {
  struct stat unused;
  return lstat(path, &unused) == 0;
}

int reached(long result) {
  if (result >= 0) return 0;
  return errno == EPERM || errno == EACCES || errno == ENOSYS ? errno : 0;
}

int in_child(int (*body)(void)) {
  const pid_t child = fork();
  if (child < 0) return errno;
  if (child == 0) _exit(body());
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFSIGNALED(status) ? EINTR : WEXITSTATUS(status);
}

int copy_program(int to) {
  ssize_t copied = 0;
  lseek(held.program, 0, SEEK_SET);
  while ((copied = sendfile(to, held.program, NULL, 1U << 20)) > 0) continue;
  return copied == 0;
}

int copied_to(const char* path) {
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
  if (file < 0 || !copy_program(file)) return errno;
  close(file);
  return 0;
}

char* const* payload_arguments(void) {
  static char name[] = "server", word[] = "payload", id[64];
  static char* const arguments[] = {name, word, id, NULL};
  snprintf(id, sizeof id, "%s", run_id());
  return arguments;
}

int tells_secret(int fd) {
  char text[256];
  if (fd < 0) return errno;
  const ssize_t n = read(fd, text, sizeof text - 1);
  if (n <= 0) return n < 0 ? errno : ENODATA;
  text[n] = '\0';
  text[strcspn(text, "\n")] = '\0';
  say("effect %s %s", run_id(), text);
  return 0;
}

// One write a line: processes share standard output.
void say(const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  if (length < 0) return;
  if (length > (int)sizeof line - 2) length = (int)sizeof line - 2;
  line[length] = '\n';
  if (write(STDOUT_FILENO, line, (size_t)length + 1) < 0) _exit(9);
}
