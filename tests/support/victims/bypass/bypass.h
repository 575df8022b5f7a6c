// What native code in a served model can try to get around its boundary, one function a try. Each
// is judged by its effect: a file is there, a program ran, a byte was read, memory of another
// changed.
#pragma once

#include <stddef.h>
#include <sys/types.h>

#define SECRET "/root/.ssh/id_rsa"
#define PIPE "/agent"             // a named one
#define LISTENER "/tmp/listener"  // a socket's file, and who listens there is the first process
#define CANARY_PORT 9999
#define CANARY_NAME "moat-canary"

enum { ABSENT = 255 };  // this machine has no such thing; no errno is as high

struct attempt {
  const char* name;  // at most 15 characters: it becomes the thread's name, and so is in reports
  int (*run)(void);  // 0: it had its effect; an errno; ABSENT
  // What lies at its target before the server starts: 'f' a file, 'd' a folder, 0 nothing.
  char planted;
  // 's': only in `serve`, where the test's policy refuses what it allows in `load`.
  char when;
};

struct attempts {
  const struct attempt* list;
  size_t count;
};

struct attempts ring_attempts(void);
struct attempts abi_attempts(void);
struct attempts program_attempts(void);
struct attempts map_attempts(void);
struct attempts process_attempts(void);
struct attempts space_attempts(void);
struct attempts mount_attempts(void);
struct attempts kernel_attempts(void);
struct attempts device_attempts(void);
struct attempts family_attempts(void);
struct attempts network_attempts(void);
struct attempts file_attempts(void);
struct attempts entry_attempts(void);
struct attempts read_attempts(void);

#define ATTEMPTS(list) ((struct attempts){list, sizeof(list) / sizeof((list)[0])})

// Which attempt this process makes, and where its traces are to be.
const char* target(void);   // outside every writable place
const char* scratch(void);  // in one
const char* run_id(void);   // "NAME.PHASE"
int in_phase(const char* phase);

// What a server can have before it reads an untrusted byte.
struct held {
  int data, data_file, root_ssh, secret, program;  // folder, file, O_PATH folder, O_PATH, its own
  int udp, udp_connected, tcp_connected, unix_datagram;
  int pipe;        // both ends of PIPE
  int tcp[6];      // unconnected, one for each that uses one up
  pid_t stranger;  // another process of the container, no child of the attempt's
};
extern struct held held;
void take_held(void);
int signals_taken(void);  // by the stranger and the first process, since they began

int errno_unless(int ok);  // 0, or errno
int close_or_errno(long fd);
int exists(const char* path);
// 0 if the call got past every permission; for calls that a test must not let come true.
int reached(long result);
int in_child(int (*body)(void));
int copy_program(int to);
char* const* payload_arguments(void);  // of this program: says that it runs
int copied_to(const char* path);       // this program
int tells_secret(int fd);              // says what was read
void say(const char* format, ...) __attribute__((format(printf, 1, 2)));
