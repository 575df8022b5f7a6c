// Races against whoever checks arguments: a sibling changes what a call is about while it is made.
// A try wins if its effect fell on what the policy refuses, whatever the call returned.
#pragma once

#include <stddef.h>
#include <sys/types.h>

#define SECRET "/root/.ssh/id_rsa"
#define SECOND "/mnt/second/id_rsa"  // the secret, through another mount
#define DECOY "/opt/decoy/open"      // what may be read
#define TARGET "/data/target"        // a file nobody may write
#define PIPE "/data/pipe"            // a named one, of which somebody has the other end
#define KEYS "/root/.ssh/authorized_keys"
#define DECOY_PROGRAM "/bin/decoy"
#define TARGET_PROGRAM "/bin/target"
#ifdef __x86_64__
#define LOADER "/lib64/ld-linux-x86-64.so.2"
#else
#define LOADER "/lib/ld-linux-aarch64.so.1"
#endif

enum { CANARY_PORT = 9997, DECOY_PORT = 9998 };  // the policy names the second only

struct race {
  const char* name;  // at most 15 characters
  void (*prepare)(void);
  void (*flip)(int bad);  // by the sibling, all the time
  int (*attempt)(void);   // whether it won
  int programs;           // a try starts a program: fewer of them
};

struct races {
  const struct race* list;
  size_t count;
};

struct races path_races(void);
struct races entry_races(void);
struct races network_races(void);
struct races program_races(void);
#define RACES(list) ((struct races){list, sizeof(list) / sizeof((list)[0])})

// Which file a descriptor or path is, found out before anybody restricts it.
struct identity {
  dev_t device;
  ino_t inode;
};
struct identity identity_of(const char* path);
int is_same(int fd, struct identity what);
// What the policy allows came true: a race in which that never happens is none.
int decoy(int happened);  // returns 0
extern struct identity secret_file, target_file, keys_file, target_program;
void identify(void);
void remove_links(void);
// By a call that the naive supervisor does not ask about: to prepare what it would refuse.
int open_unasked(const char* path, unsigned flags);
void open_canaries(void);
void open_pipe(void);
int heard(void);  // how much the canaries have heard since the last call

// The arguments of calls live here, in memory that both threads write.
extern char argument[256];
void set_argument(const char* text);

int run_naive(int (*body)(void));  // under a supervisor that reads, checks, and lets go on
void say(const char* format, ...) __attribute__((format(printf, 1, 2)));
