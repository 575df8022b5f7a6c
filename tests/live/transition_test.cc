// The read-only flip against a real mount namespace, through the shipped binary.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>

#include "oci/spawn.h"
#include "oci/sys.h"
#include "shim/supervise/mount_table.h"
#include "tests/support/victim.h"

namespace moat::shim {
namespace {

oci::RunResult transition(const test::Victim& victim, std::uint64_t start_time,
                          const std::vector<std::string>& islands) {
  auto loop = std::move(*oci::Loop::create());
  oci::Command command;
  command.argv = {std::string(MOAT_BIN) + "/containerd-shim-moat-v2", "transition",
                  std::to_string(victim.pid()), std::to_string(start_time)};
  for (const std::string& island : islands) command.argv.push_back(island);
  oci::RunResult result;
  oci::run(*loop, std::move(command), {}, std::chrono::seconds(10),
           [&](Result<oci::RunResult> done) {
             if (done) result = *done;
             loop->stop();
           });
  loop->run();
  return result;
}

bool readonly(const test::Victim& victim, const std::string& point) {
  const auto mounts = mounts_of(victim.pid());
  for (const MountEntry& mount : *mounts)
    if (mount.point == point) return mount.readonly;
  ADD_FAILURE() << "no mount at " << point;
  return false;
}

// A root of its own, so that the flip has nothing of this machine's to touch.
std::uint64_t small_world(bool keep_writer) {
  if (::mount("none", "/mnt", "tmpfs", 0, "size=1m") != 0) return 1;
  for (const char* dir : {"/mnt/island", "/mnt/data", "/mnt/proc", "/mnt/old"}) ::mkdir(dir, 0755);
  if (::mount("none", "/mnt/island", "tmpfs", 0, "size=1m") != 0) return 2;
  if (::mount("none", "/mnt/data", "tmpfs", 0, "size=1m") != 0) return 3;
  if (::mount("proc", "/mnt/proc", "proc", 0, nullptr) != 0) return 4;
  if (::chroot("/mnt") != 0 || ::chdir("/") != 0) return 5;
  if (keep_writer && ::open("/data/app.log", O_WRONLY | O_CREAT | O_CLOEXEC, 0644) < 0) return 6;
  return 0;
}

TEST(Transition, TurnsEverythingButIslandsReadOnly) {
  const test::Victim victim([] { return small_world(false); }, CLONE_NEWNS);
  ASSERT_EQ(victim.result(), 0U);
  const auto result = transition(victim, oci::start_time_of(victim.pid()), {"/island"});
  EXPECT_EQ(result.exit.status, 0) << result.output;
  EXPECT_TRUE(readonly(victim, "/"));
  EXPECT_TRUE(readonly(victim, "/data"));
  EXPECT_FALSE(readonly(victim, "/island"));
  EXPECT_TRUE(readonly(victim, "/proc")) << "/proc/PID/mem is a way into other processes";
  const std::string root = "/proc/" + std::to_string(victim.pid()) + "/root";
  EXPECT_LT(::open((root + "/data/new").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644), 0);
  EXPECT_EQ(errno, EROFS);
  const UniqueFd allowed(
      ::open((root + "/island/new").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  EXPECT_TRUE(allowed.valid());
}

TEST(Transition, ABusyMountChangesNothingAndNamesProcessFileAndTheWayOut) {
  const test::Victim victim([] { return small_world(true); }, CLONE_NEWNS);
  ASSERT_EQ(victim.result(), 0U);
  const auto result = transition(victim, oci::start_time_of(victim.pid()), {"/island"});
  EXPECT_EQ(result.exit.status, 1);
  for (const std::string& part :
       {std::string("'/data' cannot become read-only"),
        "(pid " + std::to_string(victim.pid()) + ")", std::string("/data/app.log open for writing"),
        std::string("moat.dev/cache-paths: /data")})
    EXPECT_NE(result.output.find(part), std::string::npos) << result.output;
  EXPECT_FALSE(readonly(victim, "/")) << "what was flipped before must be flipped back";
  EXPECT_FALSE(readonly(victim, "/data"));
}

std::vector<std::string> ids_of(const test::Victim& victim,
                                const std::vector<std::string>& points) {
  std::vector<std::string> words{"--undo"};
  for (const MountEntry& mount : *mounts_of(victim.pid()))
    if (std::ranges::find(points, mount.point) != points.end())
      words.push_back(std::to_string(mount.id));
  return words;
}

TEST(Transition, IsUndoneForTheMountsItIsToldAndNoOther) {
  const test::Victim victim([] { return small_world(false); }, CLONE_NEWNS);
  ASSERT_EQ(victim.result(), 0U);
  const std::uint64_t start = oci::start_time_of(victim.pid());
  ASSERT_EQ(transition(victim, start, {"/island"}).exit.status, 0);
  const auto result = transition(victim, start, ids_of(victim, {"/data", "/proc", "/island"}));
  EXPECT_EQ(result.exit.status, 0) << result.output;
  EXPECT_FALSE(readonly(victim, "/data"));
  EXPECT_FALSE(readonly(victim, "/proc"));
  EXPECT_FALSE(readonly(victim, "/island"));
  EXPECT_TRUE(readonly(victim, "/")) << "was not named";
  EXPECT_EQ(transition(victim, start, {"/island"}).exit.status, 0) << "it may be tried again";
  EXPECT_TRUE(readonly(victim, "/data"));
}

TEST(Transition, RefusesAnotherProcessUnderTheSameNumber) {
  const test::Victim victim([] { return small_world(false); }, CLONE_NEWNS);
  ASSERT_EQ(victim.result(), 0U);
  const auto result = transition(victim, oci::start_time_of(victim.pid()) + 1, {});
  EXPECT_EQ(result.exit.status, 1);
  EXPECT_NE(result.output.find("init is gone"), std::string::npos) << result.output;
  EXPECT_FALSE(readonly(victim, "/data"));
}

// As small_world(), with names that lead to sockets in several ways.
std::uint64_t world_of_names() {
  if (const std::uint64_t failed = small_world(false); failed != 0) return failed;
  for (const char* dir : {"/run", "/run/app", "/run/app/deep", "/links", "/links/in", "/twice",
                          "/second", "/island/in"})
    if (::mkdir(dir, 0755) != 0) return 10;
  struct Link {
    const char *to, *at;
  };
  for (const Link& link : {Link{"../run/app", "/links/good"}, Link{"/island/a.sock", "/links/out"},
                           Link{"/links/hop", "/links/far"}, Link{"../island", "/links/hop"},
                           Link{"/links/loop", "/links/loop"}, Link{"/run", "/island/back"},
                           Link{"/island/in", "/links/in/deep"}})
    if (::symlink(link.to, link.at) != 0) return 11;
  return ::mount("/twice", "/second", nullptr, MS_BIND, nullptr) == 0 ? 0 : 12;
}

// Who can write on the way decides where it leads.
TEST(Transition, ANameTheWorkloadCouldLeadElsewhereIsRefused) {
  const test::Victim victim([] { return world_of_names(); }, CLONE_NEWNS);
  ASSERT_EQ(victim.result(), 0U);
  struct Row {
    const char *name, *reason;
  };
  for (const Row& row : {
           Row{"/island/a.sock", "/island stays writable"},
           Row{"/links/out", "/island stays writable"},
           Row{"/links/far/a.sock", "/island stays writable"},
           Row{"/island/back/log.sock", "/island stays writable"},
           Row{"/links/loop", "too many symlinks"},
           Row{"/twice/a.sock", "/twice can be written to through /second"},
           Row{"/links/**", "cannot be held to its name"},
           Row{"/links/in/**", "stays writable"},
           Row{"/proc/1/root/run/log.sock", "stays writable"},
       }) {
    const auto result = transition(victim, oci::start_time_of(victim.pid()),
                                   {std::string("--unix=") + row.name, "/island", "/second"});
    EXPECT_EQ(result.exit.status, 1) << row.name;
    EXPECT_NE(result.output.find(row.reason), std::string::npos) << row.name << result.output;
    EXPECT_FALSE(readonly(victim, "/")) << "nothing is changed then";
  }
  const auto result = transition(victim, oci::start_time_of(victim.pid()),
                                 {"--unix=/run/log.sock", "--unix=/links/good/a.sock",
                                  "--unix=/run/**", "--unix=/none/at/all", "/island", "/second"});
  EXPECT_EQ(result.exit.status, 0) << result.output;
  EXPECT_TRUE(readonly(victim, "/"));
}

}  // namespace
}  // namespace moat::shim
