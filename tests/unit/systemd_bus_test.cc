// A bus that is not there, hangs or goes away. What systemd answers is tested with a real one.
#include "shim/cgroups/systemd_bus.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include <cstdlib>

#include "oci/socket.h"
#include "oci/sys.h"
#include "shim/cgroups/manager.h"
#include "tests/support/temp_dir.h"

namespace moat::shim {
namespace {

using std::chrono::milliseconds;

class SystemdBusTest : public testing::Test {
 protected:
  // The machine's own, if it has one: nobody but the test is to answer.
  static void hide_systemd() {
    if (!std::filesystem::exists("/run/systemd/private")) return;
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount("none", "/", "", MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount("none", "/run/systemd", "tmpfs", 0, nullptr), 0);
  }
  void SetUp() override {
    ASSERT_TRUE(SdBus::load());
    hide_systemd();
    ::setenv("DBUS_SYSTEM_BUS_ADDRESS", ("unix:path=" + dir_.at("bus")).c_str(), 1);
  }
  void TearDown() override { ::unsetenv("DBUS_SYSTEM_BUS_ADDRESS"); }

  void listen() { listener_ = std::move(*oci::listen_unix(dir_.at("bus"), SOCK_STREAM, 0600)); }
  std::string freeze(SystemdBus& bus) {
    std::string answer;
    bus.ask("FreezeUnit", "a.scope", [&](const Status& status) {
      code_ = status ? Code::Unknown : status.error().code;
      answer = status ? "done" : status.error().what;
      loop_->stop();
    });
    loop_->after(milliseconds(9000), [&] { loop_->stop(); });
    loop_->run();
    return answer;
  }

  test::TempDir dir_;
  std::unique_ptr<oci::Loop> loop_ = std::move(*oci::Loop::create());
  UniqueFd listener_;
  Code code_ = Code::Unknown;
};

TEST_F(SystemdBusTest, OneThatIsNotThereIsAnErrorAtOnce) {
  const auto bus = SystemdBus::open(*loop_);
  ASSERT_FALSE(bus);
  EXPECT_EQ(bus.error().err, ENOENT);
}

TEST_F(SystemdBusTest, OneThatNeverGreetsCannotBeReached) {
  listen();
  const auto bus = SystemdBus::open(*loop_);
  ASSERT_TRUE(bus) << bus.error().what;
  const std::int64_t before = oci::monotonic_ms();
  EXPECT_EQ(freeze(**bus), "systemd does not answer within 5000 ms");
  EXPECT_EQ(code_, Code::Unavailable);
  EXPECT_LT(oci::monotonic_ms() - before, 8000);
}

TEST_F(SystemdBusTest, OneThatGoesAwayEndsWhatIsAskedAndTellsWhoWaits) {
  listen();
  const auto bus = SystemdBus::open(*loop_);
  ASSERT_TRUE(bus);
  int told = 0;
  const auto ticket = (*bus)->on_removed("a.scope", [&] { ++told; });
  loop_->after(milliseconds(50), [&] {
    const UniqueFd accepted(::accept(listener_.raw(), nullptr, nullptr));
    listener_.reset();
  });
  EXPECT_NE(freeze(**bus), "done");
  EXPECT_EQ(code_, Code::Unavailable);
  loop_->after(milliseconds(100), [&] { loop_->stop(); });
  loop_->run();
  EXPECT_EQ(told, 1);
  // The next question connects anew, and cannot.
  EXPECT_NE(freeze(**bus), "done");
}

TEST_F(SystemdBusTest, WhatItCannotDoIsDoneInTheFiles) {
  listen();
  auto bus = SystemdBus::open(*loop_);
  ASSERT_TRUE(bus);
  dir_.file("cg/a.scope/cgroup.freeze", "0\n");
  dir_.file("cg/a.scope/cgroup.events", "populated 1\nfrozen 1\n");
  const std::string root = dir_.at("cg");
  const auto cgroup =
      Cgroup::in("0::/a.scope\n", {root, true, "", [](const std::string&) { return true; }});
  const auto manager = manage_unit(std::move(*bus), "a.scope", manage_files(*loop_, *cgroup));
  listener_.reset();  // whoever is connected is hung up on
  std::string answer;
  manager->freeze([&](const Status& status) {
    answer = status ? "done" : status.error().what;
    loop_->stop();
  });
  loop_->after(milliseconds(9000), [&] { loop_->stop(); });
  loop_->run();
  EXPECT_EQ(answer, "done");
  EXPECT_EQ(oci::read_file(dir_.at("cg/a.scope/cgroup.freeze")).value_or(""), "1\n");
}

TEST(UnitOf, IsTheFoldersNameWhenSystemdCouldHaveGivenIt) {
  EXPECT_EQ(unit_of("/sys/fs/cgroup/system.slice/cri-1.scope"), "cri-1.scope");
  EXPECT_EQ(unit_of("/sys/fs/cgroup/k8s.io/abc"), "");
  EXPECT_EQ(unit_of("/sys/fs/cgroup/x'y.scope"), "") << "it goes into a rule between quotes";
  EXPECT_EQ(unit_of(""), "");
}

}  // namespace
}  // namespace moat::shim
