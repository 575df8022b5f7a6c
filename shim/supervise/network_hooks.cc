#include "shim/supervise/network_hooks.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "oci/sys.h"
#include "shim/cgroups/cgroup.h"

namespace moat::shim {

using policies::NetworkProgram;

namespace {

constexpr std::size_t kRingBytes = 64U << 10;  // some 900 records; of Unix sockets 350

bool is_unix(const NetworkProgram& program) {
  return policies::kind_of(program.hook).is_unix();
}

bool is_device(const NetworkProgram& program) {
  return program.hook == policies::NetworkHook::Device;
}

}  // namespace

Result<std::unique_ptr<NetworkHooks>> NetworkHooks::attach(
    const std::string& folder, const std::vector<NetworkProgram>& programs) {
  auto cgroup = oci::open_file(folder, O_RDONLY | O_DIRECTORY);
  if (!cgroup) return fail(std::move(cgroup.error()));
  auto state_map = bpf::make_state();
  if (!state_map) return fail(std::move(state_map.error()));
  auto ring = bpf::make_ring(kRingBytes);
  if (!ring) return fail(std::move(ring.error()));
  auto state = SharedState::of(state_map->raw(), true);
  if (!state) return fail(std::move(state.error()));
  std::unique_ptr<NetworkHooks> self(new NetworkHooks(
      folder, std::move(*cgroup), std::move(*state_map), std::move(*ring), std::move(*state)));
  self->holds_unix_ = self->names_unix_ = std::ranges::any_of(programs, is_unix);
  self->holds_devices_ = std::ranges::any_of(programs, is_device);
  for (const NetworkProgram& program : programs) {
    auto added = self->add(program);
    if (added) continue;
    if (is_device(program)) {
      self->holds_devices_ = false;
      continue;
    }
    if (is_unix(program)) {
      self->holds_unix_ = self->names_unix_ = false;
      continue;
    }
    self->remove_all();
    return fail(std::move(added.error()));
  }
  return self;
}

Status NetworkHooks::usable(const std::vector<NetworkProgram>& programs) {
  const auto own = oci::read_file("/proc/self/cgroup");
  if (!own || ("\n" + *own).find("\n0::") == std::string::npos)
    return fail(Code::Unavailable, "there are no version 2 cgroups");
  const auto state = bpf::make_state();
  if (!state) return fail(Error(state.error()));
  const auto ring = bpf::make_ring(kRingBytes);
  if (!ring) return fail(Error(ring.error()));
  for (const NetworkProgram& program : programs) {
    if (is_unix(program)) continue;
    const policies::HookKind& kind = policies::kind_of(program.hook);
    if (auto loaded = bpf::load(kind, program.code, state->raw(), ring->raw()); !loaded)
      return fail(std::move(loaded.error()));
  }
  return {};
}

Status NetworkHooks::add(const NetworkProgram& program) {
  const policies::HookKind& kind = policies::kind_of(program.hook);
  auto added = add(kind, program.code);
  const bool plain = !added && !program.plain.empty();
  if (plain) added = add(kind, program.plain);
  if (is_unix(program) && (plain || !program.named)) names_unix_ = false;
  return added;
}

Status NetworkHooks::add(const policies::HookKind& kind, const policies::KernelCode& code) {
  auto loaded = bpf::load(kind, code, state_map_.raw(), ring_.raw());
  if (!loaded) return fail(std::move(loaded.error()));
  const auto id = bpf::id_of(loaded->raw());
  if (!id) return fail(Error(id.error()));
  if (auto attached = bpf::attach(cgroup_.raw(), loaded->raw(), kind.attach_type); !attached)
    return attached;
  hooks_.push_back({kind.hook, std::move(*loaded), *id});
  return {};
}

void NetworkHooks::remove_all() {
  for (const Hook& hook : hooks_)
    (void)bpf::detach(cgroup_.raw(), hook.program.raw(), policies::kind_of(hook.kind).attach_type);
  hooks_.clear();
}

Result<bool> NetworkHooks::repair() {
  bool repaired = false;
  for (const Hook& hook : hooks_) {
    const std::uint32_t type = policies::kind_of(hook.kind).attach_type;
    const auto there = bpf::attached(cgroup_.raw(), type);
    if (!there) return fail(Error(there.error()));
    if (std::ranges::find(*there, hook.id) != there->end()) continue;
    if (auto again = bpf::attach(cgroup_.raw(), hook.program.raw(), type); !again)
      return fail(std::move(again.error()));
    repaired = true;
  }
  return repaired;
}

Status NetworkHooks::admit(pid_t session) {
  if (::mkdirat(cgroup_.raw(), kSessions, 0755) != 0 && errno != EEXIST)
    return fail_errno(errno, "a cgroup for sessions");
  const UniqueFd folder(
      ::openat(cgroup_.raw(), kSessions, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (!folder.valid() || ::fstat(folder.raw(), &status) != 0)
    return fail_errno(errno, "the cgroup for sessions");
  const UniqueFd members(::openat(folder.raw(), "cgroup.procs", O_WRONLY | O_CLOEXEC));
  if (!members.valid()) return fail_errno(errno, "the cgroup for sessions");
  if (auto moved = oci::write_all(members.raw(), std::to_string(session)); !moved) return moved;
  state_.let_through(status.st_ino);  // which is the id that programs are told
  return {};
}

Result<std::string> own_cgroup_of(pid_t init) {
  const auto cgroup = Cgroup::of_process(init);
  if (!cgroup) return fail(Error(cgroup.error()));
  const std::string& folder = cgroup->folder("");
  if (folder.empty())
    return fail(Code::NotFound, "the container is in no version 2 cgroup of its own");
  const auto members = oci::read_file(folder + "/cgroup.procs");
  if (!members) return fail(Error(members.error()));
  if (*members != std::to_string(init) + "\n")
    return fail(Code::FailedPrecondition, "the container shares its version 2 cgroup with others");
  return folder;
}

}  // namespace moat::shim
