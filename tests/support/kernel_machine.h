// The part of the kernel's BPF machine that network programs are made of, run in user space: what a
// program says to an address, without a kernel that has to load it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policies/network_program.h"

namespace moat::test {

struct Machine {
  policies::NetworkState state;
  std::uint64_t cgroup = 1;           // of whoever asks
  std::vector<std::uint8_t> context;  // what register 1 points to at first
  // What the kernel knows of it besides: a socket's name as it was given, and where a program looks
  // for it.
  std::string name;
  policies::KernelNames names{77, 8, 32};
  std::vector<policies::NetworkRecord> records;
  bool full = false;  // the ring

  // What it returns; nothing when it leaves the subset, its memory or its end.
  std::optional<std::uint64_t> run(const policies::KernelCode& code);
};

}  // namespace moat::test
