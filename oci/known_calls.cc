#include "oci/known_calls.h"

#include <seccomp.h>

#include <cstdlib>
#include <memory>

namespace moat::oci {

std::vector<std::string> known_calls(policies::Arch arch) {
  struct Free {
    void operator()(char* text) const { std::free(text); }
  };
  constexpr int kNumbers = 1024;  // twice as many as there are
  const std::uint32_t token = arch == policies::Arch::X86_64 ? SCMP_ARCH_X86_64 : SCMP_ARCH_AARCH64;
  std::vector<std::string> names;
  for (int number = 0; number < kNumbers; ++number)
    if (const std::unique_ptr<char, Free> name{seccomp_syscall_resolve_num_arch(token, number)})
      names.emplace_back(name.get());
  return names;
}

}  // namespace moat::oci
