#include "shim/task/process.h"

namespace moat::shim {

void fill(moat::wire::Timestamp& time, const ExitRecord& exit) {
  time.set_seconds(exit.seconds);
  time.set_nanos(exit.nanos);
}

void Process::wait(ttrpc::Call call) {
  if (state == State::Stopped || unstartable_) return call.ok(wait_response());
  // A client that waits with a deadline comes again and again over a container's months.
  std::erase_if(waiting_, [](const ttrpc::Call& waiting) { return !waiting.wanted(); });
  waiting_.push_back(std::move(call));
}

void Process::set_exited(const ExitRecord& record) {
  state = State::Stopped;
  exit = record;
  answer_waiting();
}

void Process::set_unstartable() {
  state = State::Created;
  unstartable_ = true;
  answer_waiting();
}

void Process::close_stdin() {
  stdin_closed = true;
  if (stdio) stdio->close_stdin();
}

void Process::answer_waiting() {
  for (ttrpc::Call& call : std::exchange(waiting_, {})) call.ok(wait_response());
}

std::string Process::wait_response() const {
  containerd::task::WaitResponse response;
  response.set_exit_status(exit.status);
  fill(*response.mutable_exited_at(), exit);
  return response.SerializeAsString();
}

}  // namespace moat::shim
