// Pause and Resume of a whole container, through whoever manages its cgroup; Update, through the
// runtime.
#pragma once

#include <memory>
#include <string>

#include "shim/task/tasks.h"
#include "shim/ttrpc/call.h"

namespace moat::shim {

// Decides who manages the container's cgroup: systemd, where the container is a unit of it and it
// can be reached.
void manage_cgroup(Tasks& tasks, Container& container);

void pause_container(Tasks& tasks, const std::shared_ptr<Container>& container, ttrpc::Call call);
void resume_container(Tasks& tasks, const std::shared_ptr<Container>& container, ttrpc::Call call);

// `resources`: a JSON document, LinuxResources of the OCI runtime specification.
void update_container(Tasks& tasks, const std::shared_ptr<Container>& container,
                      std::string resources, ttrpc::Call call);

}  // namespace moat::shim
