// What the operations of the Task service share: the containers, and the means to act on them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "oci/loop.h"
#include "oci/memory.h"
#include "shim/events/publisher.h"
#include "shim/reaper.h"
#include "shim/supervise/guard.h"
#include "shim/task/container.h"
#include "shim/task/exits.h"
#include "shim/task/mounts.h"
#include "shim/task/runtime_queue.h"

namespace moat::shim {

// An errno's code says what the kernel missed, not what the request was about: a client that reads
// NotFound would take the container for gone.
inline Error as_runtime_error(Error error) {
  if (error.err != 0) error.code = Code::Unknown;
  return error;
}

struct Tasks {
  Tasks(oci::Loop& the_loop, EventSink& sink, Guard& the_guard, Reaper& the_reaper,
        std::string the_namespace)
      : loop(the_loop),
        events(sink),
        guard(the_guard),
        reaper(the_reaper),
        exits(the_loop, sink, the_reaper),
        runtime(the_loop, the_reaper),
        settling(the_loop),
        ns(std::move(the_namespace)) {}

  oci::Loop& loop;
  EventSink& events;
  Guard& guard;
  Reaper& reaper;
  Exits exits;
  RuntimeQueue runtime;
  oci::Settling settling;
  std::string ns;           // containerd's namespace
  RuntimeOptions defaults;  // of the node
  std::map<std::string, std::shared_ptr<Container>> containers;
  std::map<std::string, std::shared_ptr<Container>> creating;
  std::weak_ptr<SystemdBus> systemd;      // while a container of it is here
  std::function<void()> changed = [] {};  // a container came or went

  [[nodiscard]] bool idle() const { return containers.empty() && creating.empty(); }

  [[nodiscard]] Result<std::shared_ptr<Container>> find(const std::string& id) const {
    const auto found = containers.find(id);
    if (found == containers.end()) return fail(Code::NotFound, "container not created: not found");
    return found->second;
  }

  // An empty exec id is the init.
  [[nodiscard]] static Result<std::shared_ptr<Process>> find(const Container& container,
                                                             const std::string& exec_id) {
    if (exec_id.empty()) return container.init;
    const auto found = container.execs.find(exec_id);
    if (found == container.execs.end())
      return fail(Code::NotFound, "process does not exist " + exec_id + ": not found");
    return found->second;
  }

  void run(oci::RuncCall call, std::function<void(Status)> done) {
    runtime.run(std::move(call), std::move(done));
  }

  void mount(const std::string& rootfs, const std::vector<RootfsMount>& mounts,
             std::function<void(Status)> done) {
    auto hold = std::make_shared<Reaper::Hold>(reaper);
    mount_rootfs_async(loop, rootfs, mounts,
                       [hold, done = std::move(done)](Status status) { done(std::move(status)); });
  }

  void unmount(const std::string& rootfs, std::function<void(Status)> done) {
    auto hold = std::make_shared<Reaper::Hold>(reaper);
    unmount_tree_async(loop, rootfs,
                       [hold, done = std::move(done)](Status status) { done(std::move(status)); });
  }
};

}  // namespace moat::shim
