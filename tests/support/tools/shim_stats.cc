// Asks a shim, ours or another, for a container's statistics as they are on the wire.
//
//   shim_stats SOCKET ID
//
// Prints the message's type URL, a line, and then its bytes; or "error: text" and exits 1.
#include <cstdio>
#include <string>
#include <vector>

#include "shim/proto/task.pb.h"
#include "shim/ttrpc/client.h"

namespace {

namespace task = containerd::task;

int report(const std::string& what) {
  std::printf("error: %s\n", what.c_str());
  return 1;
}

int ask(const std::string& socket, const std::string& id) {
  auto client = moat::shim::ttrpc::BlockingClient::connect(socket);
  if (!client) return report(client.error().what);
  task::StatsRequest request;
  request.set_id(id);
  moat::shim::ttrpc::Outgoing outgoing;
  outgoing.service = "containerd.task.v2.Task";
  outgoing.method = "Stats";
  outgoing.payload = request.SerializeAsString();
  const auto answer = client->call(outgoing);
  if (!answer) return report(answer.error().what);
  task::StatsResponse response;
  if (!response.ParseFromString(*answer)) return report("the answer is not the method's message");
  std::puts(response.stats().type_url().c_str());
  const std::string& message = response.stats().value();
  std::fwrite(message.data(), 1, message.size(), stdout);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3) return ask(argv[1], argv[2]);
  std::puts("usage: shim_stats SOCKET ID");
  return 2;
}
