// Plays containerd's side of the events: takes what shims forward to SOCKET and prints a line for
// each, in the order of arrival: TOPIC name=value ...
//
//   events_sink SOCKET        ends with SIGTERM
#include <sys/socket.h>

#include <cstdio>
#include <string>

#include "oci/socket.h"
#include "shim/proto/events.pb.h"
#include "shim/proto/forward.pb.h"
#include "shim/ttrpc/server.h"

namespace moat::tests {

namespace {

namespace events = containerd::events;

template <class Event>
std::string describe(const std::string& value) {
  Event event;
  if (!event.ParseFromString(value)) return " (not its message)";
  std::string out = " container=" + event.container_id();
  if constexpr (requires { event.exec_id(); }) out += " exec=" + event.exec_id();
  if constexpr (requires { event.id(); })
    if (!event.id().empty()) out += " id=" + event.id();
  if constexpr (requires { event.bundle(); }) out += " bundle=" + event.bundle();
  if constexpr (requires { event.io(); })
    if (event.has_io())
      out += " io=" + event.io().stdin() + "," + event.io().stdout() + "," + event.io().stderr();
  if constexpr (requires { event.pid(); }) out += " pid=" + std::to_string(event.pid());
  if constexpr (requires { event.exit_status(); }) {
    out += " exit=" + std::to_string(event.exit_status());
    const auto& at = event.exited_at();
    if (event.has_exited_at())
      out += at.seconds() == -62135596800
                 ? " at=zero"
                 : " at=" + std::to_string(at.seconds()) + "." + std::to_string(at.nanos());
  }
  return out;
}

std::string describe_event(const moat::wire::Any& event) {
  const std::string& type = event.type_url();
  const auto is = [&type](const char* name) {
    return type == std::string("containerd.events.") + name;
  };
  if (is("TaskCreate")) return describe<events::TaskCreate>(event.value());
  if (is("TaskStart")) return describe<events::TaskStart>(event.value());
  if (is("TaskExit")) return describe<events::TaskExit>(event.value());
  if (is("TaskDelete")) return describe<events::TaskDelete>(event.value());
  if (is("TaskExecAdded")) return describe<events::TaskExecAdded>(event.value());
  if (is("TaskExecStarted")) return describe<events::TaskExecStarted>(event.value());
  if (is("TaskPaused")) return describe<events::TaskPaused>(event.value());
  if (is("TaskResumed")) return describe<events::TaskResumed>(event.value());
  if (is("TaskOOM")) return describe<events::TaskOOM>(event.value());
  return " type=" + type;
}

void forward(shim::ttrpc::Call call, std::string_view payload) {
  containerd::services::events::ttrpc::v1::ForwardRequest request;
  if (!request.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
    return call.fail(Code::InvalidArgument, "not a ForwardRequest");
  const auto& envelope = request.envelope();
  std::printf("%s%s%s\n", envelope.topic().c_str(), describe_event(envelope.event()).c_str(),
              envelope.timestamp().seconds() > 0 ? "" : " (without a time)");
  std::fflush(stdout);
  call.ok();
}

int run(const std::string& path) {
  auto loop = oci::Loop::create();
  auto listener = oci::listen_unix(path, SOCK_STREAM, 0600);
  if (!loop || !listener) {
    std::fprintf(stderr, "cannot listen on %s\n", path.c_str());
    return 1;
  }
  shim::ttrpc::Registry registry;
  registry.add("containerd.services.events.ttrpc.v1.Events", "Forward",
               [](shim::ttrpc::Call call, std::string_view payload, std::chrono::nanoseconds) {
                 forward(std::move(call), payload);
               });
  shim::ttrpc::Server server(**loop, registry);
  if (!server.serve(std::move(*listener))) return 1;
  (*loop)->run();
  return 0;
}

}  // namespace

}  // namespace moat::tests

int main(int argc, char** argv) {
  if (argc == 2) return moat::tests::run(argv[1]);
  std::fputs("usage: events_sink SOCKET\n", stderr);
  return 2;
}
