// What shim and supervisor say to each other: one value a packet, JSON on a SOCK_SEQPACKET pair,
// descriptors beside it. Both ends are ours; the text is still parsed strictly.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "policies/event.h"
#include "policies/policy.h"

namespace moat::hooks {

inline constexpr std::size_t kMaxMessage = 256U << 10;  // a policy document is the largest part

// ---- shim to supervisor

// A container is about to be created. Descriptor: its event file, open for appending.
struct Adopt {
  policies::ContainerInfo container;
  std::string policy_json;  // composed document
  policies::Bindings bindings;
  policies::Mode mode = policies::Mode::Audit;
  std::string policy_digest, policy_source;
  std::uint32_t number = 0;  // names it in the journal, as those below name their descriptors
  // After the loss of a supervisor, whose phase the next one goes on with.
  bool resumed = false;
  policies::Phase phase = policies::Phase::Init;
  bool loading = false;          // the transition to `load` is being carried out
  std::int64_t since_ms = 0;     // monotonic: when the phase began
  std::uint64_t unanswered = 0;  // questions the lost one left
};

// A seccomp listener of the container (session false) or of an exec. Descriptor: the listener.
struct Listen {
  std::string id;
  std::int32_t pid = 0;  // the process that installed the filter
  bool session = false;
  std::string exec_id;  // of a session; empty until SessionStarted if it could not be told
  std::uint32_t number = 0;
  std::uint64_t start_time = 0;  // of that process
  std::string runtime_exe;       // what it ran then: the runtime's init, trusted while it does
};

// The fanotify group of the container; number 0: there is none. Descriptors: the group, and what
// ends the container. Its init runs under `init`.
struct Watch {
  std::string id;
  std::int32_t init = 0;
  std::uint32_t number = 0;
};

// What holds the container's sockets. Descriptors, when there is anything: the programs' state,
// their ring of records.
struct Network {
  std::string id;
  bool holds = false;   // addresses are decided in the kernel: registers may let them through
  std::string problem;  // what is missing, was put back, or must be known of
  bool names = false;   // names of Unix sockets are decided in the kernel likewise
  std::vector<std::string>
      devices{};  // policies::line_of() of the nodes a policy's paths stand for
};

struct SessionStarted {  // names the session that `pid` leads
  std::string id, exec_id;
  std::int32_t pid = 0;
};

struct Entered {  // the transition asked for is in force, or failed with `error`
  std::string id;
  policies::Phase phase = policies::Phase::Init;
  std::string error;
  std::vector<std::string> cut;  // connections of an earlier phase that are no more
};

// All but the supervisor's own decisions follow the phase asked for already: they do from now on,
// and what is to wait for Entered waits. Answered with Ready{ticket}.
struct Settle {
  std::string id;
  policies::Phase phase = policies::Phase::Init;
  std::uint64_t ticket = 0;
};

struct Notice {  // a health event, of what only the shim knows
  std::string id, severity, message;
};

struct Mounted {  // the container's mounts are not what they were at its creation
  std::string id, point, source, fstype;
  bool gone = false;  // taken away
};

struct Signalling {  // a signal is about to be sent to init; answered with Ready{ticket}
  std::string id;
  std::int32_t signal = 0;
  std::uint64_t ticket = 0;
};

struct Forget {
  std::string id;
};

struct Ask {  // answered with Told{ticket}
  std::uint64_t ticket = 0;
};

// ---- supervisor to shim

struct Enter {  // carry out the transition, then say Entered
  std::string id;
  policies::Phase phase = policies::Phase::Init;
};

struct Ready {
  std::uint64_t ticket = 0;
};

struct ContainerStatus {
  std::string id;
  policies::Mode mode = policies::Mode::Audit;
  std::string profile;
  policies::Phase phase = policies::Phase::Init;
  std::int64_t phase_since_ms = 0;
  std::uint64_t violations = 0, would_denies = 0, notifications = 0, open_events = 0;
};

struct Told {
  std::uint64_t ticket = 0;
  std::vector<ContainerStatus> containers;
};

struct Freeze {  // reaction `quarantine`
  std::string id;
};

struct Terminate {  // reaction `terminate`
  std::string id;
};

using Message =
    std::variant<Adopt, Listen, Watch, Network, SessionStarted, Entered, Settle, Notice, Mounted,
                 Signalling, Forget, Ask, Enter, Ready, Told, Freeze, Terminate>;

std::string encode(const Message& message);
Result<Message> decode(std::string_view text);

}  // namespace moat::hooks
