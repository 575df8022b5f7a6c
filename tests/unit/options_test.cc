#include "shim/task/options.h"

#include <gtest/gtest.h>

#include "shim/proto/linux_options.pb.h"
#include "shim/proto/runc_options.pb.h"
#include "shim/proto/runtimeoptions.pb.h"

namespace moat::shim {
namespace {

template <class Message>
moat::wire::Any any_of(const std::string& type, const Message& message) {
  moat::wire::Any any;
  any.set_type_url(type);
  any.set_value(message.SerializeAsString());
  return any;
}

TEST(Options, NoneAreTheDefaults) {
  const auto options = decode_options({}, {});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->binary, "runc");
  EXPECT_EQ(options->root, "/run/containerd/runc");
}

TEST(Options, OfRuncsShim) {
  containerd::runc::v1::Options runc;
  runc.set_binary_name("crun");
  runc.set_root("/r");
  runc.set_systemd_cgroup(true);
  runc.set_no_pivot_root(true);
  runc.set_io_uid(1000);
  for (const char* prefix : {"", "type.googleapis.com/"}) {
    const auto options =
        decode_options(any_of(std::string(prefix) + "containerd.runc.v1.Options", runc), {});
    ASSERT_TRUE(options) << prefix;
    EXPECT_EQ(options->binary, "crun");
    EXPECT_EQ(options->root, "/r");
    EXPECT_TRUE(options->systemd_cgroup);
    EXPECT_TRUE(options->no_pivot_root);
    EXPECT_FALSE(options->no_new_keyring);
    EXPECT_EQ(options->io_uid, 1000U);
  }
}

TEST(Options, OfTheFirstShimThatOldClientsSend) {
  containerd::linux::runc::CreateOptions create;
  create.set_no_new_keyring(true);
  create.set_io_gid(7);
  const auto options = decode_options(any_of("containerd.linux.runc.CreateOptions", create), {});
  ASSERT_TRUE(options);
  EXPECT_TRUE(options->no_new_keyring);
  EXPECT_EQ(options->io_gid, 7U);
}

TEST(Options, OfCriForOtherRuntimeTypes) {
  runtimeoptions::v1::Options generic;
  generic.set_type_url("io.containerd.moat.v2.options");
  generic.set_config_body("BinaryName = \"/usr/bin/crun\"\n  SystemdCgroup = true\nRoot = ''\n");
  const auto options = decode_options(any_of("runtimeoptions.v1.Options", generic), {});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->binary, "/usr/bin/crun");
  EXPECT_TRUE(options->systemd_cgroup);
  EXPECT_EQ(options->root, "/run/containerd/runc");
}

TEST(Options, AMissingConfigPathIsNamed) {
  runtimeoptions::v1::Options generic;
  generic.set_config_path("/nonexistent/moat.toml");
  const auto options = decode_options(any_of("runtimeoptions.v1.Options", generic), {});
  ASSERT_FALSE(options);
  EXPECT_NE(options.error().what.find("/nonexistent/moat.toml"), std::string::npos);
}

TEST(Options, AnUnknownTypeIsNamedWithTheKnownOnes) {
  const auto options = decode_options(any_of("some.Options", moat::wire::Empty()), {});
  ASSERT_FALSE(options);
  EXPECT_EQ(options.error().code, Code::InvalidArgument);
  EXPECT_NE(options.error().what.find("some.Options"), std::string::npos);
  EXPECT_NE(options.error().what.find("containerd.runc.v1.Options"), std::string::npos);
}

TEST(Options, BadTomlIsToldWithItsKey) {
  const std::pair<const char*, const char*> cases[] = {
      {"BinaryName = crun", "BinaryName"},
      {"SystemdCgroup = yes", "SystemdCgroup"},
      {"IoUid = -1", "IoUid"},
      {"BinaryName", "Key = value"},
  };
  for (const auto& [toml, word] : cases) {
    const auto options = options_of_toml(toml, {});
    ASSERT_FALSE(options) << toml;
    EXPECT_NE(options.error().what.find(word), std::string::npos) << options.error().what;
  }
  EXPECT_TRUE(options_of_toml("# comment\n[table]\nNewKey = 7\n", {}));
}

TEST(Options, SurviveTheBundle) {
  RuntimeOptions options;
  options.binary = "/opt/crun";
  options.root = "/r \"quoted\"";
  options.systemd_cgroup = true;
  options.io_uid = 4000000000U;
  const auto back = options_of_json(options_to_json(options));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->binary, options.binary);
  EXPECT_EQ(back->root, options.root);
  EXPECT_TRUE(back->systemd_cgroup);
  EXPECT_EQ(back->io_uid, options.io_uid);
  EXPECT_FALSE(options_of_json("not json"));
}

TEST(Options, AMissingFileInTheBundleIsTheDefaults) {
  const auto options = load_options("/nonexistent");
  ASSERT_TRUE(options);
  EXPECT_EQ(options->binary, "runc");
}

oci::NodeConfig node_of(const char* yaml) {
  return oci::NodeConfig::parse(yaml, "moat.yaml").value();
}

TEST(Options, WhatAHandlerDoesNotSayTheNodeSays) {
  const RuntimeOptions node = node_defaults(
      node_of("runtime: /usr/bin/crun\nruntimeRoot: /run/crun\nsystemdCgroup: true\n"));
  // Older containerds replace a handler's options by two ids for a pod with users of its own.
  containerd::runc::v1::Options ids;
  ids.set_io_uid(1000);
  const auto options = decode_options(any_of("containerd.runc.v1.Options", ids), node);
  ASSERT_TRUE(options);
  EXPECT_EQ(options->binary, "/usr/bin/crun");
  EXPECT_EQ(options->root, "/run/crun");
  EXPECT_TRUE(options->systemd_cgroup);
  EXPECT_EQ(options->io_uid, 1000U);
  const auto toml = options_of_toml("BinaryName = \"runc\"\nSystemdCgroup = false\n", node);
  ASSERT_TRUE(toml);
  EXPECT_EQ(toml->binary, "runc");
  EXPECT_EQ(toml->root, "/run/crun");
  EXPECT_FALSE(toml->systemd_cgroup);
}

TEST(Options, TheDriverIsWhatSomebodySaysElseWhatThePathLooksLike) {
  const char* const slice = "kubepods-pod1.slice:cri-containerd:abc";
  const struct {
    const char* node;
    const char* toml;
    const char* path;
    bool systemd;
  } cases[] = {
      {"", "", slice, true},
      {"", "", "/kubepods/pod1/abc", false},
      {"", "", "/a:b:c", false},
      {"", "SystemdCgroup = true", "/kubepods/pod1/abc", true},
      {"", "SystemdCgroup = false", slice, false},
      {"systemdCgroup: true", "", "/x", true},
      {"systemdCgroup: false", "", slice, false},
      {"systemdCgroup: auto", "", slice, true},
      {"systemdCgroup: false", "SystemdCgroup = true", "/x", true},
  };
  for (const auto& c : cases) {
    const auto options = options_of_toml(c.toml, node_defaults(node_of(c.node)));
    ASSERT_TRUE(options) << c.toml;
    EXPECT_EQ(uses_systemd(*options, c.path), c.systemd)
        << c.node << " / " << c.toml << " / " << c.path;
  }
}

}  // namespace
}  // namespace moat::shim
