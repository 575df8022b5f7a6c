#include "shim/supervise/bpf.h"

#include <linux/bpf.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace moat::shim::bpf {

namespace {

int call(bpf_cmd command, bpf_attr& attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

std::uint64_t pointer(const void* to) {
  return reinterpret_cast<std::uintptr_t>(to);
}

template <std::size_t N>
void name_it(char (&into)[N], std::string_view name) {
  std::copy_n(name.begin(), std::min(name.size(), N - 1), into);
}

Result<UniqueFd> make_map(bpf_attr attributes, std::string_view name) {
  name_it(attributes.map_name, name);
  UniqueFd map(call(BPF_MAP_CREATE, attributes));  // CLOEXEC by itself
  if (!map.valid()) return fail_errno(errno, "BPF map " + std::string(name));
  return map;
}

void link(policies::KernelCode& code, int state, int ring) {
  for (bpf_insn& instruction : code) {
    if (instruction.code != (BPF_LD | BPF_DW | BPF_IMM)) continue;
    instruction.imm = instruction.src_reg == BPF_PSEUDO_MAP_VALUE ? state : ring;
  }
}

std::string reason(bpf_attr attributes) {
  std::string log(64U << 10, '\0');
  attributes.log_level = 1;
  attributes.log_buf = pointer(log.data());
  attributes.log_size = static_cast<std::uint32_t>(log.size());
  const UniqueFd loaded(call(BPF_PROG_LOAD, attributes));
  log.resize(std::strlen(log.c_str()));
  constexpr std::size_t kEnd = 400;
  return log.size() > kEnd ? log.substr(log.size() - kEnd) : log;
}

}  // namespace

Result<UniqueFd> make_state() {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = sizeof(std::uint32_t);
  attributes.value_size = sizeof(policies::NetworkState);
  attributes.max_entries = 1;
  attributes.map_flags = BPF_F_MMAPABLE;
  return make_map(attributes, "moat_state");
}

Result<UniqueFd> make_ring(std::size_t bytes) {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_RINGBUF;
  attributes.max_entries = static_cast<std::uint32_t>(bytes);
  return make_map(attributes, "moat_ring");
}

Result<UniqueFd> load(const policies::HookKind& kind, policies::KernelCode code, int state,
                      int ring) {
  link(code, state, ring);
  bpf_attr attributes{};
  attributes.prog_type = kind.program_type;
  attributes.expected_attach_type = kind.attach_type;
  attributes.insns = pointer(code.data());
  attributes.insn_cnt = static_cast<std::uint32_t>(code.size());
  // What reads the kernel's own structures must say that it may be shared under its licence.
  attributes.license = pointer(kind.is_unix() ? "Dual BSD/GPL" : "");
  name_it(attributes.prog_name, kind.name);
  UniqueFd loaded(call(BPF_PROG_LOAD, attributes));
  if (loaded.valid()) return loaded;
  const int err = errno;
  auto failed = fail_errno(err, "BPF program " + std::string(kind.name));
  if (err == EACCES || err == EINVAL) failed.value().what += ": " + reason(attributes);
  return failed;
}

Result<std::uint32_t> id_of(int program) {
  bpf_prog_info info{};
  bpf_attr attributes{};
  attributes.info.bpf_fd = static_cast<std::uint32_t>(program);
  attributes.info.info_len = sizeof info;
  attributes.info.info = pointer(&info);
  if (call(BPF_OBJ_GET_INFO_BY_FD, attributes) != 0) return fail_errno(errno, "BPF program's id");
  return info.id;
}

Status attach(int cgroup, int program, std::uint32_t attach_type) {
  bpf_attr attributes{};
  attributes.target_fd = static_cast<std::uint32_t>(cgroup);
  attributes.attach_bpf_fd = static_cast<std::uint32_t>(program);
  attributes.attach_type = attach_type;
  attributes.attach_flags = BPF_F_ALLOW_MULTI;
  if (call(BPF_PROG_ATTACH, attributes) != 0) return fail_errno(errno, "attaching a BPF program");
  return {};
}

Status detach(int cgroup, int program, std::uint32_t attach_type) {
  bpf_attr attributes{};
  attributes.target_fd = static_cast<std::uint32_t>(cgroup);
  attributes.attach_bpf_fd = static_cast<std::uint32_t>(program);
  attributes.attach_type = attach_type;
  if (call(BPF_PROG_DETACH, attributes) != 0) return fail_errno(errno, "detaching a BPF program");
  return {};
}

Result<std::vector<std::uint32_t>> attached(int cgroup, std::uint32_t attach_type) {
  std::vector<std::uint32_t> ids(64);  // as many as the kernel lets one cgroup have
  bpf_attr attributes{};
  attributes.query.target_fd = static_cast<std::uint32_t>(cgroup);
  attributes.query.attach_type = attach_type;
  attributes.query.prog_ids = pointer(ids.data());
  attributes.query.prog_cnt = static_cast<std::uint32_t>(ids.size());
  if (call(BPF_PROG_QUERY, attributes) != 0) return fail_errno(errno, "asking for BPF programs");
  ids.resize(attributes.query.prog_cnt);
  return ids;
}

}  // namespace moat::shim::bpf
