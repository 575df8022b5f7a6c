// Checkpoint: CRIU through the runtime, for containers nobody supervises.
#pragma once

#include <memory>

#include "shim/proto/task.pb.h"
#include "shim/task/tasks.h"
#include "shim/ttrpc/call.h"

namespace moat::shim {

void checkpoint_container(Tasks& tasks, const std::shared_ptr<Container>& container,
                          const containerd::task::CheckpointTaskRequest& request, ttrpc::Call call);

}  // namespace moat::shim
