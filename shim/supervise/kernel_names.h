// What a program on Unix sockets must know of this kernel: the number of one of its functions and
// two places in one of its structures, from the kernel's description of its own types (BTF).
#pragma once

#include <cstddef>
#include <functional>

#include "policies/network_program.h"

namespace moat::shim {

// Reads up to `size` bytes from `offset` on; how many came, 0 at the end and for an error.
using ReadAt = std::function<std::size_t(char* into, std::size_t size, std::uint64_t offset)>;

// Of any bytes: what is no BTF, or is without these types, is an error. Reads them once, in order,
// and keeps none of them.
Result<policies::KernelNames> kernel_names_in(const ReadAt& read);

// Of the running kernel; some milliseconds.
Result<policies::KernelNames> kernel_names();

}  // namespace moat::shim
