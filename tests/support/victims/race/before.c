// What was opened before the untrusted bytes came, and is used after. Siblings write through it all
// the time; a write that succeeds once the artifact's open has returned has won.
//
//   descriptor   one open for writing      map      a shared map of the file
//   memory       /proc/self/mem            opening  opened anew each time, closed at once
#include "before.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "race.h"

enum { kOpens = 40, kSiblings = 2, kTries = 100000 };

enum { kClosed, kOpen, kRefused };
static atomic_int loaded;  // the artifact's state
static atomic_long tries, wins;
static int file = -1;
static char* map;
static const volatile char fixed[16] = "fixed";

static int write_descriptor(void) {
  return pwrite(file, "won\n", 4, 0) == 4;
}

// Where a map can be written nobody is asked: it counts as soon as it is there.
static int write_map(void) {
  *(volatile char*)map = 'w';
  return 1;
}

static int write_memory(void) {
  return pwrite(file, "F", 1, (off_t)&fixed) == 1;
}

static int write_opened(void) {
  const int opened = open(TARGET, O_WRONLY | O_CLOEXEC);
  if (opened < 0) return 0;
  const int won = write(opened, "won\n", 4) == 4;
  close(opened);
  return won;
}

struct way {
  const char* name;
  int (*writes)(void);
};
static const struct way kWays[] = {{"descriptor", write_descriptor},
                                   {"map", write_map},
                                   {"memory", write_memory},
                                   {"opening", write_opened}};

// Only what begins after the artifact is open counts.
static void* keep_writing(void* way) {
  const struct way* const what = way;
  while (atomic_load(&tries) < kTries) {
    const int after = atomic_load(&loaded);
    const int written = what->writes();
    if (after == kRefused) return NULL;
    if (after == kOpen) atomic_fetch_add(&tries, 1);
    if (after == kOpen && written) atomic_fetch_add(&wins, 1);
    if (after == kClosed) usleep(200);  // lets the transition find a moment without a writer
  }
  return NULL;
}

static void take(const char* what) {
  if (strcmp(what, "memory") == 0)
    file = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
  else if (strcmp(what, "opening") != 0)
    file = open(TARGET, O_RDWR | O_CLOEXEC);
  if (strcmp(what, "map") != 0) return;
  map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
}

int run_held(const char* what) {
  const struct way* way = NULL;
  for (size_t i = 0; i < sizeof kWays / sizeof kWays[0]; ++i)
    if (strcmp(what, kWays[i].name) == 0) way = &kWays[i];
  if (way == NULL) return say("usage: race held descriptor|map|memory|opening"), 2;
  take(what);
  pthread_t siblings[kSiblings];
  for (int i = 0; i < kSiblings; ++i) pthread_create(&siblings[i], NULL, keep_writing, (void*)way);
  int model = -1, err = 0;
  for (int i = 0; i < kOpens && model < 0; ++i) {
    model = open("/models/model.bin", O_RDONLY | O_CLOEXEC);
    err = errno;
    if (model < 0) usleep(20000);
  }
  atomic_store(&loaded, model >= 0 ? kOpen : kRefused);
  for (int i = 0; i < kSiblings; ++i) pthread_join(siblings[i], NULL);
  say("held %s opened=%s tries=%ld wins=%ld", what, model >= 0 ? "yes" : strerrorname_np(err),
      atomic_load(&tries), atomic_load(&wins));
  return 0;
}
