#include "shim/start_reply.h"

#include <vector>

#include "oci/sha256.h"
#include "shim/proto/bootstrap.pb.h"

namespace moat::shim {

namespace {

constexpr std::int32_t kDebugLevel = -4;  // containerd's; TRACE lies below it

// Go's path.Clean of an absolute path: the hash must be the same for the same place.
std::string clean(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), part.size() + 1));
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  std::string cleaned;
  for (const std::string_view part : parts) cleaned.append("/").append(part);
  return cleaned.empty() ? "/" : cleaned;
}

}  // namespace

StartRequest parse_start_input(const std::string& input, const CommandLine& line) {
  StartRequest request;
  containerd::runtime::bootstrap::BootstrapParams params;
  request.bootstrap = !input.empty() && params.ParseFromString(input) &&
                      params.instance_id() == line.id && params.namespace_() == line.ns;
  if (!request.bootstrap) {
    // What is neither is refused by Create, which is sent the same options and can say so.
    if (!request.options.ParseFromString(input)) request.options.Clear();
    return request;
  }
  request.debug = params.log_level() <= kDebugLevel;
  request.socket_dir = params.socket_dir();
  for (auto& extension : *params.mutable_extensions())
    if (extension.value().type_url().ends_with(".Options"))
      request.options = std::move(*extension.mutable_value());
  return request;
}

std::string start_reply(const StartRequest& request, const std::string& path) {
  std::string address = "unix://" + path;
  if (!request.bootstrap) return address;
  containerd::runtime::bootstrap::BootstrapResult result;
  result.set_version(3);
  result.set_address(std::move(address));
  result.set_protocol("ttrpc");
  return result.SerializeAsString();
}

std::string group_of(const std::string& group, const std::string& sandbox, const std::string& id) {
  if (!group.empty()) return group;
  return sandbox.empty() ? id : sandbox;
}

std::string socket_path(const std::string& dir, const CommandLine& line, const std::string& group) {
  return dir + "/" + oci::sha256_hex(clean("/" + line.address + "/" + line.ns + "/" + group));
}

}  // namespace moat::shim
