// Who moves a process into a cgroup takes a lock of the whole machine for writing, and such a
// writer first waits for an RCU grace period: ten milliseconds with CONFIG_HZ=250, a third of a
// runtime's exec. Only the first waits: for about as long again the lock's readers stay on their
// slow path.
#pragma once

#include <atomic>
#include <memory>

namespace moat::shim {

class Migration {
 public:
  // A runtime is about to start that will move a process: the grace period begins now, and has
  // passed by the time the runtime gets that far. A thread waits for it; losing it costs time only.
  void expect();

 private:
  // One thread is enough for all that start meanwhile; it may outlive us.
  std::shared_ptr<std::atomic<bool>> waiting_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace moat::shim
