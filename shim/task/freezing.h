// Pause and Resume of a whole container, through whoever manages its cgroup; Update, through the
// runtime.
#pragma once

#include <memory>
#include <string>

#include "shim/task/tasks.h"
#include "shim/ttrpc/call.h"

namespace moat::shim {

void pause_container(Tasks& tasks, const std::shared_ptr<Container>& container, ttrpc::Call call);
void resume_container(Tasks& tasks, const std::shared_ptr<Container>& container, ttrpc::Call call);

// `resources`: a JSON document, LinuxResources of the OCI runtime specification.
void update_container(Tasks& tasks, const std::shared_ptr<Container>& container,
                      std::string resources, ttrpc::Call call);

}  // namespace moat::shim
