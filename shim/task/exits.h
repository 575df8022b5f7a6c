// From a process's end to its one exit event. A process is watched through its pidfd, and only once
// its start has been told: so no exit can overtake its start, and no pid can be mistaken.
#pragma once

#include <memory>

#include "oci/loop.h"
#include "shim/events/publisher.h"
#include "shim/reaper.h"
#include "shim/task/container.h"

namespace moat::shim {

class Exits {
 public:
  Exits(oci::Loop& loop, EventSink& events, Reaper& reaper)
      : loop_(loop), events_(events), reaper_(reaper) {}

  // Takes over a process the runtime has just made: `pid_file` is read, its pid held.
  Status adopt(Process& process, const std::string& pid_file);

  // Its end is noticed from now on (also when it is in the past), respectively not any more.
  void arm(const std::shared_ptr<Container>& container, const std::shared_ptr<Process>& process);
  void disarm(const Process& process);

  // Lets go of a process that never came to be a part of a container.
  void discard(Process& process);

  // Init's exit is told once no exec is live. Called when that may have become so.
  void settle(Container& container);

 private:
  void ended(const std::shared_ptr<Container>& container, const std::shared_ptr<Process>& process);
  void tell(const Container& container, Process& process, const ExitRecord& record);

  oci::Loop& loop_;
  EventSink& events_;
  Reaper& reaper_;
};

}  // namespace moat::shim
