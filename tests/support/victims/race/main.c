//   race run TRIES PROGRAM-TRIES SECONDS WINS    opens /models/model.bin, then races
//   race naive TRIES PROGRAM-TRIES SECONDS WINS  the same under a supervisor that answers CONTINUE
//   race held WHAT                            see before.c
//   race list
//
// A race ends after its tries, or its seconds, or when so many wins are enough; with 0 none are.
// Standard output: "race NAME tries=N decoys=N wins=N".
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "before.h"
#include "race.h"

char argument[256];
struct identity secret_file, target_file, keys_file, target_program;

static struct races (*const kParts[])(void) = {path_races, entry_races, network_races,
                                               program_races};
static int tries, program_tries;
static long decoys;
static int seconds, enough;

void say(const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  const int length = vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  if (length < 0 || length > (int)sizeof line - 2) return;
  line[length] = '\n';
  if (write(STDOUT_FILENO, line, (size_t)length + 1) < 0) _exit(9);
}

struct identity identity_of(const char* path) {
  struct stat of;
  if (stat(path, &of) != 0) return (struct identity){0, 0};
  return (struct identity){of.st_dev, of.st_ino};
}

int is_same(int fd, struct identity what) {
  struct stat of;
  return fd >= 0 && fstat(fd, &of) == 0 && of.st_dev == what.device && of.st_ino == what.inode;
}

int decoy(int happened) {
  decoys += happened;
  return 0;
}

void identify(void) {
  secret_file = identity_of(SECRET);
  target_file = identity_of(TARGET);
  keys_file = identity_of(KEYS);
  target_program = identity_of(TARGET_PROGRAM);
}

// Byte by byte, as a copy that is being read would see it.
void set_argument(const char* text) {
  volatile char* to = argument;
  while ((*to++ = *text++) != '\0') continue;
}

struct flipping {
  const struct race* race;
  atomic_int begun, over;
};

// The moment is drawn anew each time: a fixed rhythm could miss the window for ever.
static void* flip_all_the_time(void* what) {
  struct flipping* flipping = what;
  unsigned random = 1;
  for (int bad = 0; !atomic_load_explicit(&flipping->over, memory_order_relaxed); bad ^= 1) {
    flipping->race->flip(bad);
    atomic_store_explicit(&flipping->begun, 1, memory_order_relaxed);
    random = random * 1664525U + 1013904223U;
    for (volatile unsigned wait = random >> 22; wait > 0; --wait) continue;
  }
  return NULL;
}

static void run_race(const struct race* race) {
  const int count = race->programs ? program_tries : tries;
  long wins = 0;
  decoys = 0;
  prctl(PR_SET_NAME, race->name);
  if (race->prepare != NULL) race->prepare();
  struct flipping flipping = {race, 0, 0};
  pthread_t sibling;
  if (pthread_create(&sibling, NULL, flip_all_the_time, &flipping) != 0) {
    say("race %s has no sibling: %s", race->name, strerror(errno));
    return;
  }
  while (atomic_load(&flipping.begun) == 0) sched_yield();
  const time_t until = time(NULL) + seconds;
  int made = 0;
  for (; made < count && (enough == 0 || wins < enough); ++made) {
    if (made % 64 == 0 && time(NULL) > until) break;
    wins += race->attempt();
  }
  atomic_store(&flipping.over, 1);
  pthread_join(sibling, NULL);
  say("race %s tries=%d decoys=%ld wins=%ld", race->name, made, decoys, wins);
}

static int run_all(void) {
  for (size_t part = 0; part < sizeof kParts / sizeof kParts[0]; ++part) {
    const struct races these = kParts[part]();
    for (size_t i = 0; i < these.count; ++i) run_race(&these.list[i]);
  }
  say("all raced");
  return 0;
}

static int list_all(void) {
  for (size_t part = 0; part < sizeof kParts / sizeof kParts[0]; ++part) {
    const struct races these = kParts[part]();
    for (size_t i = 0; i < these.count; ++i) say("%s", these.list[i].name);
  }
  return 0;
}

// The two programs of program_races are copies of this one.
static int be_program(void) {
  char path[256] = "";
  if (readlink("/proc/self/exe", path, sizeof path - 1) < 0) return -1;
  if (strcmp(path, TARGET_PROGRAM) == 0) return 7;
  return strcmp(path, DECOY_PROGRAM) == 0 ? 0 : -1;
}

int main(int argc, char** argv) {
  const int program = be_program();
  if (program >= 0) return program;
  if (argc > 1 && strcmp(argv[1], "serve") == 0) --argc, ++argv;  // as every server is told
  const char* what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "list") == 0) return list_all();
  identify();
  if (argc == 3 && strcmp(what, "held") == 0) return run_held(argv[2]);
  if (argc != 6) return say("usage: race run|naive TRIES PROGRAM-TRIES SECONDS WINS"), 2;
  tries = atoi(argv[2]);
  program_tries = atoi(argv[3]);
  seconds = atoi(argv[4]);
  enough = atoi(argv[5]);
  open_canaries();
  open_pipe();
  if (strcmp(what, "naive") == 0) return run_naive(run_all);
  const int model = open("/models/model.bin", O_RDONLY | O_CLOEXEC);
  if (model < 0) return say("cannot open the model: %s", strerror(errno)), 3;
  return run_all();
}
