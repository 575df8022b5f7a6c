// The Task service: which method does what. Versions 2 and 3 are the same service by two names.
#pragma once

#include <string>

#include "shim/proto/task.pb.h"
#include "shim/task/tasks.h"
#include "shim/ttrpc/service.h"

namespace moat::shim {

class TaskService {
 public:
  // `shutdown` is called when a client asks for it and nothing is left to serve.
  TaskService(Tasks& tasks, std::function<void()> shutdown);

  void register_in(ttrpc::Registry& registry);

 private:
  void create(ttrpc::Call call, containerd::task::CreateTaskRequest request);
  void start(ttrpc::Call call, const containerd::task::StartRequest& request);
  void remove(ttrpc::Call call, const containerd::task::DeleteRequest& request);
  void exec(ttrpc::Call call, const containerd::task::ExecProcessRequest& request);
  void state(ttrpc::Call call, const containerd::task::StateRequest& request);
  void wait(ttrpc::Call call, const containerd::task::WaitRequest& request);
  void kill(ttrpc::Call call, const containerd::task::KillRequest& request);
  void close_io(ttrpc::Call call, const containerd::task::CloseIORequest& request);
  void resize(ttrpc::Call call, const containerd::task::ResizePtyRequest& request);
  void pids(ttrpc::Call call, const containerd::task::PidsRequest& request);
  void pause(ttrpc::Call call, const containerd::task::PauseRequest& request);
  void resume(ttrpc::Call call, const containerd::task::ResumeRequest& request);
  void update(ttrpc::Call call, const containerd::task::UpdateTaskRequest& request);
  void stats(ttrpc::Call call, const containerd::task::StatsRequest& request);
  void checkpoint(ttrpc::Call call, const containerd::task::CheckpointTaskRequest& request);
  void connect(ttrpc::Call call, const containerd::task::ConnectRequest& request);
  void shut_down(ttrpc::Call call, const containerd::task::ShutdownRequest& request);

  Tasks& tasks_;
  std::function<void()> shutdown_;
};

}  // namespace moat::shim
