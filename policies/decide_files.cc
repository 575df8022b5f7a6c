// Calls that change files: claimed paths may refuse, the mount decides what was really meant.
#include <fcntl.h>

#include <cerrno>

#include "policies/decide_parts.h"

namespace moat::policies::detail {
namespace {

bool is_device(std::string_view path) {
  const auto inside = [path](std::string_view place) {
    return path.starts_with(place) && (path.size() == place.size() || path[place.size()] == '/');
  };
  // Memory and message queues have their names there, but they are files of the workload's making.
  return path.starts_with("/dev/") && !inside("/dev/shm") && !inside("/dev/mqueue");
}

// A claim that is no normal path ("pipe:[7]/x") is in no set but the one without limits.
bool covers(const PathSet& set, const std::string& path) {
  return set.contains(path) || covers_everything(set);
}

bool opens(const SyscallRow& call) {
  return call.index_of(Arg::OpenFlags) || call.index_of(Arg::OpenHow) || call.name == "creat";
}

Decision unreadable(const Boundary& boundary, bool opening) {
  const bool anything =
      covers_everything(boundary.modify) && (!opening || covers_everything(boundary.devices));
  Decision decision = verdict(anything, Action::FilesystemModify, {ObjectType::File, ""});
  decision.err = EFAULT;  // what an honest caller with a bad pointer gets from the kernel
  return decision;
}

Decision decide_one(const Boundary& boundary, const std::string& path, bool opening) {
  // Only an open uses a device; to remove or rename its node changes a directory. The set also
  // holds what leads to one: /proc/self/fd/1.
  if (opening && (is_device(path) || boundary.devices.contains(path)))
    return verdict(covers(boundary.devices, path), Action::DeviceAccess,
                   {ObjectType::Device, path});
  Decision decision =
      verdict(covers(boundary.modify, path), Action::FilesystemModify, {ObjectType::File, path});
  // The errno the read-only mount would give; libraries that cache what they can are used to it.
  return hushed(std::move(decision), boundary.quiet_modify.contains(path), EROFS);
}

bool writes(std::uint64_t open_flags) {
  return (open_flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) != 0;
}

}  // namespace

bool covers_everything(const PathSet& set) {
  const auto& patterns = set.patterns();
  for (std::size_t i = 0; i < patterns.size(); ++i)
    if (patterns[i] == "/**" && (i + 1 == patterns.size() || !patterns[i + 1].starts_with('!')))
      return true;
  return false;
}

Decision decide_path(const Boundary& boundary, const CallFacts& facts) {
  const bool opening = opens(*facts.call);
  const bool how = facts.call->index_of(Arg::OpenHow).has_value();
  if (facts.unreadable || !facts.claimed_path || (how && !facts.claimed_open_flags))
    return unreadable(boundary, opening);
  if (how && !writes(*facts.claimed_open_flags))
    return yes(Action::FilesystemModify, {ObjectType::File, *facts.claimed_path});
  Decision first = decide_one(boundary, *facts.claimed_path, opening);
  if (!facts.claimed_path2) return first;
  Decision second = decide_one(boundary, *facts.claimed_path2, opening);
  // Of two refusals the loud one is told.
  if (first.allowed || (first.quiet && !second.allowed)) return second;
  return first;
}

Decision decide_queue(const Boundary& boundary, const CallFacts& facts) {
  return verdict(boundary.modify.contains("/dev/mqueue"), Action::FilesystemModify,
                 {ObjectType::System, std::string(facts.call->name)});
}

// No mount option and no open event stops the execution of a memory file, so it is its creation
// that a phase must list: "/memfd:*" under filesystem.exec. One that is sealed against execution
// from the start (Linux 6.3; older kernels know no such flag and refuse the call) needs no right.
Decision decide_memory_file(const Boundary& boundary, const CallFacts& facts) {
  constexpr auto kMemoryFile = "/memfd:";  // how /proc names them
  constexpr std::uint64_t kNoExecSeal = 0x8, kExec = 0x10;
  const auto flags = facts.args[facts.call->index_of(Arg::Flags).value_or(0)] & 0xffffffff;
  const bool sealed = (flags & kNoExecSeal) != 0 && (flags & kExec) == 0;
  return verdict(sealed || boundary.exec_files.contains(kMemoryFile), Action::FilesystemExec,
                 {ObjectType::Exec, kMemoryFile});
}

// Code that is in no file: "/anon:*" under filesystem.exec, the set @jit.
Decision decide_fresh_code(const Boundary& boundary, const CallFacts&) {
  constexpr auto kAnonymous = "/anon:";
  return verdict(boundary.exec_files.contains(kAnonymous), Action::FilesystemExec,
                 {ObjectType::Exec, kAnonymous});
}

}  // namespace moat::policies::detail
