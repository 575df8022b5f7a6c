// Start: of a created init, and of a process added by Exec.
#pragma once

#include <memory>
#include <string>

#include "shim/task/tasks.h"
#include "shim/ttrpc/call.h"

namespace moat::shim {

void start_init(Tasks& tasks, const std::shared_ptr<Container>& container, ttrpc::Call call);

void start_exec(Tasks& tasks, const std::shared_ptr<Container>& container,
                const std::shared_ptr<Process>& exec, ttrpc::Call call);

}  // namespace moat::shim
