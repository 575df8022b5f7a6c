#include "policies/decide.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/support/policies.h"

namespace moat::policies {
namespace {

// Init may do what it likes; load is narrow; the others say nothing of their own.
const char* const kText = R"(
apiVersion: moat.dev/v1alpha1
kind: LifecyclePolicy
metadata: {name: t}
spec:
  phases:
    init:
      filesystem: {read: ["/**"], modify: ["/**"], exec: ["/lib/**", "/memfd:*"]}
      device: {access: ["/dev/**"]}
      network: {access: ["*"]}
      process: {create: true, thread: true, exec: ["/usr/bin/*"], cross: true, context: true}
      system: {info: true, control: true}
    load:
      filesystem:
        read: {allow: ["/models/**"], quiet: ["/etc/hush"]}
        modify: {allow: ["/tmp/**", "/dev/shm/**"], quiet: ["/var/cache/**"]}
        exec: ["/lib/**"]
      device: {access: ["/dev/null", "/proc/self/fd/*"]}
      network:
        access: {allow: ["@listen"], quiet: ["@resolver", "unix:/run/nscd/socket"]}
      process: {create: false, thread: true, exec: {allow: [], quiet: ["/usr/bin/uname"]}, cross: false, context: false}
      system: {info: true, control: false}
)";

const Policy& policy() {
  static const Policy kPolicy = test::policy_from(kText);
  return kPolicy;
}

struct Case {
  const char* sentence;
  Phase phase;
  const char* call;
  std::array<std::uint64_t, 6> args;
  const char* path;      // claimed; nullptr: none
  const char* path2;     // second path, or the address
  const char* expected;  // "yes", "no <rule>", "quiet <errno>", "no <rule> <errno>"
};

std::string said(const Decision& decision) {
  if (decision.allowed) return "yes";
  if (decision.quiet) return "quiet " + std::to_string(decision.err);
  const std::string err = decision.err == 0 ? "" : " " + std::to_string(decision.err);
  return "no " + decision.rule + err;
}

Decision ask(const Case& one) {
  CallFacts facts;
  facts.call = find_syscall(one.call);
  facts.args = one.args;
  if (one.path != nullptr) facts.claimed_path = one.path;
  const bool address = facts.call->index_of(Arg::SockAddr).has_value();
  if (one.path2 != nullptr) (address ? facts.claimed_address : facts.claimed_path2) = one.path2;
  return decide(policy(), one.phase, facts);
}

class Decide : public testing::TestWithParam<Case> {};

TEST_P(Decide, SaysWhatTheBoundarySays) {
  EXPECT_EQ(said(ask(GetParam())), GetParam().expected) << GetParam().sentence;
}

constexpr Phase kLoad = Phase::Load;
constexpr std::uint64_t kWrite = O_WRONLY | O_CREAT;
constexpr std::uint64_t kGarbage = 0xbad0000000000000;
const char* const kModify = "no load.filesystem.modify";
const char* const kNetwork = "no load.network.access";

INSTANTIATE_TEST_SUITE_P(
    Files, Decide,
    testing::Values(
        Case{"reading is not its affair",
             kLoad,
             "openat",
             {0, 0, O_RDONLY},
             "/etc/shadow",
             {},
             "yes"},
        Case{"inside", kLoad, "openat", {0, 0, kWrite}, "/tmp/x", {}, "yes"},
        Case{"outside", kLoad, "openat", {0, 0, kWrite}, "/root/.ssh/authorized_keys", {}, kModify},
        Case{"a prefix is no folder", kLoad, "openat", {0, 0, kWrite}, "/tmpx/y", {}, kModify},
        Case{"old open", kLoad, "open", {0, O_RDWR}, "/etc/passwd", {}, kModify},
        Case{"creat writes whatever its mode", kLoad, "creat", {0, 0}, "/etc/x", {}, kModify},
        Case{"nothing could be read",
             kLoad,
             "openat",
             {0, 0, kWrite},
             {},
             {},
             "no load.filesystem.modify 14"},
        Case{"unless nothing matters", Phase::Init, "unlink", {}, {}, {}, "yes"},
        Case{"a device", kLoad, "openat", {0, 0, O_RDWR}, "/dev/null", {}, "yes"},
        Case{"another", kLoad, "openat", {0, 0, O_RDWR}, "/dev/mem", {}, "no load.device.access"},
        Case{"what leads to one", kLoad, "openat", {0, 0, O_WRONLY}, "/proc/self/fd/1", {}, "yes"},
        Case{"memory is no device", kLoad, "openat", {0, 0, kWrite}, "/dev/shm/sem.x", {}, "yes"},
        Case{"removing a device's name", kLoad, "unlink", {}, "/dev/null", {}, kModify},
        Case{"quiet, with the mount's errno", kLoad, "mkdir", {}, "/var/cache/x", {}, "quiet 30"},
        Case{"rename inside", kLoad, "rename", {}, "/tmp/a", "/tmp/b", "yes"},
        Case{"rename out", kLoad, "rename", {}, "/tmp/a", "/etc/cron.d/b", kModify},
        Case{"rename in", kLoad, "renameat2", {}, "/etc/passwd", "/tmp/b", kModify},
        Case{"one quiet path does not hush the other",
             kLoad,
             "link",
             {},
             "/var/cache/a",
             "/etc/b",
             kModify},
        Case{"a heartbeat", kLoad, "utimensat", {9, 0}, {}, {}, "yes"},
        Case{"truncate", kLoad, "truncate", {}, "/etc/passwd", {}, kModify},
        Case{"queues by class", kLoad, "mq_open", {0, O_CREAT}, {}, {}, kModify},
        Case{"queues where everything goes", Phase::Init, "mq_open", {0, O_CREAT}, {}, {}, "yes"},
        Case{"memory files by class",
             kLoad,
             "memfd_create",
             {0, 1},
             {},
             {},
             "no load.filesystem.exec"},
        Case{"sealed ones", kLoad, "memfd_create", {0, 9}, {}, {}, "yes"},
        Case{"listed", Phase::Init, "memfd_create", {0, 1}, {}, {}, "yes"}));

INSTANTIATE_TEST_SUITE_P(
    Network, Decide,
    testing::Values(
        Case{"unix", kLoad, "socket", {AF_UNIX, SOCK_STREAM}, {}, {}, "yes"},
        Case{"a listener's socket",
             kLoad,
             "socket",
             {AF_INET, SOCK_STREAM | SOCK_CLOEXEC},
             {},
             {},
             "yes"},
        Case{"garbage above an int",
             kLoad,
             "socket",
             {AF_INET6 | kGarbage, SOCK_STREAM | kGarbage},
             {},
             {},
             "yes"},
        Case{"datagrams", kLoad, "socket", {AF_INET, SOCK_DGRAM}, {}, {}, kNetwork},
        Case{"the resolver",
             kLoad,
             "socket",
             {AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK},
             {},
             {},
             "quiet 13"},
        Case{"raw", kLoad, "socket", {AF_INET, SOCK_RAW}, {}, {}, "no never.socket 97"},
        Case{"packet", Phase::Init, "socket", {AF_PACKET, SOCK_RAW}, {}, {}, "no never.socket 97"},
        Case{"alg", Phase::Init, "socket", {AF_ALG, SOCK_SEQPACKET}, {}, {}, "no never.socket 97"},
        Case{"vsock behind garbage",
             Phase::Init,
             "socket",
             {AF_VSOCK | kGarbage, SOCK_STREAM},
             {},
             {},
             "no never.socket 97"},
        Case{"a datagram under another name",
             kLoad,
             "socket",
             {AF_UNIX, SOCK_RAW},
             {},
             {},
             kNetwork},
        Case{"a pair of streams", kLoad, "socketpair", {AF_UNIX, SOCK_STREAM}, {}, {}, "yes"},
        Case{"a pair of datagrams", kLoad, "socketpair", {AF_UNIX, SOCK_DGRAM}, {}, {}, kNetwork},
        Case{"the same", kLoad, "socketpair", {AF_UNIX, SOCK_RAW | kGarbage}, {}, {}, kNetwork},
        Case{"routes", kLoad, "socket", {AF_NETLINK, SOCK_RAW, 0}, {}, {}, kNetwork},
        Case{"routes", Phase::Init, "socket", {AF_NETLINK, SOCK_RAW, 0}, {}, {}, "yes"},
        Case{"audit netlink",
             Phase::Init,
             "socket",
             {AF_NETLINK, SOCK_RAW, 9},
             {},
             {},
             "no never.socket 97"},
        Case{"connect", kLoad, "connect", {3}, {}, "10.0.0.1:443", kNetwork},
        Case{"connect unseen", kLoad, "connect", {3}, {}, {}, kNetwork},
        Case{"connect to nscd", kLoad, "connect", {3}, {}, "unix:/run/nscd/socket", "quiet 111"},
        Case{"connect to another", kLoad, "connect", {3}, {}, "unix:/run/docker.sock", kNetwork},
        Case{"a path that ends like a port", kLoad, "connect", {3}, {}, "unix:/run/x:53", kNetwork},
        Case{"name server", kLoad, "connect", {3}, {}, "[fd00::1]:53", "quiet 111"},
        Case{"port 5353", kLoad, "connect", {3}, {}, "10.0.0.1:5353", kNetwork},
        Case{"anywhere", Phase::Init, "connect", {3}, {}, {}, "yes"},
        Case{"send on a connection", kLoad, "sendto", {3, 1, 1, 0, 0, 0}, {}, {}, "yes"},
        Case{"send to an address",
             kLoad,
             "sendto",
             {3, 1, 1, 0, 1, 16},
             {},
             "10.0.0.1:80",
             kNetwork},
        Case{"fast open connects",
             kLoad,
             "sendmsg",
             {3, 1, 0x20000000 | kGarbage},
             {},
             {},
             kNetwork},
        Case{"fast open of many", kLoad, "sendmmsg", {3, 1, 1, 0x20000000}, {}, {}, kNetwork},
        Case{"an ordinary sendmsg", kLoad, "sendmsg", {3, 1, 0x4000}, {}, {}, "yes"},
        Case{"listen", kLoad, "listen", {3, 128}, {}, {}, "yes"},
        Case{"a phase without a word on it",
             Phase::Serve,
             "listen",
             {3},
             {},
             {},
             "no serve.network.access"}));

INSTANTIATE_TEST_SUITE_P(
    Processes, Decide,
    testing::Values(
        Case{"no program at all", kLoad, "execve", {}, "/bin/sh", {}, "no load.process.exec"},
        Case{"without a look at memory", kLoad, "execveat", {}, {}, {}, "no load.process.exec"},
        Case{"what libraries ask for", kLoad, "execve", {}, "/usr/bin/uname", {}, "quiet 2"},
        Case{
            "the gate is open, the event decides", Phase::Init, "execve", {}, "/bin/sh", {}, "yes"},
        Case{"the loader as a program",
             Phase::Init,
             "execve",
             {},
             "/lib/ld-linux.so.2",
             {},
             "no init.process.exec"},
        Case{"fork", kLoad, "fork", {}, {}, {}, "no load.process.create"},
        Case{"fork in init", Phase::Init, "vfork", {}, {}, {}, "yes"},
        Case{"clone as fork", kLoad, "clone", {0x11}, {}, {}, "no load.process.create"},
        Case{"clone as thread", kLoad, "clone", {0x3d0f00}, {}, {}, "yes"},
        Case{"into a user namespace",
             Phase::Init,
             "clone",
             {0x10000011},
             {},
             {},
             "no never.clone 1"},
        Case{"a thread into one", Phase::Init, "clone", {0x103d0f00}, {}, {}, "no never.clone 1"},
        Case{"kill", kLoad, "kill", {1, 9}, {}, {}, "no load.process.cross"},
        Case{"is it there?", kLoad, "kill", {1, kGarbage}, {}, {}, "yes"},
        Case{"by queue", kLoad, "rt_sigqueueinfo", {1, 9}, {}, {}, "no load.process.cross"},
        Case{"by descriptor", kLoad, "pidfd_send_signal", {5, 9}, {}, {}, "no load.process.cross"},
        Case{"in init", Phase::Init, "kill", {1, 9}, {}, {}, "yes"},
        Case{"everybody", kLoad, "kill", {~0ULL, 9}, {}, {}, "no load.process.cross"},
        Case{"a group by number", kLoad, "kill", {~6ULL, 9}, {}, {}, "no load.process.cross"},
        Case{"the own group", kLoad, "kill", {kGarbage, 9}, {}, {}, "yes"},
        Case{"another's thread", kLoad, "tgkill", {1, 1, 9}, {}, {}, "no load.process.cross"},
        Case{"a scheduler's signal", kLoad, "tgkill", {1, 1, 23}, {}, {}, "yes"},
        Case{"a thread by number", kLoad, "tkill", {1, 6}, {}, {}, "no load.process.cross"},
        Case{"thread 0 is no group", kLoad, "tkill", {0, 6}, {}, {}, "no load.process.cross"},
        Case{"own limits", kLoad, "prlimit64", {kGarbage, 7}, {}, {}, "yes"},
        Case{"another's limits", kLoad, "prlimit64", {1, 0}, {}, {}, "no load.process.cross"},
        Case{"host name", kLoad, "sethostname", {}, {}, {}, "no load.system.control"},
        Case{"never", Phase::Init, "ptrace", {}, {}, {}, "no never.ptrace 1"},
        Case{"never, in the way callers know",
             Phase::Init,
             "clone3",
             {},
             {},
             {},
             "no never.clone3 38"}));

TEST(Decide, NamesWhatTheRegistersSay) {
  EXPECT_EQ(ask({"", kLoad, "socket", {AF_INET, SOCK_DGRAM}, {}, {}, ""}).object.name,
            "AF_INET SOCK_DGRAM");
  EXPECT_EQ(ask({"", kLoad, "kill", {12, 9}, {}, {}, ""}).object.name, "signal 9 to 12");
}

TEST(Decide, AWatchedOpenat2IsAnOpenByItsClaimedFlags) {
  CallFacts facts;
  facts.call = find_syscall("openat2");
  facts.claimed_path = "/etc/passwd";
  EXPECT_FALSE(decide(policy(), kLoad, facts).allowed) << "flags unread";
  facts.claimed_open_flags = O_RDONLY;
  EXPECT_TRUE(decide(policy(), kLoad, facts).allowed);
  facts.claimed_open_flags = O_WRONLY;
  EXPECT_EQ(said(decide(policy(), kLoad, facts)), kModify);
}

// What the supervisor has seen to be the caller's own number.
TEST(Decide, LetsAProcessSignalItself) {
  for (const char* call : {"kill", "tkill", "tgkill", "rt_sigqueueinfo", "prlimit64"}) {
    CallFacts facts;
    facts.call = find_syscall(call);
    facts.args = {7, 7, 9};
    EXPECT_FALSE(decide(policy(), kLoad, facts).allowed) << call;
    facts.target = Target::Self;
    EXPECT_TRUE(decide(policy(), kLoad, facts).allowed) << call;
  }
}

TEST(Decide, FreshCodeIsASwitchOfItsOwn) {
  const Policy jit = test::policy_from(
      "apiVersion: moat.dev/v1alpha1\nkind: LifecyclePolicy\nmetadata: {name: t}\nspec:\n"
      "  phases:\n    init: {filesystem: {exec: ['@jit']}}\n"
      "    load: {filesystem: {exec: ['/usr/**', '/memfd:*']}}\n");
  for (const char* call : {"mmap", "mprotect", "pkey_mprotect", "shmat"}) {
    CallFacts facts;
    facts.call = find_syscall(call);
    facts.args = {0, 4096, 0x8007, 0x22};
    EXPECT_TRUE(decide(jit, Phase::Init, facts).allowed) << call;
    EXPECT_EQ(said(decide(jit, Phase::Load, facts)), "no load.filesystem.exec") << call;
    EXPECT_EQ(decide(jit, Phase::Load, facts).object.name, "/anon:");
  }
}

TEST(Decide, RefusesACallItDoesNotKnow) {
  EXPECT_EQ(said(decide(policy(), Phase::Init, CallFacts{})), "no never.unknown");
}

}  // namespace
}  // namespace moat::policies
