#include "oci/rewrite.h"

#include <gtest/gtest.h>

namespace moat::oci {
namespace {

using Json = nlohmann::json;
using policies::Mode;
using Texts = std::vector<std::string>;

// As containerd writes it for a pod's container, shortened.
constexpr const char* kConfig = R"({
  "ociVersion": "1.1.0",
  "process": {
    "user": {"uid": 1000, "gid": 1000, "additionalGids": [1000]},
    "args": ["python3", "-m", "server"], "cwd": "/srv",
    "env": ["PATH=/usr/bin", "RUN_OCI_SECCOMP_RECEIVER=/run/evil.sock", "HOME=/root"],
    "capabilities": {"bounding": ["CAP_CHOWN"]},
    "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 18446744073709551615, "soft": 1024}],
    "oomScoreAdj": -997
  },
  "root": {"path": "rootfs"},
  "hostname": "pod-1",
  "mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec"]},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
    {"destination": "/dev/shm", "type": "bind", "source": "/run/shm", "options": ["rbind", "rw"]},
    {"destination": "/models", "type": "bind", "source": "/pv", "options": ["rbind", "rslave", "rw"]}
  ],
  "hooks": {"prestart": [{"path": "/usr/bin/hook", "args": ["hook"]}]},
  "annotations": {"io.kubernetes.cri.container-name": "server",
                  "run.oci.seccomp.receiver": "/run/evil.sock", "run.oci.seccomp.plugins": "x",
                  "run.oci.keep": "y"},
  "linux": {
    "rootfsPropagation": "rslave",
    "resources": {"memory": {"limit": 9223372036854775807}},
    "namespaces": [{"type": "pid"}, {"type": "network", "path": "/proc/7/ns/net"}],
    "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"],
    "seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
                "syscalls": [{"names": ["read", "openat"], "action": "SCMP_ACT_ALLOW"}]}
  },
  "x-vendor": {"keep": [1, 2.5, null]}
})";

RewriteInput input(Mode mode) {
  RewriteInput in;
  in.mode = mode;
  in.listener_path = "/run/b/moat/l";
  in.listener_metadata = "id";
  in.rootfs = "/run/b/rootfs";
  in.models = {{"/models", "models", true, false, ""}};
  in.scratch = {{"/tmp", "tmp", true, false, ""}, {"/dev/shm", "dev/shm", true, false, ""}};
  return in;
}

Json expected_untouched() {
  Json json = Json::parse(kConfig);
  for (const char* place : {"/mounts", "/linux/seccomp", "/annotations/run.oci.seccomp.receiver",
                            "/annotations/run.oci.seccomp.plugins"}) {
    const Json::json_pointer pointer(place);
    json[pointer.parent_pointer()].erase(pointer.back());
  }
  json["process"]["env"].erase(1);
  return json;
}

Json without(Json json, std::initializer_list<const char*> places) {
  for (const char* place : places) {
    const Json::json_pointer pointer(place);
    json[pointer.parent_pointer()].erase(pointer.back());
  }
  return json;
}

TEST(Rewrite, ChangesNothingElseInAudit) {
  auto spec = Spec::parse(kConfig);
  ASSERT_TRUE(spec) << spec.error().what;
  const auto output = rewrite(*spec, input(Mode::Audit));
  ASSERT_TRUE(output) << output.error().what;
  EXPECT_EQ(without(spec->json(), {"/mounts", "/linux/seccomp"}), expected_untouched());
  EXPECT_EQ(spec->json()["mounts"], Json::parse(kConfig)["mounts"])
      << "a volume is a mount already";
  EXPECT_EQ(output->model_mounts, Texts{"/models"});
  EXPECT_TRUE(output->islands.empty());
  EXPECT_TRUE(output->notes.empty());
}

