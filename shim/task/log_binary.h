// A logging program that reads a container's output: binary:// and binary-v2:// URIs.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "oci/loop.h"
#include "oci/spawn.h"
#include "shim/reaper.h"
#include "shim/task/stdio_target.h"

namespace moat::shim {

class LogBinary : public std::enable_shared_from_this<LogBinary> {
 public:
  struct Place {
    oci::Loop& loop;
    Reaper& reaper;
    std::string ns, container_id;  // all the program is told
  };

  // The program gets `out` as 3 and `err` as 4, the reading ends of the container's streams, and
  // the pipe it tells its readiness by as 5. It lives on by itself until it ends or stop() is over.
  static Result<std::shared_ptr<LogBinary>> start(const Place& place, const StdioTarget& target,
                                                  int out, int err);

  // `done` is called once: when it is ready to read, or will not be. Bounded.
  void when_ready(std::function<void(Status)> done);

  // `done` is called when it has ended, now if it has. It ends by itself once the streams do.
  void when_gone(std::function<void()> done);
  [[nodiscard]] bool gone() const { return !child_.pidfd.valid(); }

  // Asks it to end; after a while it is made to.
  void stop();

 private:
  LogBinary(const Place& place, const StdioTarget& target)
      : loop_(place.loop),
        reaper_(place.reaper),
        path_(target.path),
        ready_byte_(target.ready_byte) {}
  Status watch();
  void on_ready();
  void on_exit();
  void settle(Status ready);

  oci::Loop& loop_;
  Reaper& reaper_;
  std::string path_;
  bool ready_byte_;
  oci::Child child_;
  UniqueFd ready_;
  bool settled_ = false;
  Status outcome_;
  oci::Loop::TimerId deadline_ = 0, kill_ = 0;
  std::function<void(Status)> when_ready_;
  std::function<void()> when_gone_;
};

}  // namespace moat::shim
