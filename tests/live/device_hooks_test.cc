// The program for devices at a cgroup of its own: which nodes a process in it can open or make,
// phase by phase, whatever the path.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>

#include "oci/sys.h"
#include "shim/supervise/device_nodes.h"
#include "shim/supervise/network_hooks.h"
#include "shim/supervise/record_ring.h"
#include "tests/support/policies.h"
#include "tests/support/temp_dir.h"

namespace moat::shim {
namespace {

using policies::Mode;
using policies::Phase;

std::string unified_root() {
  struct stat status {};
  return ::stat("/sys/fs/cgroup/cgroup.controllers", &status) == 0 ? "/sys/fs/cgroup"
                                                                   : "/sys/fs/cgroup/unified";
}

class Devices : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(::mkdir(group_.c_str(), 0755), 0) << group_; }
  void TearDown() override {
    hooks_.reset();
    ::rmdir((group_ + "/moat-session").c_str());
    ::rmdir(group_.c_str());
  }

  // Everything in init, null in load, nothing in serve.
  void hold(Mode mode = Mode::Enforce) {
    const auto nodes = device_nodes(::getpid(), {});
    ASSERT_TRUE(nodes) << nodes.error().what;
    const auto policy = test::policy_from(
        "apiVersion: moat.dev/v1alpha1\nkind: LifecyclePolicy\nmetadata: {name: t}\nspec:\n"
        "  phases:\n    init: {device: {access: ['/dev/**']}}\n"
        "    load: {device: {access: ['/dev/null']}}\n    serve: {device: {access: []}}\n");
    const auto programs = policies::device_programs(policy, mode, *nodes);
    ASSERT_TRUE(programs) << programs.error().what;
    auto hooks = NetworkHooks::attach(group_, *programs);
    ASSERT_TRUE(hooks) << hooks.error().what;
    hooks_ = std::move(*hooks);
    ASSERT_TRUE(hooks_->holds_devices());
  }

  int inside(const std::function<int()>& body) {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto procs = oci::open_file(group_ + "/cgroup.procs", O_WRONLY);
      if (!procs || !oci::write_all(procs->raw(), "0")) ::_exit(99);
      ::alarm(60);
      ::_exit(body());
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  static int opened(const std::string& path, int flags = O_RDONLY) {
    const UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK));
    return fd.valid() ? 0 : errno;
  }

  int open_inside(const std::string& path, int flags = O_RDONLY) {
    return inside([&] { return opened(path, flags); });
  }

  std::vector<policies::NetworkRecord> records() {
    std::vector<policies::NetworkRecord> all;
    auto ring = RecordRing::of(UniqueFd(::dup(hooks_->ring())));
    EXPECT_TRUE(ring);
    if (ring) ring->drain(1000, [&](const auto& record) { all.push_back(record); });
    return all;
  }

  std::string group_ = unified_root() + "/moat-devices-" + std::to_string(::getpid());
  test::TempDir scratch_;
  std::unique_ptr<NetworkHooks> hooks_;
};

TEST_F(Devices, NothingIsOpenedBeforeTheFirstPhase) {
  hold();
  EXPECT_EQ(open_inside("/dev/null"), EPERM);
}

TEST_F(Devices, OnlyWhatThePhaseListsIsOpened) {
  hold();
  hooks_->enter(Phase::Init);
  EXPECT_EQ(open_inside("/dev/zero"), 0);
  hooks_->enter(Phase::Load);
  EXPECT_EQ(open_inside("/dev/null", O_RDWR), 0);
  EXPECT_EQ(open_inside("/dev/zero"), EPERM);
  EXPECT_EQ(open_inside("/dev/urandom"), EPERM);
  hooks_->enter(Phase::Serve);
  EXPECT_EQ(open_inside("/dev/null"), EPERM);
  EXPECT_EQ(opened("/dev/zero"), 0) << "nobody else is held";
}

TEST_F(Devices, ANodeOfAnotherNameIsTheSameDevice) {
  const std::string node = scratch_.path() + "/innocent", link = scratch_.path() + "/link";
  ASSERT_EQ(::mknod(node.c_str(), S_IFCHR | 0600, makedev(1, 5)), 0);
  ASSERT_EQ(::symlink("/dev/zero", link.c_str()), 0);
  hold();
  hooks_->enter(Phase::Load);
  EXPECT_EQ(open_inside(node), EPERM);
  EXPECT_EQ(open_inside(link), EPERM);
}

