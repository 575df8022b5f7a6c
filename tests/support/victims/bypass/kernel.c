// Changing the rules or the machine. What must not come true in a test is called with arguments the
// kernel refuses after it has looked at the privilege: whoever gets that far has got through.
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <mqueue.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bypass.h"

// Calls that only some architectures have, and that most kernels have no more.
#ifndef SYS_uselib
#define SYS_uselib -1
#define SYS_ustat -1
#define SYS__sysctl -1
#define SYS_iopl -1
#define SYS_ioperm -1
#endif

static int absent_unless(long number, long result) {
  if (number < 0) return ABSENT;
  return reached(result);
}

static int bpf_map(void) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = attributes.value_size = 4;
  attributes.max_entries = 1;
  return close_or_errno(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes));
}

static int bpf_query(void) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  return reached(syscall(SYS_bpf, BPF_PROG_GET_NEXT_ID, &attributes, sizeof attributes));
}

static int perf(void) {
  struct perf_event_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_TASK_CLOCK;
  attributes.exclude_kernel = 1;
  return close_or_errno(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
}

#define REACHES(name, ...)                \
  static int name(void) {                 \
    return reached(syscall(__VA_ARGS__)); \
  }
REACHES(kexec, SYS_kexec_load, 0, 99, NULL, 0xffff0000UL)
REACHES(kexec_file, SYS_kexec_file_load, -1, -1, 0, NULL, 0xff00UL)
REACHES(module_init, SYS_init_module, "", 0, "")
REACHES(module_file, SYS_finit_module, -1, "", 0)
REACHES(module_delete, SYS_delete_module, "moat_no_such", O_NONBLOCK)
REACHES(swap_on, SYS_swapon, "/data/no-such", 0)
REACHES(swap_off, SYS_swapoff, "/data/no-such")
REACHES(restart, SYS_reboot, 1, 2, 3, NULL)
REACHES(quota, SYS_quotactl, 0x80000100U, NULL, 0, NULL)
REACHES(quota_fd, SYS_quotactl_fd, -1, 0, 0, NULL)
REACHES(dcookie, SYS_lookup_dcookie, 1UL, NULL, 0)
REACHES(system_log, SYS_syslog, 10 /* size of the buffer */, NULL, 0)
REACHES(set_clock, SYS_settimeofday, (void*)1, NULL)
REACHES(set_clock_time, SYS_clock_settime, 99, NULL)
REACHES(set_domain, SYS_setdomainname, "", -1)
REACHES(watch_init, SYS_fanotify_init, 0x4U, O_RDWR)
REACHES(watch_mark, SYS_fanotify_mark, -1, 1, 1UL, AT_FDCWD, "/")
REACHES(key_request, SYS_request_key, "user", "moat", NULL, 0)

static int port_level(void) {
  return absent_unless(SYS_iopl, syscall(SYS_iopl, 3));
}

static int port_bits(void) {
  return absent_unless(SYS_ioperm, syscall(SYS_ioperm, 0x80, 1, 1));
}

static int old_library(void) {
  return absent_unless(SYS_uselib, syscall(SYS_uselib, "/bin/sh"));
}

static int old_stat(void) {
  char buffer[64];
  struct stat of;
  if (stat("/", &of) != 0) return errno;
  return absent_unless(SYS_ustat, syscall(SYS_ustat, (unsigned)of.st_dev, buffer));
}

static int old_sysctl(void) {
  return absent_unless(SYS__sysctl, syscall(SYS__sysctl, NULL));
}

// Of this container's processes only: accounting is a thing of PID namespaces.
static int account(void) {
  const int file = open("/tmp/accounts", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  close(file);
  const long result = syscall(SYS_acct, "/tmp/accounts");
  const int err = errno_unless(result == 0);
  if (result == 0) syscall(SYS_acct, NULL);
  return err;
}

static int fault_handler(void) {
  return close_or_errno(syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY));
}

static int memory_secret(void) {
  return close_or_errno(syscall(SYS_memfd_secret, 0));
}

static int key_ring(void) {
  return errno_unless(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1) > 0);
}

static int key_add(void) {
  return errno_unless(syscall(SYS_add_key, "user", "moat", "x", 1, KEY_SPEC_PROCESS_KEYRING) > 0);
}

static int queue(void) {
  char name[64];
  strcat(strcpy(name, "/"), run_id());
  const mqd_t made = mq_open(name, O_RDWR | O_CREAT, 0600, NULL);
  if (made < 0) return errno == ENOSYS ? ABSENT : errno;
  return errno_unless(mq_unlink(name) == 0);
}

static int host_name(void) {
  return errno_unless(sethostname(run_id(), strlen(run_id())) == 0);
}

struct attempts kernel_attempts(void) {
  static const struct attempt list[] = {
      {"bpf_map", bpf_map, 0, 0},
      {"bpf_query", bpf_query, 0, 0},
      {"perf", perf, 0, 0},
      {"kexec", kexec, 0, 0},
      {"kexec_file", kexec_file, 0, 0},
      {"module_init", module_init, 0, 0},
      {"module_file", module_file, 0, 0},
      {"module_delete", module_delete, 0, 0},
      {"swap_on", swap_on, 0, 0},
      {"swap_off", swap_off, 0, 0},
      {"restart", restart, 0, 0},
      {"quota", quota, 0, 0},
      {"quota_fd", quota_fd, 0, 0},
      {"dcookie", dcookie, 0, 0},
      {"system_log", system_log, 0, 0},
      {"set_clock", set_clock, 0, 0},
      {"set_clock_time", set_clock_time, 0, 0},
      {"set_domain", set_domain, 0, 0},
      {"watch_init", watch_init, 0, 0},
      {"watch_mark", watch_mark, 0, 0},
      {"key_request", key_request, 0, 0},
      {"port_level", port_level, 0, 0},
      {"port_bits", port_bits, 0, 0},
      {"old_library", old_library, 0, 0},
      {"old_stat", old_stat, 0, 0},
      {"old_sysctl", old_sysctl, 0, 0},
      {"account", account, 0, 0},
      {"fault_handler", fault_handler, 0, 0},
      {"memory_secret", memory_secret, 0, 0},
      {"key_ring", key_ring, 0, 0},
      {"key_add", key_add, 0, 0},
      {"queue", queue, 0, 0},
      {"host_name", host_name, 0, 0},
  };
  return ATTEMPTS(list);
}
