// Code that was never part of the image, without starting a program: maps of files from writable
// places, of shared memory, of the process's own pages.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/shm.h>
#include <unistd.h>

#include "bypass.h"

#if defined(__x86_64__)
static const unsigned char kCode[] = {0xb8, 42, 0, 0, 0, 0xc3};  // mov eax, 42; ret
#else
static const unsigned char kCode[] = {0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6};
#endif

static int runs(void* code) {
  int (*function)(void);
  memcpy(&function, &code, sizeof function);
  __builtin___clear_cache((char*)code, (char*)code + sizeof kCode);
  return function() == 42 ? 0 : EIO;
}

static int dropped(const char* path) {
  const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0700);
  return file >= 0 && write(file, kCode, sizeof kCode) == sizeof kCode ? file : -1;
}

static int map_and_run(int file) {
  if (file < 0) return errno;
  void* code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
  return code == MAP_FAILED ? errno : runs(code);
}

static int map_tmp(void) {
  return map_and_run(dropped(scratch()));
}

static int map_shm(void) {
  char path[96];
  snprintf(path, sizeof path, "/dev/shm/%s", run_id());
  return map_and_run(dropped(path));
}

static int map_memfd(void) {
  const int file = memfd_create("code", 0);
  if (file < 0 || write(file, kCode, sizeof kCode) < 0) return errno;
  return map_and_run(file);
}

// Written through one map, made executable afterwards.
static int protect_shared(void) {
  const int file = dropped(scratch());
  if (file < 0) return errno;
  void* code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (code == MAP_FAILED || mprotect(code, 4096, PROT_READ | PROT_EXEC) != 0) return errno;
  return runs(code);
}

static int protect_private(void) {
  const int file = dropped(scratch());
  if (file < 0) return errno;
  void* code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
  if (code == MAP_FAILED || mprotect(code, 4096, PROT_READ | PROT_EXEC) != 0) return errno;
  return runs(code);
}

static int map_tmpfile(void) {
  const int file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0700);
  if (file < 0 || write(file, kCode, sizeof kCode) < 0) return errno;
  return map_and_run(file);
}

// The kernel adds PROT_EXEC to every readable map.
static int read_implies(void) {
  if (personality(READ_IMPLIES_EXEC) < 0) return errno;
  void* code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED) return errno;
  memcpy(code, kCode, sizeof kCode);
  return runs(code);
}

static int no_random(void) {
  if (personality(ADDR_NO_RANDOMIZE) < 0) return errno;
  return errno_unless((personality(0xffffffff) & ADDR_NO_RANDOMIZE) != 0);
}

// A switch of the policy's: compilers at run time need these.
static int anonymous_map(void) {
  void* code =
      mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED) return errno;
  memcpy(code, kCode, sizeof kCode);
  return runs(code);
}

static int anonymous_set(void) {
  void* code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED) return errno;
  memcpy(code, kCode, sizeof kCode);
  return mprotect(code, 4096, PROT_READ | PROT_EXEC) == 0 ? runs(code) : errno;
}

static int segment_exec(void) {
  const int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0700);
  if (id < 0) return errno;
  void* writable = shmat(id, NULL, 0);
  if (writable != (void*)-1) memcpy(writable, kCode, sizeof kCode);
  void* code = shmat(id, NULL, SHM_EXEC);
  const int err = errno;
  shmctl(id, IPC_RMID, NULL);
  return code == (void*)-1 ? err : runs(code);
}

struct attempts map_attempts(void) {
  static const struct attempt list[] = {
      {"map_tmp", map_tmp, 0, 0},
      {"map_shm", map_shm, 0, 0},
      {"map_memfd", map_memfd, 0, 0},
      {"map_tmpfile", map_tmpfile, 0, 0},
      {"protect_shared", protect_shared, 0, 0},
      {"protect_private", protect_private, 0, 0},
      {"read_implies", read_implies, 0, 0},
      {"no_random", no_random, 0, 0},
      {"anonymous_map", anonymous_map, 0, 0},
      {"anonymous_set", anonymous_set, 0, 0},
      {"segment_exec", segment_exec, 0, 0},
  };
  return ATTEMPTS(list);
}
