// What the programs at a container's cgroup have in common: who asks (a session is let through),
// which phase it is, and, if nothing in between allows what is asked for, a record. Straight down,
// without a loop, so that every kernel's verifier takes it. Nothing outside of this folder includes
// this.
#pragma once

#include <cstddef>
#include <functional>

#include "policies/network_program.h"

namespace moat::policies::detail {

// Registers. 1 to 5 are gone after every call of a function.
inline constexpr std::uint8_t kResult = BPF_REG_0, kTemp = BPF_REG_1, kContext = BPF_REG_6,
                              kPhase = BPF_REG_7, kState = BPF_REG_8, kFrame = BPF_REG_10;

// At the top of the frame.
inline constexpr std::int16_t kRecord = -static_cast<std::int16_t>(sizeof(NetworkRecord));

constexpr std::int16_t in_record(std::size_t member) {
  return static_cast<std::int16_t>(kRecord + static_cast<std::int16_t>(member));
}

class RecordWriter {
 protected:
  RecordWriter(NetworkHook hook, bool audit) : hook_(hook), audit_(audit) {}

  // `cgroup_of`: the kernel's function that tells whose it is. Phases that are `free` may
  // everything.
  void begin(bpf_func_id cgroup_of, const std::function<bool(Phase)>& free);
  void note(std::size_t member, std::uint32_t value);
  void end(bool with_caller);

  NetworkHook hook_;
  bool audit_;
  Assembler out_;
  Assembler::Label allow_ = out_.label(), refuse_ = out_.label();
};

}  // namespace moat::policies::detail
