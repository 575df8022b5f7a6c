#include "shim/ctl/containers.h"

#include "shim/ctl/exit.h"
#include "shim/ctl/shims.h"
#include "shim/ttrpc/client.h"

namespace moat::shim::ctl {

namespace {

// A shim answers from memory in well under this; one that is stopped must not hold up the rest.
constexpr std::chrono::milliseconds kPatience{1000};

Result<moat::control::v1::ListResponse> ask(const Shim& shim) {
  auto client = ttrpc::BlockingClient::connect(shim.socket);
  if (!client) return fail(std::move(client.error()));
  ttrpc::Outgoing call;
  call.service = "moat.control.v1.Control";
  call.method = "List";
  call.timeout = kPatience;
  const auto payload = client->call(call);
  if (!payload) return fail(payload.error());
  moat::control::v1::ListResponse response;
  if (!response.ParseFromString(*payload))
    return fail(Code::Internal, "the answer is not a ListResponse");
  return response;
}

}  // namespace

std::optional<Containers> all_containers(const std::string& state_dir) {
  const auto shims = list_shims(state_dir);
  if (!shims) {
    warn("cannot list the shims: " + shims.error().what);
    return std::nullopt;
  }
  for (const std::string& problem : shims->problems) warn(problem);
  Containers containers;
  for (const Shim& shim : shims->running) {
    const auto response = ask(shim);
    if (!response) {
      warn("shim " + std::to_string(shim.pid) + " (" + shim.namespace_ + "/" + shim.id +
           ") does not answer: " + response.error().what);
      continue;
    }
    containers.insert(containers.end(), response->containers().begin(),
                      response->containers().end());
  }
  return containers;
}

}  // namespace moat::shim::ctl
