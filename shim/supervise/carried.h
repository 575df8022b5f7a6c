// What the processes of a container hold from before that a new boundary would not give them: no
// mount, mark or program reaches what is open or mapped already. Sockets are in connections.h.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "policies/policy.h"
#include "shim/supervise/mount_table.h"

namespace moat::shim {

struct Carried {
  enum class Kind : char {
    Memory = 'M',   // /proc/PID/mem: all of a process, past every mapping's protection
    Program = 'P',  // a memory file that can be executed
    Queue = 'Q',    // a message queue
    Device = 'D',
    Map = 'W',      // shared and writable
    Strange = 'S',  // a file of a mount that the container does not have
  };
  Kind kind = Kind::Strange;
  bool writable = false;
  pid_t pid = 0;
  std::string comm, name;
};

// Between the process that looks and the one that judges: a line each. Names are made plain.
std::string to_line(const Carried& carried);
std::vector<Carried> from_lines(std::string_view text);

// Bounded, in what is looked at and in what is told. May wait for a process whose memory is busy.
std::vector<Carried> carried_by(const std::vector<pid_t>& processes,
                                const std::vector<MountEntry>& mounts);

// Those the boundary does not give. A process's memory open for writing is a way around it: `why`
// then says so, and it must not begin.
struct CarriedJudgement {
  std::string danger;  // empty: none
  std::string told;    // the others, for a report; empty: none
};
CarriedJudgement judge(const std::vector<Carried>& all, const policies::Boundary& boundary);

}  // namespace moat::shim