TEST_F(Devices, ANodeThatIsNotListedIsNotEvenMade) {
  hold();
  hooks_->enter(Phase::Load);
  const std::string node = scratch_.path() + "/made";
  const auto make = [&](unsigned minor) {
    return inside(
        [&] { return ::mknod(node.c_str(), S_IFCHR | 0600, makedev(1, minor)) == 0 ? 0 : errno; });
  };
  EXPECT_EQ(make(11), EPERM);
  EXPECT_NE(::access(node.c_str(), F_OK), 0);
  EXPECT_EQ(make(3), 0) << "null";
}

TEST_F(Devices, ADescriptorFromBeforeIsNotOpenedAgain) {
  hold();
  hooks_->enter(Phase::Init);
  EXPECT_EQ(inside([&] {
              const UniqueFd path(::open("/dev/zero", O_PATH | O_CLOEXEC));
              const UniqueFd held(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
              hooks_->enter(Phase::Load);
              for (const UniqueFd* fd : {&path, &held})
                if (opened("/proc/self/fd/" + std::to_string(fd->raw())) != EPERM) return 100;
              char byte = 0;
              return ::read(held.raw(), &byte, 1) == 1 ? 0 : errno;  // what is open stays open
            }),
            0);
}

TEST_F(Devices, EachRefusalIsTold) {
  hold();
  hooks_->enter(Phase::Load);
  EXPECT_EQ(open_inside("/dev/zero", O_WRONLY), EPERM);
  const auto told = records();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(policies::device_text(told[0], *device_nodes(::getpid(), {})), "/dev/zero");
  EXPECT_EQ(told[0].phase, policies::phase_word(Phase::Load));
  EXPECT_NE(told[0].pid_tgid, 0U);
}

TEST_F(Devices, AuditTellsAndLetsGo) {
  hold(Mode::Audit);
  hooks_->enter(Phase::Serve);
  EXPECT_EQ(open_inside("/dev/zero"), 0);
  EXPECT_EQ(records().size(), 1U);
}

TEST_F(Devices, ASessionIsLetThrough) {
  hold();
  hooks_->enter(Phase::Serve);
  EXPECT_EQ(inside([&] {
              if (!hooks_->admit(::getpid())) return 100;
              return opened("/dev/zero");
            }),
            0);
}

TEST_F(Devices, TheProgramOutlivesWhoAttachedItWithTheLastPhase) {
  hold();
  hooks_->enter(Phase::Load);
  hooks_.reset();
  EXPECT_EQ(open_inside("/dev/zero"), EPERM);
  EXPECT_EQ(open_inside("/dev/null"), 0);
}

TEST_F(Devices, ADetachedProgramIsPutBack) {
  hold();
  hooks_->enter(Phase::Load);
  const auto cgroup = oci::open_file(group_, O_RDONLY | O_DIRECTORY);
  const auto ids = bpf::attached(cgroup->raw(), BPF_CGROUP_DEVICE);
  ASSERT_TRUE(ids && ids->size() == 1U);
  bpf_attr by_id{};
  by_id.prog_id = ids->front();
  const UniqueFd program(
      static_cast<int>(::syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &by_id, sizeof by_id)));
  ASSERT_TRUE(bpf::detach(cgroup->raw(), program.raw(), BPF_CGROUP_DEVICE));
  EXPECT_EQ(open_inside("/dev/zero"), 0);
  EXPECT_TRUE(hooks_->repair().value());
  EXPECT_EQ(open_inside("/dev/zero"), EPERM);
}

TEST(DeviceNodes, AreThoseOfDevAndTheListedPlaces) {
  test::TempDir place;
  const std::string node = place.path() + "/mine", link = place.path() + "/link";
  ASSERT_EQ(::mknod(node.c_str(), S_IFCHR | 0600, makedev(1, 3)), 0);
  ASSERT_EQ(::symlink("/dev/null", link.c_str()), 0);
  const auto nodes = device_nodes(::getpid(), {node, link, "/nowhere"});
  ASSERT_TRUE(nodes) << nodes.error().what;
  const auto has = [&](const policies::DeviceNode& wanted) {
    return std::ranges::find(*nodes, wanted) != nodes->end();
  };
  EXPECT_TRUE(has({"/dev/null", false, 1, 3}));
  EXPECT_TRUE(has({node, false, 1, 3}));
  EXPECT_TRUE(std::ranges::none_of(*nodes, [&](const auto& one) { return one.path == link; }));
}

}  // namespace
}  // namespace moat::shim
