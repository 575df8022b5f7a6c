// The states of a process, and which request each of them refuses with which words. The texts are
// what clients of runc's shim see.
#pragma once

#include <string>
#include <string_view>

#include "policies/result.h"
#include "shim/proto/task.pb.h"

namespace moat::shim {

enum class State { Created, Starting, Running, Pausing, Paused, Stopped };

constexpr containerd::task::Status to_wire(State state) {
  switch (state) {
    case State::Created:
    case State::Starting:
      return containerd::task::CREATED;
    case State::Running:
      return containerd::task::RUNNING;
    case State::Pausing:
      return containerd::task::PAUSING;
    case State::Paused:
      return containerd::task::PAUSED;
    case State::Stopped:
      return containerd::task::STOPPED;
  }
  return containerd::task::UNKNOWN;
}

constexpr std::string_view to_string(State state) {
  switch (state) {
    case State::Created:
    case State::Starting:
      return "created";
    case State::Running:
      return "running";
    case State::Pausing:
      return "pausing";
    case State::Paused:
      return "paused";
    case State::Stopped:
      return "stopped";
  }
  return "unknown";
}

enum class Request { Start, Delete, Exec, Pause, Resume, Update, Checkpoint };

constexpr bool allows(State state, Request request) {
  switch (request) {
    case Request::Start:
      return state == State::Created;
    case Request::Delete:
      return state == State::Created || state == State::Stopped;
    case Request::Exec:
      return state == State::Created || state == State::Starting || state == State::Running;
    case Request::Pause:
      return state == State::Running;
    case Request::Resume:
      return state == State::Paused;
    case Request::Update:
      return state != State::Stopped;
    case Request::Checkpoint:
      return state == State::Running || state == State::Paused;
  }
  return false;
}
static_assert(!allows(State::Running, Request::Start), "a process is started once");
static_assert(!allows(State::Running, Request::Delete), "a live process is not deleted");

inline Status check(State state, Request request) {
  if (allows(state, request)) return {};
  const std::string name(to_string(state));
  switch (request) {
    case Request::Start:
      return fail(Code::Unknown, "cannot start a " + name + " process");
    case Request::Delete:
      return fail(Code::Unknown, "cannot delete a " + name + " process");
    case Request::Exec:
      return fail(Code::Unknown, "cannot exec in a " + name + " state");
    case Request::Pause:
      if (state == State::Created) break;
      return fail(Code::Unknown, "cannot pause a " + name + " container");
    case Request::Resume:
      if (state == State::Created) break;
      return fail(Code::Unknown, "cannot resume a " + name +
                                     (state == State::Stopped ? " container" : " process"));
    case Request::Update:
      return fail(Code::Unknown, "cannot update a " + name + " container");
    case Request::Checkpoint:
      return fail(Code::Unknown, "cannot checkpoint a " + name + " container");
  }
  return fail(Code::Unknown,
              std::string(request == Request::Pause ? "cannot pause" : "cannot resume") +
                  " task in created state");
}

}  // namespace moat::shim
