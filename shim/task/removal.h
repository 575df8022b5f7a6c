// Delete: of an exec, and of a whole container.
#pragma once

#include <memory>

#include "shim/task/tasks.h"
#include "shim/ttrpc/call.h"

namespace moat::shim {

void delete_container(Tasks& tasks, const std::shared_ptr<Container>& container, ttrpc::Call call);

void delete_exec(Tasks& tasks, const std::shared_ptr<Container>& container,
                 const std::shared_ptr<Process>& exec, ttrpc::Call call);

}  // namespace moat::shim
