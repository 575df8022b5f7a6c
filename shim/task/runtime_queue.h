// The runtime's processes of one shim: started one a turn of the loop and not all at once. Starting
// a process stops the loop until it runs; a hundred execs at once stopped it for two seconds on a
// busy machine with two cores, and containerd gives up on State after two.
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "oci/loop.h"
#include "oci/runc.h"
#include "shim/cgroups/migration.h"
#include "shim/reaper.h"

namespace moat::shim {

class RuntimeQueue {
 public:
  RuntimeQueue(oci::Loop& loop, Reaper& reaper);
  ~RuntimeQueue() { *alive_ = false; }
  RuntimeQueue(const RuntimeQueue&) = delete;
  RuntimeQueue& operator=(const RuntimeQueue&) = delete;

  // Runs the runtime, in order of the calls; strangers are not reaped meanwhile.
  void run(oci::RuncCall call, std::function<void(Status)> done);

 private:
  struct Waiting {
    oci::RuncCall call;
    std::function<void(Status)> done;
  };
  void start_next();
  void start(Waiting waiting);

  oci::Loop& loop_;
  Reaper& reaper_;
  Migration migration_;
  const std::size_t limit_;
  std::size_t busy_ = 0;
  bool posted_ = false;
  std::deque<Waiting> waiting_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace moat::shim
