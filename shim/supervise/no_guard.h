// Supervises nothing: what the Task service is tested with, and what mode `off` amounts to.
#pragma once

#include "shim/supervise/guard.h"

namespace moat::shim {

class NoGuard : public Guard {
 public:
  Result<std::unique_ptr<Guarded>> prepare(const NewContainer&) override { return nullptr; }
  void use(GuardActions) override {}
};

}  // namespace moat::shim
