// containerd's half of starting a shim, as bytes, for tests that pipe them.
//
//   bootstrap params ID NAMESPACE key=value...   BootstrapParams to standard output, every field
//   set.
//       keys: socket_dir, log_level, shim_cgroup (an extension with runc's options)
//   bootstrap options key=value...               the options of older daemons: an Any. keys:
//   runtime,
//       shim_cgroup
//   bootstrap result                             standard input is a BootstrapResult: prints
//       "VERSION PROTOCOL ADDRESS"
//   bootstrap info                               standard input is a RuntimeInfo: prints its fields
//   bootstrap deleted                            standard input is a DeleteResponse: prints them
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "oci/sys.h"
#include "shim/proto/bootstrap.pb.h"
#include "shim/proto/runc_options.pb.h"
#include "shim/proto/types.pb.h"
#include "tests/support/tools/task_messages.h"

namespace moat::tests {

namespace {

namespace bootstrap = containerd::runtime::bootstrap;

Fields fields_of(const std::vector<std::string>& words, std::size_t from) {
  Fields fields;
  for (std::size_t i = from; i < words.size(); ++i)
    fields[words[i].substr(0, words[i].find('='))] = words[i].substr(words[i].find('=') + 1);
  return fields;
}

moat::wire::Any options_of(Fields& fields) {
  containerd::runc::v1::Options options;
  options.set_binary_name(fields["runtime"]);
  options.set_shim_cgroup(fields["shim_cgroup"]);
  moat::wire::Any any;
  any.set_type_url("containerd.runc.v1.Options");
  any.set_value(options.SerializeAsString());
  return any;
}

std::string params_of(const std::vector<std::string>& words) {
  Fields fields = fields_of(words, 3);
  bootstrap::BootstrapParams params;
  params.set_instance_id(words.at(1));
  params.set_namespace_(words.at(2));
  params.set_log_level(std::atoi(fields["log_level"].c_str()));
  params.set_containerd_version("2.3.1");
  params.set_containerd_ttrpc_address("/run/c.ttrpc");
  params.set_containerd_grpc_address("/run/c");
  params.set_containerd_binary("/usr/bin/containerd");
  params.add_extensions()->mutable_value()->set_type_url("somebody.elses.Extension");
  *params.add_extensions()->mutable_value() = options_of(fields);
  if (fields.contains("socket_dir")) params.set_socket_dir(fields["socket_dir"]);
  return params.SerializeAsString();
}

int print_result(const std::string& input) {
  bootstrap::BootstrapResult result;
  if (!result.ParseFromString(input)) return 1;
  std::printf("%d %s %s\n", result.version(), result.protocol().c_str(), result.address().c_str());
  return 0;
}

int print_info(const std::string& input) {
  containerd::types::RuntimeInfo info;
  if (!info.ParseFromString(input)) return 1;
  std::printf("name=%s\nversion=%s\noptions=%s\nfeatures=%s\n%s\n", info.name().c_str(),
              info.version().version().c_str(), info.options().type_url().c_str(),
              info.features().type_url().c_str(), info.features().value().c_str());
  return 0;
}

int print_deleted(const std::string& input) {
  std::puts(describe_task_response("Delete", input).c_str());
  return 0;
}

}  // namespace

int run(const std::vector<std::string>& words) {
  if (words.size() >= 3 && words[0] == "params") return oci::write_all(1, params_of(words)) ? 0 : 1;
  if (!words.empty() && words[0] == "options") {
    Fields fields = fields_of(words, 1);
    return oci::write_all(1, options_of(fields).SerializeAsString()) ? 0 : 1;
  }
  const auto input = oci::read_all(0);
  if (words.size() != 1 || !input) return 2;
  if (words[0] == "result") return print_result(*input);
  if (words[0] == "info") return print_info(*input);
  if (words[0] == "deleted") return print_deleted(*input);
  return 2;
}

}  // namespace moat::tests

int main(int argc, char** argv) {
  return moat::tests::run({argv + 1, argv + argc});
}
