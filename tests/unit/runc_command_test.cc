#include <gtest/gtest.h>

#include "oci/runc.h"

namespace moat::oci {
namespace {

const RuncConfig kConfig{"runc", "/run/r/ns", "/b/log.json", false};

std::string joined(const Argv& argv) {
  std::string text;
  for (const std::string& word : argv) text += (text.empty() ? "" : " ") + word;
  return text;
}

TEST(RuncCommand, IsWhatGoRuncWrites) {
  const std::string base = "runc --root /run/r/ns --log /b/log.json --log-format json ";
  EXPECT_EQ(joined(runc_create(kConfig, {"c1", "/b", "/b/init.pid", false, false, ""})),
            base + "create --bundle /b --pid-file /b/init.pid c1");
  EXPECT_EQ(joined(runc_create(kConfig, {"c1", "/b", "/b/init.pid", true, true, "pty4"})),
            base +
                "create --bundle /b --pid-file /b/init.pid --console-socket pty4 --no-pivot "
                "--no-new-keyring c1");
  EXPECT_EQ(joined(runc_start(kConfig, "c1")), base + "start c1");
  EXPECT_EQ(joined(runc_exec(kConfig, {"c1", "/b/e.process.json", "/b/e.pid"})),
            base + "exec --process /b/e.process.json --detach --pid-file /b/e.pid c1");
  EXPECT_EQ(joined(runc_delete(kConfig, "c1", false)), base + "delete c1");
  EXPECT_EQ(joined(runc_delete(kConfig, "c1", true)), base + "delete --force c1");
  EXPECT_EQ(joined(runc_pause(kConfig, "c1")), base + "pause c1");
  EXPECT_EQ(joined(runc_resume(kConfig, "c1")), base + "resume c1");
  EXPECT_EQ(joined(runc_update(kConfig, "c1")), base + "update --resources=- c1");
  EXPECT_EQ(joined(runc_exec(kConfig, {"c1", "/b/e.process.json", "/b/e.pid", "pty5"})),
            base +
                "exec --process /b/e.process.json --detach --pid-file /b/e.pid "
                "--console-socket pty5 c1");
}

TEST(RuncCommand, CheckpointsAndRestoresAsGoRuncDoes) {
  const std::string base = "runc --root /run/r/ns --log /b/log.json --log-format json ";
  EXPECT_EQ(joined(runc_checkpoint(kConfig, {.id = "c1", .image_path = "/i", .work_path = "/w"})),
            base + "checkpoint --image-path /i --work-path /w --leave-running c1");
  RuncCheckpoint all{"c1", "/i", "/w", "/p", false, true, true, true, true, {"network"}, "soft"};
  EXPECT_EQ(joined(runc_checkpoint(kConfig, all)),
            base +
                "checkpoint --image-path /i --work-path /w --parent-path /p --tcp-established "
                "--ext-unix-sk --shell-job --file-locks --manage-cgroups-mode soft "
                "--empty-ns network c1");
  EXPECT_EQ(joined(runc_restore(kConfig, {"c1", "/b", "/b/init.pid", "/i", "/w", "", true, ""})),
            base +
                "restore --image-path /i --work-path /w --detach --pid-file /b/init.pid "
                "--no-pivot --no-subreaper --bundle /b c1");
}

TEST(RuncCommand, NamesTheSystemdDriverAndAnotherBinary) {
  const RuncConfig config{"/opt/crun", "/r/ns", "/b/log.json", true};
  EXPECT_EQ(joined(runc_start(config, "c1")),
            "/opt/crun --root /r/ns --log /b/log.json --log-format json --systemd-cgroup start c1");
}

}  // namespace
}  // namespace moat::oci
