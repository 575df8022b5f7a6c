// What the shim tells the keeper: one of these a packet, descriptors beside it. Nothing to parse.
#pragma once

#include <cstdint>

namespace moat::shim {

struct KeeperOrder {
  enum class Kind : std::uint32_t {
    Container,   // is there; descriptors: those of its ending
    Listener,    // a seccomp listener of it
    Group,       // its fanotify group
    Forget,      // it is gone: so is all that was said of it
    Supervisor,  // there is a new one; descriptor: its pidfd
  };
  Kind kind = Kind::Container;
  std::uint32_t container = 0;  // its number in the journal
  std::uint32_t number = 0;     // of the listener or group
  std::int32_t err = 0;         // for who waits in vain; 0: it goes on
};

}  // namespace moat::shim
