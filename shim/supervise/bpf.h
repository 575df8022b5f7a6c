// The calls of bpf(2) that hold a container's network: maps, programs, their place at a cgroup.
#pragma once

#include <cstdint>
#include <vector>

#include "oci/fd.h"
#include "policies/network_program.h"

namespace moat::shim::bpf {

Result<UniqueFd> make_state();                  // one policies::NetworkState, to be mapped
Result<UniqueFd> make_ring(std::size_t bytes);  // a power of two of pages

// The error of a program that the kernel does not take ends with the verifier's reason.
Result<UniqueFd> load(const policies::HookKind& kind, policies::KernelCode code, int state,
                      int ring);
Result<std::uint32_t> id_of(int program);

// Of the kind that needs no holder: it stays until the cgroup is removed. `cgroup`: its folder.
Status attach(int cgroup, int program, std::uint32_t attach_type);
Status detach(int cgroup, int program, std::uint32_t attach_type);
Result<std::vector<std::uint32_t>> attached(int cgroup, std::uint32_t attach_type);

}  // namespace moat::shim::bpf
