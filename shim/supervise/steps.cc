#include "shim/supervise/steps.h"

#include <memory>
#include <utility>

namespace moat::shim {

namespace {

struct Procedure : std::enable_shared_from_this<Procedure> {
  std::vector<Step> steps;
  Step::Done done;
  Error failure;

  void act(std::size_t at) {
    if (at == steps.size()) return done({});
    steps[at].act([self = shared_from_this(), at](Status status) {
      if (status) return self->act(at + 1);
      self->failure = Error(std::move(status.error())).in(self->steps[at].name);
      self->undo(at + 1);
    });
  }

  void undo(std::size_t left) {
    if (left == 0) return done(fail(Error(failure)));
    const Step& step = steps[left - 1];
    if (!step.undo) return undo(left - 1);
    step.undo([self = shared_from_this(), left](const Status& status) {
      if (!status)
        self->failure.what +=
            "; " + self->steps[left - 1].name + " could not be undone: " + status.error().what;
      self->undo(left - 1);
    });
  }
};

}  // namespace

void perform(std::vector<Step> steps, Step::Done done) {
  auto procedure = std::make_shared<Procedure>();
  procedure->steps = std::move(steps);
  procedure->done = std::move(done);
  procedure->act(0);
}

}  // namespace moat::shim
