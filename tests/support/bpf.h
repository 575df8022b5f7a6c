// The part of classic BPF that seccomp filters are made of, run in user space: a filter's answer
// without a process that has to live under it.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <vector>

#include "policies/result.h"

namespace moat::test {

using Program = std::vector<sock_filter>;

// The 32-bit SECCOMP_RET_* value. An instruction outside the subset is an error, as is running off
// the program's end.
Result<std::uint32_t> run(const Program& program, const seccomp_data& call);

}  // namespace moat::test
