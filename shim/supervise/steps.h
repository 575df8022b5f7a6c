// A procedure as a list: one step after the other, and back again when one of them fails. What a
// container is told of is all of it or nothing.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "policies/result.h"

namespace moat::shim {

struct Step {
  using Done = std::function<void(Status)>;

  std::string name;  // what a failure's text begins with
  std::function<void(Done)> act;
  std::function<void(Done)> undo;  // also of a step that failed half way; empty: nothing to undo
};

// `done` is called once: when the last step has ended well, or when everything up to and with the
// one that failed has been undone, last first. An undo that fails does not keep the others from
// being undone; the text says so.
void perform(std::vector<Step> steps, Step::Done done);

}  // namespace moat::shim
