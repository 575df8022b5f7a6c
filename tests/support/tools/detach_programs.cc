// detach_programs FOLDER: takes the programs on connecting and sending off a cgroup, as something
// that manages the node might.
#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>

#include "shim/supervise/bpf.h"

int main(int argc, char** argv) {
  using namespace moat;
  if (argc != 2) return 2;
  const UniqueFd cgroup(::open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  int detached = 0;
  for (const std::uint32_t type :
       {BPF_CGROUP_INET4_CONNECT, BPF_CGROUP_UDP4_SENDMSG, BPF_CGROUP_INET_EGRESS}) {
    const auto ids = shim::bpf::attached(cgroup.raw(), type);
    if (!ids) return 1;
    for (const std::uint32_t id : *ids) {
      bpf_attr by_id{};
      by_id.prog_id = id;
      const UniqueFd program(
          static_cast<int>(::syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &by_id, sizeof by_id)));
      if (shim::bpf::detach(cgroup.raw(), program.raw(), type)) ++detached;
    }
  }
  std::printf("%d\n", detached);
  return detached > 0 ? 0 : 1;
}
