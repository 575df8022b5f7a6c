// The shim's binary: which of its roles it plays.
#include <google/protobuf/stubs/logging.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "oci/sys.h"
#include "shim/command_line.h"
#include "shim/delete.h"
#include "shim/info.h"
#include "shim/server.h"
#include "shim/start.h"
#include "shim/supervise/roles.h"
#include "shim/task/mounts.h"

namespace moat::shim {

namespace {

int tell(const Status& status) {
  if (status) return 0;
  std::fputs(status.error().what.c_str(), stderr);
  return 1;
}

// "mount FOLDER", the mounts on stdin.
int mount_main(const char* folder) {
  return tell(oci::read_all(0)
                  .and_then(mounts_of_json)
                  .and_then([&](const std::vector<RootfsMount>& mounts) {
                    return mount_rootfs(folder, mounts);
                  }));
}

// "unmount FOLDER": what may take as long as a disk needs, out of the server's way.
int unmount_main(const char* folder) {
  return tell(unmount_tree(folder));
}

int shim_main(const std::vector<std::string>& arguments) {
  // Of a string that is not UTF-8 protobuf tells standard error, which containerd takes for a part
  // of the address: a pod's user ids in the options, read as the newer message, are such a string.
  google::protobuf::SetLogHandler(nullptr);
  const auto line = parse_command_line(arguments);
  if (!line) {
    std::fprintf(stderr, "%s\n%s", line.error().what.c_str(), usage().c_str());
    return 2;
  }
  if (line->help) {
    std::fputs(usage().c_str(), stderr);
    return 0;
  }
  if (line->version) {
    std::fputs(version_text().c_str(), stdout);
    return 0;
  }
  if (line->info) return info_main();
  if (line->ns.empty()) {
    std::fputs("shim namespace cannot be empty\n", stderr);
    return 1;
  }
  switch (line->action) {
    case Action::Serve:
      return serve_main(*line);
    case Action::Start:
      return start_main(*line);
    case Action::Delete:
      return delete_main(*line);
  }
  return 2;
}

}  // namespace

}  // namespace moat::shim

int main(int argc, char** argv) {
  // The first argument chooses a role; containerd's own command lines begin with a flag.
  const std::string_view role = argc > 1 ? argv[1] : "";
  if (role == "supervisor") return moat::shim::supervisor_main(argc, argv);
  if (role == "keeper") return moat::shim::keeper_main(argc, argv);
  if (role == "transition") return moat::shim::transition_main(argc, argv);
  if (role == "probes") return moat::shim::probes_main();
  if (role == "settle") return moat::shim::settle_main(argc, argv);
  if (role == "cut") return moat::shim::cut_main(argc, argv);
  if (role == "mount" && argc == 3) return moat::shim::mount_main(argv[2]);
  if (role == "unmount" && argc == 3) return moat::shim::unmount_main(argv[2]);
  return moat::shim::shim_main({argv + (argc > 0 ? 1 : 0), argv + argc});
}
