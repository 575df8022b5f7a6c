// What tools ask a running shim: moat.control.v1.Control on the Task service's socket.
#pragma once

#include <string>

#include "shim/supervise/supervised_guard.h"
#include "shim/ttrpc/service.h"

namespace moat::shim {

class Control {
 public:
  Control(SupervisedGuard& guard, std::string ns) : guard_(guard), namespace_(std::move(ns)) {}
  void register_in(ttrpc::Registry& registry);

 private:
  void list(ttrpc::Call call);
  SupervisedGuard& guard_;
  std::string namespace_;
};

}  // namespace moat::shim
