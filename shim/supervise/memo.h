// Answers that are remembered: a program asks the same again and again, and the lists of a phase
// are long. Only allowances of a pure function are, each under everything it was asked with (the
// phase, the registers, the path as the kernel told it), so that none can be outdated or meant for
// somebody else; who fills the places with other questions only loses the benefit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "policies/phase.h"
#include "policies/syscalls.h"

namespace moat::shim {

// Opens for reading whose file the phase allows to everybody.
class OpenMemo {
 public:
  [[nodiscard]] bool knows(policies::Phase phase, std::string_view path) const {
    const Entry& entry = entries_[place_of(path)];
    return entry.used && entry.phase == phase && entry.path == path;
  }
  void add(policies::Phase phase, std::string_view path) {
    if (path.size() <= kMaxPath) entries_[place_of(path)] = {true, phase, std::string(path)};
  }

 private:
  static constexpr std::size_t kEntries = 128;
  static constexpr std::size_t kMaxPath = 256;  // longer ones are decided again

  struct Entry {
    bool used = false;
    policies::Phase phase{};
    std::string path;
  };
  static std::size_t place_of(std::string_view path) {
    return std::hash<std::string_view>{}(path) % kEntries;
  }
  std::array<Entry, kEntries> entries_;
};

// Calls that the phase allows by their registers alone.
class CallMemo {
 public:
  using Registers = std::array<std::uint64_t, 6>;

  [[nodiscard]] bool knows(policies::Phase phase, const policies::SyscallRow& call,
                           const Registers& registers) const {
    const Entry& entry = entries_[place_of(call)];
    return entry.call == &call && entry.phase == phase && entry.registers == registers;
  }
  void add(policies::Phase phase, const policies::SyscallRow& call, const Registers& registers) {
    entries_[place_of(call)] = {&call, phase, registers};
  }
  // When something else than phase and registers decides differently.
  void forget() { entries_ = {}; }

 private:
  static constexpr std::size_t kEntries = 32;

  struct Entry {
    const policies::SyscallRow* call = nullptr;
    policies::Phase phase{};
    Registers registers{};
  };
  // One place for a call: what repeats, repeats with the same registers.
  static std::size_t place_of(const policies::SyscallRow& call) {
    return static_cast<std::size_t>(&call - policies::syscalls().data()) % kEntries;
  }
  std::array<Entry, kEntries> entries_{};
};

}  // namespace moat::shim
