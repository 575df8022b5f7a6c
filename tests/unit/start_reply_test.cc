#include "shim/start_reply.h"

#include <gtest/gtest.h>

#include "shim/proto/bootstrap.pb.h"
#include "shim/proto/runc_options.pb.h"
#include "shim/proto/wire.pb.h"

namespace moat::shim {
namespace {

CommandLine line_of(const std::string& address, const std::string& ns, const std::string& id) {
  CommandLine line;
  line.address = address;
  line.ns = ns;
  line.id = id;
  return line;
}

std::string bootstrap(const std::string& id, const std::string& ns) {
  containerd::runtime::bootstrap::BootstrapParams params;
  params.set_instance_id(id);
  params.set_namespace_(ns);
  params.set_socket_dir("/run/s");
  return params.SerializeAsString();
}

TEST(StartReply, TheSocketsNameIsTheReferencesHash) {
  EXPECT_EQ(socket_path("/run/containerd/s", line_of("/run/x/c.sock", "moatres", "t16"), "t16"),
            "/run/containerd/s/a44e517a5cc5f5de54247991695ae307fb0e8daeefeea1bfc78bb3b25e65d34f");
  EXPECT_EQ(socket_path("/s", line_of("/run//x/./y/../c.sock", "moatres", "t16"), "t16"),
            "/s/a44e517a5cc5f5de54247991695ae307fb0e8daeefeea1bfc78bb3b25e65d34f");
}

TEST(StartReply, OneGroupOneShim) {
  EXPECT_EQ(group_of("g", "sandbox", "id"), "g");
  EXPECT_EQ(group_of("", "sandbox", "id"), "sandbox");
  EXPECT_EQ(group_of("", "", "id"), "id");
}

TEST(StartReply, OldDaemonsGetThePlainAddressWithoutANewline) {
  const CommandLine line = line_of("/c", "ns", "c1");
  EXPECT_EQ(start_reply(parse_start_input("", line), "/s/x"), "unix:///s/x");
}

TEST(StartReply, RuntimeOptionsAreNotTakenForBootstrapParameters) {
  containerd::runc::v1::Options options;
  options.set_binary_name("crun");
  moat::wire::Any any;
  any.set_type_url("containerd.runc.v1.Options");
  any.set_value(options.SerializeAsString());
  const auto request = parse_start_input(any.SerializeAsString(), line_of("/c", "ns", "c1"));
  EXPECT_FALSE(request.bootstrap);
  EXPECT_EQ(request.options.value(), any.value());
}

TEST(StartReply, BootstrapParametersCarryOptionsAndALevel) {
  containerd::runtime::bootstrap::BootstrapParams params;
  params.set_instance_id("c1");
  params.set_namespace_("ns");
  params.set_log_level(-8);
  params.add_extensions()->mutable_value()->set_type_url("somebody.elses.Thing");
  auto& options = *params.add_extensions()->mutable_value();
  options.set_type_url("containerd.runc.v1.Options");
  options.set_value("x");
  const auto request = parse_start_input(params.SerializeAsString(), line_of("/c", "ns", "c1"));
  EXPECT_TRUE(request.debug);
  EXPECT_EQ(request.options.value(), "x");
}

TEST(StartReply, ParametersForSomebodyElseAreNotOurs) {
  const CommandLine line = line_of("/c", "ns", "c1");
  EXPECT_FALSE(parse_start_input(bootstrap("c2", "ns"), line).bootstrap);
  EXPECT_FALSE(parse_start_input(bootstrap("c1", "other"), line).bootstrap);
  EXPECT_FALSE(parse_start_input("\xff\xff not protobuf", line).bootstrap);
}

TEST(StartReply, NewDaemonsGetABootstrapResult) {
  const auto request = parse_start_input(bootstrap("c1", "ns"), line_of("/c", "ns", "c1"));
  ASSERT_TRUE(request.bootstrap);
  EXPECT_EQ(request.socket_dir, "/run/s");
  containerd::runtime::bootstrap::BootstrapResult result;
  ASSERT_TRUE(result.ParseFromString(start_reply(request, "/run/s/x")));
  EXPECT_EQ(result.version(), 3);
  EXPECT_EQ(result.address(), "unix:///run/s/x");
  EXPECT_EQ(result.protocol(), "ttrpc");
}

}  // namespace
}  // namespace moat::shim
