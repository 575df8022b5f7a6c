// Create, step by step; a failure at any step undoes the ones before it.
#pragma once

#include <memory>

#include "shim/proto/task.pb.h"
#include "shim/task/tasks.h"
#include "shim/ttrpc/call.h"

namespace moat::shim {

class Creation : public std::enable_shared_from_this<Creation> {
 public:
  static void begin(Tasks& tasks, ttrpc::Call call, containerd::task::CreateTaskRequest request);
  Creation(Tasks& tasks, ttrpc::Call call, containerd::task::CreateTaskRequest request);

 private:
  Status prepare();
  Status read_spec();
  void mount();
  void mounted(Status status);
  Status find_root() const;
  Status prepare_process();
  void streams_ready(Status status);
  void run_runtime();
  void runtime_done(Status status);
  void take_cgroup(Cgroup cgroup);
  void finish(Status guarded);
  void publish() const;

  // Undoing. The runtime may have left a container behind: it is deleted by force first.
  void undo(Error error, bool runtime_left);
  void undo_mounts();
  void answer_failure();

  Tasks& tasks_;
  ttrpc::Call call_;
  containerd::task::CreateTaskRequest request_;
  std::shared_ptr<Container> container_;
  std::string root_, cgroups_path_;  // as config.json has them
  Error error_;
};

}  // namespace moat::shim
