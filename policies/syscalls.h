// The one table of system calls moat speaks about: name, numbers, what each argument is, the action
// it belongs to and the registers that make it interesting. Filter, decoder, names and documents
// are derived from it; there is no second list.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "policies/action.h"
#include "policies/registers.h"

namespace moat::policies {

enum class Arch : std::uint8_t { X86_64, Arm64 };

// The role of one argument, for the decoder. `Path` and `Name` are relative to the `DirFd`
// before them, if any.
enum class Arg : std::uint8_t {
  None,
  Fd,
  DirFd,
  Path,       // pointer to a NUL-terminated path
  Name,       // the same, but its last component is meant itself, even if it is a symlink
  Text,       // pointer to a string that is not resolved (a symlink's content)
  OpenFlags,  // O_* in a register
  OpenHow,    // pointer to struct open_how
  Argv,       // pointer to a vector of strings
  SockAddr,   // pointer to a sockaddr, its length in the next argument
  Length,
  Domain,
  SockType,
  Protocol,
  CloneFlags,
  Pid,
  Signal,
  Flags,
  Protection,  // PROT_*; of shmat, flags that say the same
  Number,      // any other integer
  Pointer,
};

enum class Tier : std::uint8_t {
  Never,    // what is `barred` of it is all there is to decide
  Gate,     // decided from the registers alone
  Path,     // path-changing: a claimed path may justify a refusal, the mount has the last word
  Trigger,  // moves the lifecycle, e.g. listen
};

struct SyscallRow {
  std::string_view name;
  std::int32_t x86_64 = -1;  // -1: the architecture does not have it
  std::int32_t arm64 = -1;
  std::array<Arg, 6> args{};
  Action action = Action::SystemControl;
  Tier tier = Tier::Never;
  // Refused in the filter in `enforce`, in every phase, unreported, with `never_errno`: ENOSYS
  // where libcs fall back on their own.
  int never_errno = 0;
  const RegisterSet* barred = &kNoRegisters;
  // Of the rest: when the call is worth a question.
  const RegisterSet* interest = &kAllRegisters;

  [[nodiscard]] constexpr std::int32_t number(Arch arch) const {
    return arch == Arch::X86_64 ? x86_64 : arm64;
  }
  // Which argument plays `role` (the first that does).
  [[nodiscard]] constexpr std::optional<std::size_t> index_of(Arg role) const {
    for (std::size_t i = 0; i < args.size(); ++i)
      if (args[i] == role) return i;
    return std::nullopt;
  }
};

std::span<const SyscallRow> syscalls();  // sorted by name
const SyscallRow* find_syscall(std::string_view name);
const SyscallRow* find_syscall(Arch arch, std::int32_t number);

}  // namespace moat::policies
