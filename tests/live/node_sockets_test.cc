// A socket of the host in a container's mounts is told of.
#include "shim/supervise/node_sockets.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "oci/fd.h"
#include "tests/support/temp_dir.h"
#include "tests/support/victim.h"

namespace moat::shim {
namespace {

bool make_socket(const std::string& path) {
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return ::bind(fd.raw(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

std::size_t notes_of(const std::string& source) {
  const auto spec =
      oci::Spec::parse(R"({"mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},)"
                       R"({"destination": "/here", "type": "bind", "source": ")" +
                       source + R"(", "options": ["rbind"]}]})");
  return node_sockets_in(*spec).size();
}

TEST(NodeSockets, AnySocketAndFoldersOfKnownOnesAreTold) {
  const test::TempDir folder;
  const std::string any = folder.path() + "/any.sock";
  ASSERT_TRUE(make_socket(any));
  EXPECT_EQ(notes_of(any), 1U);
  EXPECT_EQ(notes_of(folder.path()), 0U) << "what listens there is the pod's own";
  EXPECT_EQ(notes_of("/nowhere"), 0U);
}

// On a /run of its own, in a mount namespace of its own.
TEST(NodeSockets, AKnownOneIsFoundFromEveryFolderAboveIt) {
  const test::Victim victim(
      [] {
        if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 100;
        if (::mount("none", "/run", "tmpfs", 0, "size=1m") != 0) return 101;
        if (notes_of("/run") != 0) return 102;
        ::mkdir("/run/containerd", 0755);
        if (!make_socket("/run/containerd/containerd.sock")) return 103;
        for (const char* above : {"/run/containerd", "/run", "/var/run", "/var/run/containerd", "/",
                                  "/run/containerd/containerd.sock"})
          if (notes_of(above) != 1) return 104;
        return notes_of("/run/containerd2") == 0 ? 0 : 105;
      },
      CLONE_NEWNS);
  EXPECT_EQ(victim.result(), 0U);
}

}  // namespace
}  // namespace moat::shim
