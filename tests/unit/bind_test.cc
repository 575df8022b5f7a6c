#include <gtest/gtest.h>

#include "policies/policy.h"

namespace moat::policies {
namespace {

using Texts = std::vector<std::string>;

Bindings bindings() {
  Bindings out;
  out.home = "/home/u";
  out.cwd = "/app/server";
  out.models = {"/models"};
  out.scratch = {"/var/cache/x"};
  out.environment_roots = {"/home/u/.venv"};
  return out;
}

Result<Policy> bound(const std::string& spec, const Bindings& places = bindings()) {
  const auto document = parse_document(
      "apiVersion: moat.dev/v1alpha1\nkind: LifecyclePolicy\nmetadata: {name: t}\nspec: " + spec,
      "t");
  EXPECT_TRUE(document) << document.error().what;
  return Policy::bind(*document, places);
}

Policy python(const Bindings& places) {
  const auto document = builtin_document("python");
  EXPECT_TRUE(document) << document.error().what;
  auto policy = Policy::bind(*document, places);
  EXPECT_TRUE(policy) << policy.error().what;
  return std::move(*policy);
}

TEST(Bind, MakesPathsAbsoluteAndPlacesUnique) {
  const auto policy = bound(
      "{models: [~/m//, /models], scratch: [/tmp/], phases: {init: {filesystem: {read: [~/a/**, "
      "'@models'], modify: ['@scratch']}, process: {thread: true}}}}");
  ASSERT_TRUE(policy) << policy.error().what;
  EXPECT_EQ(policy->models(), (Texts{"/home/u/m", "/models"}));
  EXPECT_EQ(policy->scratch(), (Texts{"/tmp", "/var/cache/x"}));
  const Boundary& init = policy->boundary(Phase::Init);
  EXPECT_EQ(init.read.patterns(), (Texts{"/home/u/a/**", "/home/u/m/**", "/models/**"}));
  EXPECT_EQ(init.modify.patterns(), (Texts{"/tmp/**", "/var/cache/x/**"}));
  EXPECT_TRUE(init.thread);
  EXPECT_FALSE(init.create) << "what is not stated is not allowed";
  EXPECT_TRUE(policy->boundary(Phase::Serve).read.empty());
}

TEST(Bind, FillsEveryPartOfABoundary) {
  const auto policy = bound(
      "{mode: enforce, onViolation: quarantine, sessions: deny, "
      "transitions: {shutdown: {on: {signal: TERM}}}, "
      "phases: {shutdown: {}, init: {filesystem: {read: {allow: [/r], quiet: [/qr]}, modify: "
      "{allow: [/m], quiet: [/qm]}, exec: [/e]}, device: {access: [/dev/d]}, network: {access: "
      "{allow: ['@listen', '*', '10.0.0.1:80'], quiet: ['@resolver', 'unix:/q']}}, process: "
      "{create: true, thread: true, exec: {allow: [/p], quiet: [/qp]}, cross: true, context: "
      "true}, system: {info: true, control: true}}}}");
  ASSERT_TRUE(policy) << policy.error().what;
  EXPECT_EQ(policy->name(), "t");
  EXPECT_EQ(policy->mode(), Mode::Enforce);
  EXPECT_EQ(policy->reaction().kind, Reaction::Kind::Quarantine);
  EXPECT_EQ(policy->sessions(), Sessions::Deny);
  EXPECT_EQ(policy->trigger(Phase::Shutdown)->signal, 15);
  const Boundary& b = policy->boundary(Phase::Init);
  EXPECT_EQ(b.read.patterns(), Texts{"/r"});
  EXPECT_EQ(b.quiet_read.patterns(), Texts{"/qr"});
  EXPECT_EQ(b.modify.patterns(), Texts{"/m"});
  EXPECT_EQ(b.quiet_modify.patterns(), Texts{"/qm"});
  EXPECT_EQ(b.exec_files.patterns(), Texts{"/e"});
  EXPECT_EQ(b.devices.patterns(), Texts{"/dev/d"});
  EXPECT_EQ(b.programs.patterns(), Texts{"/p"});
  EXPECT_EQ(b.quiet_programs.patterns(), Texts{"/qp"});
  EXPECT_TRUE(b.network.any && b.network.listen && b.network.quiet_resolver);
  EXPECT_EQ(b.network.addresses, Texts{"10.0.0.1:80"});
  EXPECT_EQ(b.network.quiet_unix.patterns(), Texts{"/q"});
  EXPECT_TRUE(b.create && b.thread && b.cross && b.context && b.info && b.control);
}

TEST(Bind, RefusesWhatHasNoMeaning) {
  const auto error = [](const std::string& spec, const Bindings& places) {
    const auto policy = bound(spec, places);
    return policy ? "no error" : policy.error().what;
  };
  EXPECT_EQ(error("{}", {}),
            "policy 't': phase 'init' can be entered but has no rules: state spec.phases.init or "
            "extend a profile that does");
  EXPECT_EQ(error("{transitions: {load: {on: {open: models}}}, phases: {init: {}}}", {}),
            "policy 't': phase 'load' can be entered but has no rules: state spec.phases.load or "
            "extend a profile that does");
  const std::string fine = "{phases: {init: {}}}";
  Bindings places;
  places.models = {"models"};
  EXPECT_EQ(error(fine, places),
            "policy 't': models: 'models' is not an absolute path (begin it with '/' or '~/')");
  places.models = {"/"};
  EXPECT_EQ(error(fine, places), "policy 't': models: '/' is the root folder");
  places.models = {"~"};  // with the home "/"
  EXPECT_EQ(error(fine, places), "policy 't': models: '~' is the root folder");
  places.models = {};
  places.scratch = {"/tmp/../etc"};
  EXPECT_EQ(error(fine, places),
            "policy 't': scratch: '/tmp/../etc' holds '..'; write the path it leads to");
}

// A document that was not parsed but built: binding checks again.
TEST(Bind, RefusesUnknownSetsOfABuiltDocument) {
  Document document;
  document.name = "t";
  document.phases[0].emplace().of(Action::FilesystemRead) = ActionRule{false, {"@modles"}, {}};
  const auto policy = Policy::bind(document, {});
  ASSERT_FALSE(policy);
  EXPECT_EQ(policy.error().what,
            "policy 't': init: filesystem.read: unknown set '@modles'; did you mean '@models'?");
}

constexpr Phase kGuarded[] = {Phase::Load, Phase::Warmup, Phase::Serve, Phase::Reload,
                              Phase::Shutdown};

// Whoever may execute or change a file may also read it.
bool readable(const Boundary& b, const std::string& path) {
  return b.read.contains(path) || b.modify.contains(path) || b.exec_files.contains(path) ||
         b.programs.contains(path) || b.devices.contains(path);
}

TEST(BuiltinPython, CoversNoKeyAfterInitWhereverTheServerLives) {
  const Texts keys = {"~/.ssh/id_rsa",
                      "~/.ssh/authorized_keys",
                      "~/.aws/credentials",
                      "~/.kube/config",
                      "~/.netrc",
                      "~/.docker/config.json",
                      "~/.git-credentials",
                      "~/.config/gcloud/x.json",
                      "~/.bash_history",
                      "/root/.ssh/id_rsa",
                      "/var/run/secrets/kubernetes.io/serviceaccount/token",
                      "/run/secrets/kubernetes.io/serviceaccount/token",
                      "/etc/shadow",
                      "/etc/gshadow",
                      "/etc/ssl/private/key.pem",
                      "/etc/ssh/ssh_host_rsa_key",
                      "/etc/kubernetes/admin.conf",
                      "/proc/1/environ",
                      "/proc/self/environ",
                      "/proc/1/mem",
                      "/proc/1/root/etc/shadow",
                      "/proc/1/cwd/x",
                      "/proc/kcore",
                      "/proc/keys",
                      "/proc/kallsyms",
                      "/proc/1/task/1/environ",
                      "/run/containerd/containerd.sock",
                      "/home/other/.ssh/id",
                      "/memfd:x (deleted)",
                      "/data/secret",
                      "/"};
  for (const char* home : {"/root", "/home/u", "/app", "/"}) {
    for (const char* cwd : {"/", "/root", "/home", "/home/u", "/app", "/home/u/work"}) {
      Bindings places = bindings();
      places.home = home;
      places.cwd = cwd;
      places.environment_roots = {"/", home, "/home", "/opt/conda"};
      const Policy policy = python(places);
      for (Phase phase : kGuarded)
        for (std::string key : keys) {
          if (key.starts_with('~') && std::string_view(home) == "/") continue;
          if (key.starts_with('~')) key = home + key.substr(1);
          EXPECT_FALSE(readable(policy.boundary(phase), key))
              << to_string(phase) << " " << key << " home " << home << " cwd " << cwd;
        }
    }
  }
}

TEST(BuiltinPython, CoversWhatServersReadWhileTheyLoad) {
  const Policy policy = python(bindings());
  const Texts paths = {"/usr/lib/python3.11/json/decoder.py",
                       "/usr/lib/python3/dist-packages/torch/lib/x.so",
                       "/usr/local/lib/python3.12/site-packages/numpy/core.so",
                       "/lib/x86_64-linux-gnu/libc.so.6",
                       "/usr/lib/x86_64-linux-gnu/libgomp.so.1.0.0",
                       "/etc/ld.so.cache",
                       "/etc/ssl/openssl.cnf",
                       "/etc/nsswitch.conf",
                       "/etc/passwd",
                       "/etc/hosts",
                       "/etc/localtime",
                       "/usr/share/zoneinfo/UTC",
                       "/opt/conda/lib/python3.11/site.py",
                       "/home/u/.venv/lib/python3.11/site-packages/a.py",
                       "/home/u/.local/lib/python3.11/site-packages/a.py",
                       "/app/server/handler.py",
                       "/models",
                       "/models/m.joblib",
                       "/tmp/x",
                       "/dev/shm/sem.abc",
                       "/dev/null",
                       "/dev/urandom",
                       "/home/u/.cache/torch/k",
                       "/proc/cpuinfo",
                       "/proc/meminfo",
                       "/proc/stat",
                       "/proc/123/status",
                       "/proc/123/stat",
                       "/proc/123/task/124/stat",
                       "/proc/123/fd",
                       "/proc/sys/vm/overcommit_memory",
                       "/proc/sys/kernel/random/boot_id",
                       "/proc/version_signature",
                       "/proc/123/maps",
                       "/sys/devices/system/cpu/online",
                       "/sys/devices/system/node",
                       "/sys/fs/cgroup/memory.max",
                       "/sys/kernel/mm/transparent_hugepage/enabled"};
  for (Phase phase : kGuarded)
    for (const std::string& path : paths)
      EXPECT_TRUE(policy.boundary(phase).read.contains(path)) << to_string(phase) << " " << path;
}

TEST(BuiltinPython, WritesOnlyScratchMemoryAndItsOwnName) {
  const Policy policy = python(bindings());
  for (Phase phase : kGuarded) {
    const PathSet& modify = policy.boundary(phase).modify;
    for (const char* path : {"/tmp/a/b", "/var/tmp/x", "/dev/shm/sem.1", "/home/u/.cache/t",
                             "/home/u/.triton/cache/x", "/var/cache/x/y", "/dev/null",
                             "/proc/self/task/7/comm", "/proc/thread-self/comm", "/proc/7/comm"})
      EXPECT_TRUE(modify.contains(path)) << to_string(phase) << " " << path;
    for (const char* path :
         {"/models/m.joblib", "/app/server/x.py", "/home/u/.ssh/authorized_keys", "/home/u/.bashrc",
          "/etc/passwd", "/usr/lib/python3/x.py", "/proc/1/mem", "/proc/sys/kernel/core_pattern",
          "/sys/kernel/mm/x", "/var/log/x", "/data/x", "/dev/sda", "/home/u/.venv/bin/python"})
      EXPECT_FALSE(modify.contains(path)) << to_string(phase) << " " << path;
  }
}

// A payload can wait for a later phase: each must be safe by itself.
TEST(BuiltinPython, AllowsNoProgramAndNoConnectionAfterInit) {
  const Policy policy = python(bindings());
  for (Phase phase : kGuarded) {
    const Boundary& b = policy.boundary(phase);
    EXPECT_TRUE(b.programs.empty()) << to_string(phase);
    EXPECT_FALSE(b.network.any) << to_string(phase);
    EXPECT_TRUE(b.network.addresses.empty()) << to_string(phase);
    EXPECT_FALSE(b.control) << to_string(phase);
    EXPECT_TRUE(b.network.listen) << to_string(phase);
    EXPECT_TRUE(b.thread) << to_string(phase);
    EXPECT_FALSE(b.exec_files.contains("/tmp/x.so")) << to_string(phase);
    EXPECT_FALSE(b.exec_files.contains("/models/x.so")) << to_string(phase);
    EXPECT_FALSE(b.devices.contains("/dev/sda")) << to_string(phase);
    EXPECT_TRUE(b.devices.contains("/dev/null") && b.devices.contains("/dev/nvidia0"));
    EXPECT_TRUE(b.network.quiet_unix.contains("/run/user/0/ucx/vfs.sock"));
    EXPECT_TRUE(b.network.quiet_unix.contains("/var/run/nscd/socket"));
  }
  EXPECT_FALSE(policy.boundary(Phase::Load).cross || policy.boundary(Phase::Serve).cross);
}

TEST(BuiltinPython, LetsImportsDoWhatTheyDo) {
  const Policy policy = python(bindings());
  const Boundary& init = policy.boundary(Phase::Init);
  EXPECT_TRUE(init.read.contains("/root/x") && init.modify.contains("/run/user/0/ucx"));
  EXPECT_TRUE(init.network.any && init.create && init.cross);
  for (const char* program : {"/usr/bin/python3.11", "/usr/bin/uname", "/sbin/ldconfig.real",
                              "/entrypoint.sh", "/opt/conda/bin/python", "/app/server/run.sh",
                              "/home/u/.venv/bin/uvicorn", "/usr/local/bin/gunicorn"})
    EXPECT_TRUE(init.programs.contains(program)) << program;
  for (const char* program : {"/models/run", "/tmp/x", "/dev/shm/x", "/memfd:a (deleted)"})
    EXPECT_FALSE(init.programs.contains(program)) << program;
}

TEST(BuiltinPython, StartsItsPhasesByWhatTheKernelSees) {
  const Policy policy = python(bindings());
  EXPECT_TRUE(policy.trigger(Phase::Load)->open_models);
  EXPECT_TRUE(policy.trigger(Phase::Serve)->listen);
  EXPECT_EQ(policy.trigger(Phase::Serve)->settle, std::chrono::seconds(2));
  EXPECT_EQ(policy.trigger(Phase::Serve)->timeout, std::chrono::minutes(30));
  EXPECT_EQ(policy.trigger(Phase::Shutdown)->signal, 15);
  EXPECT_EQ(policy.mode(), Mode::Audit) << "a fresh install audits";
}

}  // namespace
}  // namespace moat::policies
