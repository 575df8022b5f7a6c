// One process of a container: its first (init) or one made by exec.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "oci/fd.h"
#include "oci/loop.h"
#include "shim/proto/task.pb.h"
#include "shim/task/state.h"
#include "shim/task/stdio.h"
#include "shim/task/turnstile.h"
#include "shim/ttrpc/call.h"

namespace moat::shim {

struct ExitRecord {
  std::uint32_t status = 0;
  std::int64_t seconds = -62135596800;  // Go's zero time: what clients see while it has not exited
  std::int32_t nanos = 0;
};

void fill(moat::wire::Timestamp& time, const ExitRecord& exit);

class Process {
 public:
  Process(oci::Loop& loop, std::string name, StdioPaths stdio_paths)
      : id(std::move(name)), paths(std::move(stdio_paths)), turnstile(loop) {}

  const std::string id;  // the exec's, or the container's for its init
  const StdioPaths paths;
  State state = State::Created;
  pid_t pid = 0;
  UniqueFd pidfd;  // from when the runtime told us its pid until it was reaped
  ExitRecord exit;
  std::unique_ptr<Stdio> stdio;
  bool stdin_closed = false;  // CloseIO may come before there is any stdin
  std::string spec;           // of an exec: its process document
  Turnstile turnstile;

  // Answered at its exit, or now if it has exited or can never start.
  void wait(ttrpc::Call call);
  void set_exited(const ExitRecord& record);
  void set_unstartable();

  void close_stdin();

  // From when on the runtime is told to start it until its exit is told.
  [[nodiscard]] bool live() const { return state != State::Created && state != State::Stopped; }

 private:
  void answer_waiting();
  [[nodiscard]] std::string wait_response() const;

  bool unstartable_ = false;
  std::vector<ttrpc::Call> waiting_;
};

}  // namespace moat::shim
