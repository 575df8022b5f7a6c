// What a long-lived process gives back once it has begun to wait.
#pragma once

#include "oci/loop.h"

namespace moat::oci {

// Returns free heap to the system and unmaps the program's own code: reading configurations runs
// through megabytes of it, once, and the kernel maps sixteen pages where one is asked for. What is
// used again is mapped again from the page cache, for less than a microsecond a page.
void let_go_of_memory();

// Does so a second after it was asked for, when what was begun runs or has ended; once, however
// often it was asked for meanwhile. Does not outlive the loop's callbacks.
class Settling {
 public:
  explicit Settling(Loop& loop) : loop_(loop) {}
  void begin();

 private:
  Loop& loop_;
  bool begun_ = false;
};

// One arena, and what is freed goes back to the system early. For a process with one busy thread,
// before it allocates much.
void keep_heap_small();

}  // namespace moat::oci
