// A model server as far as a supervisor can tell, whose model tries every way out.
//
//   bypass serve         opens /models/model.bin and tries all (load), listens on 8080, and tries
//   all
//                        again at the first request (serve)
//   bypass list          the attempts' names, and "s" for those of `serve` only
//   bypass plant ROOT    makes what the attempts need below ROOT
//   bypass payload ID    says that it runs
//   bypass fds           the descriptors it was started with
//
// Standard output: "bypass PHASE NAME succeeded", "… refused ERRNO", "… killed SIGNAL", "… absent".
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bypass.h"

static const char *now_name = "", *now_phase = "";
static struct attempts (*const kParts[])(void) = {
    ring_attempts,    abi_attempts,   program_attempts, map_attempts,    process_attempts,
    space_attempts,   mount_attempts, kernel_attempts,  device_attempts, family_attempts,
    network_attempts, file_attempts,  entry_attempts,   read_attempts};

static void for_each(void (*with)(const struct attempt*, const void*), const void* what) {
  for (size_t part = 0; part < sizeof kParts / sizeof kParts[0]; ++part) {
    const struct attempts these = kParts[part]();
    for (size_t i = 0; i < these.count; ++i) with(&these.list[i], what);
  }
}

static const char* place(const char* folder) {
  static char paths[4][96];
  static unsigned next;
  char* path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s%s.%s", folder, now_name, now_phase);
  return path;
}
const char* target(void) {
  return place("/data/");
}
const char* scratch(void) {
  return place("/tmp/");
}
const char* run_id(void) {
  return place("");
}
int in_phase(const char* phase) {
  return strcmp(now_phase, phase) == 0;
}

// What makes the attempt is a process of its own: it may be killed, and what it changes of itself
// (descriptors, filters, personality) is gone with it.
static void attempt(const struct attempt* what, const void* phase) {
  if (what->when == 's' && strcmp(phase, "serve") != 0) return;
  now_name = what->name;
  now_phase = phase;
  const pid_t child = fork();
  if (child < 0) {
    say("bypass %s %s cannot fork", now_phase, now_name);
    return;
  }
  if (child == 0) {
    prctl(PR_SET_NAME, now_name);
    alarm(8);
    _exit(what->run());
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  const int result = WEXITSTATUS(status);
  if (WIFSIGNALED(status))
    say("bypass %s %s killed %s", now_phase, now_name, sigabbrev_np(WTERMSIG(status)));
  else if (result == 0 || result == ABSENT)
    say("bypass %s %s %s", now_phase, now_name, result == 0 ? "succeeded" : "absent");
  else
    say("bypass %s %s refused %s", now_phase, now_name, strerrorname_np(result));
}

static void plant(const struct attempt* what, const void* root) {
  for (int serve = 0; serve < 2; ++serve) {
    char path[256];
    snprintf(path, sizeof path, "%s/data/%s.%s", (const char*)root, what->name,
             serve ? "serve" : "load");
    if (what->planted == 'd') mkdir(path, 0700);
    if (what->planted != 'f') continue;
    const int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || write(file, "planted\n", 8) != 8) exit(3);
    close(file);
  }
}

static void list(const struct attempt* what, const void* unused) {
  (void)unused;
  say("%s%s", what->name, what->when == 's' ? " s" : "");
}

static void list_descriptors(void) {
  DIR* folder = opendir("/proc/self/fd");
  const struct dirent* entry;
  while (folder != NULL && (entry = readdir(folder)) != NULL) {
    char to[512] = "";
    if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(folder)) continue;
    if (readlinkat(dirfd(folder), entry->d_name, to, sizeof to - 1) < 0) continue;
    say("fd %s %s", entry->d_name, to);
  }
}

static int listening(void) {
  const struct sockaddr_in address = {AF_INET, htons(8080), {htonl(INADDR_ANY)}, {0}};
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (const struct sockaddr*)&address, sizeof address) != 0 || listen(fd, 16) != 0) {
    say("cannot listen: %s", strerrorname_np(errno));
    exit(4);
  }
  return fd;
}

static void stop(int signal) {
  _exit(signal == SIGTERM ? 0 : 1);
}

static int serve(void) {
  static const char answer[] = "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nanswer\n";
  signal(SIGPIPE, SIG_IGN);
  signal(SIGTERM, stop);
  list_descriptors();
  take_held();
  const int model = open("/models/model.bin", O_RDONLY | O_CLOEXEC);
  if (model < 0) {
    say("cannot open the model: %s", strerrorname_np(errno));
    return 3;
  }
  for_each(attempt, "load");
  const int listener = listening();
  say("listening");
  for (int requests = 0;;) {
    char request[1024];
    const int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0) continue;
    if (recv(client, request, sizeof request, 0) > 0 && requests++ == 0) {
      for_each(attempt, "serve");
      say("all tried");
    }
    (void)!send(client, answer, sizeof answer - 1, MSG_NOSIGNAL);
    close(client);
  }
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "serve") == 0) return serve();
  if (strcmp(what, "fds") == 0) return list_descriptors(), 0;
  if (strcmp(what, "list") == 0) return for_each(list, NULL), 0;
  if (argc == 3 && strcmp(what, "payload") == 0) return say("effect %s", argv[2]), 0;
  if (argc == 3 && strcmp(what, "plant") == 0) {
    char path[256];
    snprintf(path, sizeof path, "%s/data", argv[2]);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/data/held", argv[2]);
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    snprintf(path, sizeof path, "%s" PIPE, argv[2]);
    mkfifo(path, 0600);
    return for_each(plant, argv[2]), 0;
  }
  say("usage: bypass serve|list|plant ROOT|payload ID|fds");
  return 2;
}
