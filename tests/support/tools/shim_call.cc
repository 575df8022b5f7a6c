// Calls a shim's Task service by hand, for tests that must see its answers as they are.
//
//   shim_call SOCKET METHOD ID [BUNDLE]
//
// METHOD: create, start, state, kill (with KILL), delete, connect, shutdown. Prints "ok" and exits
// 0, or prints "CODE: text" and exits 1.
#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "shim/proto/task.pb.h"
#include "shim/ttrpc/client.h"

namespace moat::shim {

namespace {

namespace task = containerd::task;

template <class Request>
std::string about(const std::string& id, const std::string& bundle) {
  Request request;
  request.set_id(id);
  if constexpr (requires { request.set_bundle(bundle); }) request.set_bundle(bundle);
  if constexpr (requires { request.set_signal(9); }) request.set_signal(9);
  return request.SerializeAsString();
}

struct Method {
  std::string_view word;
  const char* name;
  std::string (*request)(const std::string& id, const std::string& bundle);
};
constexpr std::array kMethods{
    Method{"create", "Create", about<task::CreateTaskRequest>},
    Method{"start", "Start", about<task::StartRequest>},
    Method{"state", "State", about<task::StateRequest>},
    Method{"kill", "Kill", about<task::KillRequest>},
    Method{"delete", "Delete", about<task::DeleteRequest>},
    Method{"connect", "Connect", about<task::ConnectRequest>},
    Method{"shutdown", "Shutdown", about<task::ShutdownRequest>},
};

const char* name_of(Code code) {
  static constexpr std::array kNames{
      "Unknown",  "InvalidArgument",   "NotFound",           "AlreadyExists",
      "Denied",   "ResourceExhausted", "FailedPrecondition", "Unimplemented",
      "Internal", "Unavailable",       "DeadlineExceeded",   "Canceled"};
  return kNames.at(static_cast<std::size_t>(code));
}

int report(const Error& error) {
  std::printf("%s: %s\n", name_of(error.code), error.what.c_str());
  return 1;
}

int call(const std::string& socket, const Method& method, const std::string& payload) {
  auto client = ttrpc::BlockingClient::connect(socket);
  if (!client) return report(client.error());
  ttrpc::Outgoing outgoing;
  outgoing.service = "containerd.task.v2.Task";
  outgoing.method = method.name;
  outgoing.payload = payload;
  const auto answer = client->call(outgoing);
  if (!answer) return report(answer.error());
  std::puts("ok");
  return 0;
}

}  // namespace

int run(const std::vector<std::string>& arguments) {
  if (arguments.size() >= 3)
    for (const Method& method : kMethods)
      if (method.word == arguments[1]) {
        const std::string bundle = arguments.size() > 3 ? arguments[3] : "";
        return call(arguments[0], method, method.request(arguments[2], bundle));
      }
  std::puts("usage: shim_call SOCKET create|start|state|kill|delete|connect|shutdown ID [BUNDLE]");
  return 2;
}

}  // namespace moat::shim

int main(int argc, char** argv) {
  return moat::shim::run({argv + 1, argv + argc});
}
