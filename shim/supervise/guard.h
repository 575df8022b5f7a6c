// What the Task service asks of supervision. The service knows nothing else of it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>

#include "policies/result.h"

namespace moat::shim {

// What is known of a container when its creation is asked for; the root file system is mounted at
// `<bundle>/rootfs` by then.
struct NewContainer {
  std::string ns;  // containerd namespace
  std::string id;
  std::string bundle;  // absolute path
  std::string runtime_binary;
};

// One supervised container. Destroyed after its deletion: everything it made is gone then.
class Guarded {
 public:
  virtual ~Guarded() = default;

  // The runtime has created the container: marks are placed. An error says why it must not live.
  virtual Status created(pid_t init) = 0;

  // The runtime has started it; `done` is called once its listener is answered (crun hands it over
  // only now), or with the reason why the container must not live.
  virtual void started(std::function<void(Status)> done) = 0;

  // An exec is started by a process of the runtime's, or its start has failed or ended (`pid` 0:
  // failed).
  virtual void session_starting(const std::string& exec_id, pid_t runtime) = 0;
  virtual void session_started(const std::string& exec_id, pid_t pid) = 0;

  // The runtime has updated it, or it goes on after a pause: what that may have undone is put back,
  // or the container is ended (see GuardActions).
  virtual void changed() = 0;

  // A signal is about to be sent to init; `then` is called once the phase it leads to is in force
  // (bounded: it is called in any case).
  virtual void signalling(int signal, std::function<void()> then) = 0;
};

// What supervision does to a container by the service's means: clients see it as if they had done
// it themselves.
struct GuardActions {
  std::function<void(const std::string& id)> kill;    // at once: nothing may run unanswered
  std::function<void(const std::string& id)> freeze;  // for forensics; a client may resume or kill
};

class Guard {
 public:
  virtual ~Guard() = default;

  // Decides whether the container is supervised and rewrites its config.json. Returns null when it
  // is not (mode off, a pod's sandbox). An error fails the creation with its text.
  virtual Result<std::unique_ptr<Guarded>> prepare(const NewContainer& container) = 0;

  // Called once by the service, before any container is prepared.
  virtual void use(GuardActions actions) = 0;
};

}  // namespace moat::shim
