// without CALL[,CALL...] -- COMMAND...: runs a command to which the kernel refuses these calls, as
// a sandbox or an old kernel would.
#include <seccomp.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sstream>
#include <string>

int main(int argc, char** argv) {
  if (argc < 4 || std::strcmp(argv[2], "--") != 0) return 2;
  scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ALLOW);
  // Privileges stay as they are: what is started has much to do.
  ::seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
  std::istringstream names(argv[1]);
  for (std::string name; std::getline(names, name, ',');) {
    const int number = ::seccomp_syscall_resolve_name(name.c_str());
    if (number < 0 || ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0) != 0) {
      std::fprintf(stderr, "without: %s\n", name.c_str());
      return 2;
    }
  }
  if (::seccomp_load(filter) != 0) return 1;
  ::execvp(argv[3], argv + 3);
  std::perror(argv[3]);
  return 1;
}
