// Kill: straight to the kernel, by descriptor. The runtime is not started for it.
#pragma once

#include <memory>

#include "shim/task/tasks.h"
#include "shim/ttrpc/call.h"

namespace moat::shim {

struct Signal {
  int number = 0;
  bool all = false;  // every process of the container; ignored for an exec
};

void kill_init(const std::shared_ptr<Container>& container, Signal signal, ttrpc::Call call);
void kill_exec(const std::shared_ptr<Process>& exec, Signal signal, ttrpc::Call call);

}  // namespace moat::shim
