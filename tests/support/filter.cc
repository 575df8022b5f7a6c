#include "tests/support/filter.h"

#include <linux/audit.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <optional>
#include <set>

namespace moat::test {
namespace {

using nlohmann::json;

struct Release {
  void operator()(void* context) const { seccomp_release(context); }
};
using Context = std::unique_ptr<void, Release>;

std::uint32_t scmp_arch(policies::Arch arch) {
  return arch == policies::Arch::X86_64 ? SCMP_ARCH_X86_64 : SCMP_ARCH_AARCH64;
}

std::uint32_t action_of(const std::string& name, std::uint32_t err) {
  static const std::map<std::string, std::uint32_t> kActions{
      {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
      {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
      {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
      {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
      {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
      {"SCMP_ACT_LOG", SCMP_ACT_LOG},
      {"SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY}};
  if (name == "SCMP_ACT_ERRNO") return SCMP_ACT_ERRNO(err);
  if (name == "SCMP_ACT_TRACE") return SCMP_ACT_TRACE(err);
  return kActions.at(name);
}

scmp_arg_cmp compare_of(const json& arg) {
  static const std::map<std::string, scmp_compare> kOps{{"SCMP_CMP_NE", SCMP_CMP_NE},
                                                        {"SCMP_CMP_LT", SCMP_CMP_LT},
                                                        {"SCMP_CMP_LE", SCMP_CMP_LE},
                                                        {"SCMP_CMP_EQ", SCMP_CMP_EQ},
                                                        {"SCMP_CMP_GE", SCMP_CMP_GE},
                                                        {"SCMP_CMP_GT", SCMP_CMP_GT},
                                                        {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ}};
  return {arg["index"].get<unsigned>(), kOps.at(arg["op"]), arg["value"].get<std::uint64_t>(),
          arg.value("valueTwo", std::uint64_t{0})};
}

// matchCall() of runc: conditions on one argument twice become alternatives.
int add_call(void* context, int number, std::uint32_t action, const json& args) {
  std::vector<scmp_arg_cmp> all;
  std::set<unsigned> indices;
  for (const json& arg : args) {
    all.push_back(compare_of(arg));
    indices.insert(all.back().arg);
  }
  if (indices.size() == all.size())
    return seccomp_rule_add_array(context, action, number, static_cast<unsigned>(all.size()),
                                  all.data());
  for (const scmp_arg_cmp& one : all)
    if (const int rc = seccomp_rule_add_array(context, action, number, 1, &one); rc != 0) return rc;
  return 0;
}

std::size_t count_names(const json& groups) {
  std::size_t names = 0;
  for (const json& group : groups) names += group["names"].size();
  return names;
}

Status add_rules(void* context, const json& groups, std::uint32_t fallback) {
  for (const json& group : groups) {
    const std::uint32_t action = action_of(group["action"], group.value("errnoRet", 1U));
    if (action == fallback) continue;
    for (const json& name : group["names"]) {
      const int number = seccomp_syscall_resolve_name(name.get<std::string>().c_str());
      if (number == __NR_SCMP_ERROR) continue;
      const int rc = add_call(context, number, action, group.value("args", json::array()));
      if (rc != 0) return fail_errno(-rc, "seccomp_rule_add " + name.get<std::string>());
    }
  }
  return {};
}

Result<Program> exported(void* context) {
  const int fd = memfd_create("filter", MFD_CLOEXEC);
  if (fd < 0) return fail_errno(errno, "memfd_create");
  const int rc = seccomp_export_bpf(context, fd);
  const off_t size = lseek(fd, 0, SEEK_END);
  Program program(static_cast<std::size_t>(size) / sizeof(sock_filter));
  const ssize_t got = pread(fd, program.data(), program.size() * sizeof(sock_filter), 0);
  close(fd);
  if (rc != 0) return fail_errno(-rc, "seccomp_export_bpf");
  if (got != size) return fail(Code::Internal, "short filter");
  return program;
}

}  // namespace

Result<Program> build_as_runc(const json& seccomp, policies::Arch arch) {
  const std::uint32_t fallback =
      action_of(seccomp["defaultAction"], seccomp.value("defaultErrnoRet", 1U));
  const Context context(seccomp_init(fallback));
  if (!context) return fail(Code::Internal, "seccomp_init");
  // runc always has its own architecture; here the one under test takes its place.
  if (scmp_arch(arch) != seccomp_arch_native()) {
    seccomp_arch_add(context.get(), scmp_arch(arch));
    seccomp_arch_remove(context.get(), SCMP_ARCH_NATIVE);
  }
  const json groups = seccomp.value("syscalls", json::array());
  if (count_names(groups) > 32) seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  if (auto ok = add_rules(context.get(), groups, fallback); !ok) return fail(std::move(ok.error()));
  return exported(context.get());
}

bool libseccomp_knows(std::string_view name) {
  return seccomp_syscall_resolve_name(std::string(name).c_str()) != __NR_SCMP_ERROR;
}

std::optional<std::int32_t> libseccomp_number(std::string_view name, policies::Arch arch) {
  const int number = seccomp_syscall_resolve_name_arch(scmp_arch(arch), std::string(name).c_str());
  if (number < 0) return std::nullopt;  // unknown, or a pseudo number: not on this architecture
  return number;
}

std::uint32_t audit_arch(policies::Arch arch) {
  return arch == policies::Arch::X86_64 ? AUDIT_ARCH_X86_64 : AUDIT_ARCH_AARCH64;
}

}  // namespace moat::test
