// What the hostile model server tries. One table; the scripts print it with `model_server list`.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace moat::victim {

inline constexpr auto kSecret = "/root/.ssh/id_rsa";
inline constexpr std::uint16_t kCanaryPort = 9999;   // TCP and UDP, on the loopback interface
inline constexpr std::uint16_t kAllowedPort = 9998;  // where nobody listens
inline constexpr auto kNodeSocket = "/run/node/log.sock";
inline constexpr auto kOtherSocket = "/run/node/other.sock";
inline constexpr auto kCanaryName = "moat-canary";  // abstract unix stream socket; "-d": datagrams

// Which of an attempt's runs this is: attempts are made in several phases and places, and each run
// has targets of its own, so that its effect can be told from outside.
struct Run {
  std::string name;  // of the attempt
  std::string tag;   // "load", "serve-thread"

  [[nodiscard]] std::string id() const { return name + "." + tag; }
  [[nodiscard]] std::string target() const { return "/data/" + id(); }
  [[nodiscard]] std::string scratch() const { return "/tmp/" + id(); }
};

// What lies at /data/ID before the server starts.
enum class Planted : std::uint8_t { Nothing, File, Folder };

struct Attempt {
  const char* name;  // at most 15 characters: it becomes the thread's name, and so is in reports
  // What `enforce` reports: "process.exec", ...; or "filter": refused there, reported only by
  // `audit`, as "filter:filesystem.read" by another name; "silent": refused by filter or mount,
  // reported by nobody; "abi": kills the caller.
  const char* rule;
  // How its success shows outside: "file" at its target, "says" on standard output, "canary", or
  // "-": only in its result, and not on every machine.
  const char* effect;
  Planted planted;
  int (*run)(const Run& run);  // 0, an errno, or a signal's negative number
};

std::span<const Attempt> exec_attempts();
std::span<const Attempt> file_attempts();
std::span<const Attempt> entry_attempts();
std::span<const Attempt> read_attempts();
std::span<const Attempt> network_attempts();
int stay_connected();  // to the canary, for good
// Each by its name only: they need what only some scripts prepare, or win by chance.
std::span<const Attempt> special_network_attempts();
std::span<const Attempt> system_attempts();
std::span<const Attempt> special_attempts();  // each by its name only

// What every server may do; a failure of one of these is a failure of the supervisor.
struct Honest {
  const char* name;
  int (*run)(const Run& run);
};
std::span<const Honest> honest_actions();

// Before the artifact: "connect" (stuck), "slow-connect", "memfd", "queue". 0 or an errno.
int hold_in_init(const std::string& what);
void let_go();

// Descriptors a server can have before it reads any untrusted byte.
struct Held {
  int root_ssh = -1;       // O_PATH folder
  int data = -1;           // O_RDONLY folder
  int data_file = -1;      // O_RDONLY file in it
  int secret_opath = -1;   // O_PATH
  int udp = -1, tcp = -1;  // unconnected
  int program = -1;        // this one's file
  int node = -1;           // O_PATH, a device's
};
const Held& held();
void take_held();

// Runs `body` in a child of its own; its result, or the signal that killed it.
int in_child(const std::function<int()>& body);
int errno_unless(bool ok);  // 0 or errno
void say(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace moat::victim