TEST(Rewrite, ConfinesInEnforceAndChangesNothingElse) {
  auto spec = Spec::parse(kConfig);
  const auto output = rewrite(*spec, input(Mode::Enforce));
  ASSERT_TRUE(output) << output.error().what;
  Json expected = expected_untouched();
  expected["process"]["noNewPrivileges"] = true;
  expected["linux"]["rootfsPropagation"] = "rprivate";
  EXPECT_EQ(without(spec->json(), {"/mounts", "/linux/seccomp"}), expected);

  const Json& mounts = spec->json()["mounts"];
  const Json given = Json::parse(kConfig)["mounts"];
  ASSERT_EQ(mounts.size(), 5U);
  EXPECT_EQ(mounts[0], given[0]);
  EXPECT_EQ(mounts[1], given[1]);
  EXPECT_EQ(mounts[2]["options"], Json({"rbind", "rw", "nosuid", "nodev", "noexec"}));
  EXPECT_EQ(mounts[3]["options"], Json({"rbind", "ro", "nosuid", "nodev", "noexec", "rprivate"}));
  EXPECT_EQ(mounts[4]["destination"], "/tmp");
  EXPECT_EQ(output->model_mounts, Texts{"/models"});
  EXPECT_EQ(output->islands, (Texts{"/tmp", "/dev/shm"}));
  EXPECT_EQ(output->notes, (Texts{"mount /models: its propagation was made rprivate",
                                  "rootfsPropagation rslave: made rprivate"}));
}

TEST(Rewrite, AsksTheListenerAboutWhatThePlanNotifies) {
  auto spec = Spec::parse(kConfig);
  RewriteInput in = input(Mode::Enforce);
  const policies::SyscallRow* openat = policies::find_syscall("openat");
  ASSERT_NE(openat, nullptr);
  in.plan = {{openat, policies::Treatment::Allow, policies::Treatment::Notify}};
  ASSERT_TRUE(rewrite(*spec, in));
  const Json& seccomp = spec->json()["linux"]["seccomp"];
  EXPECT_EQ(seccomp["listenerPath"], "/run/b/moat/l");
  EXPECT_EQ(seccomp["listenerMetadata"], "id");
}

TEST(Rewrite, LeavesTheSpecAloneWhenItFails) {
  auto spec = Spec::parse(kConfig);
  RewriteInput in = input(Mode::Enforce);
  in.models.push_back({"/x", "proc/x", true, false, ""});
  const auto output = rewrite(*spec, in);
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().what,
            "config.json: model '/x': lies in /proc, which belongs to the container runtime");
  EXPECT_EQ(spec->json(), Json::parse(kConfig));
}

TEST(Rewrite, RefusesAProfileThatAlreadyHasAListener) {
  auto spec = Spec::parse(kConfig);
  spec->json()["linux"]["seccomp"]["listenerPath"] = "/run/other.sock";
  EXPECT_FALSE(rewrite(*spec, input(Mode::Audit)));
}

TEST(Rewrite, WorksOnAConfigurationOfNothing) {
  for (const char* text :
       {"{}", R"({"mounts":null,"linux":null,"process":null,"annotations":null})"})
    for (const Mode mode : {Mode::Audit, Mode::Enforce}) {
      auto spec = Spec::parse(text);
      RewriteInput in = input(mode);
      in.models.clear();
      in.scratch.clear();
      const auto output = rewrite(*spec, in);
      ASSERT_TRUE(output) << output.error().what;
      EXPECT_TRUE(Spec::parse(spec->dump())) << "still a configuration";
    }
}

TEST(Rewrite, WantsOnePointForEachMount) {
  auto spec = Spec::parse(kConfig);
  RewriteInput in = input(Mode::Enforce);
  in.mount_points = {"/proc"};
  EXPECT_EQ(rewrite(*spec, in).error().code, Code::Internal);
}

TEST(Rewrite, AddsTheHookBehindThoseThatAreThere) {
  auto config = Json::parse(kConfig);
  config["hooks"]["poststop"] = {{{"path", "/usr/bin/other"}}};
  auto spec = Spec::parse(config.dump());
  ASSERT_TRUE(spec);
  RewriteInput in = input(Mode::Audit);
  in.hook = "/usr/local/bin/moat-hook";
  in.state_dir = "/run/m";
  ASSERT_TRUE(rewrite(*spec, in));
  const Json& hooks = spec->json()["hooks"];
  EXPECT_EQ(hooks["prestart"], config["hooks"]["prestart"]);
  ASSERT_EQ(hooks["poststop"].size(), 2U);
  EXPECT_EQ(hooks["poststop"][0], config["hooks"]["poststop"][0]);
  EXPECT_EQ(hooks["poststop"][1],
            Json::parse(R"({"path": "/usr/local/bin/moat-hook", "args": ["moat-hook", "poststop"],
                            "env": ["MOAT_STATE_DIR=/run/m"], "timeout": 5})"));
}

}  // namespace
}  // namespace moat::oci
