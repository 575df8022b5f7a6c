// Whether the phase lists the number that is asked for.
#include "policies/device_program.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>

#include "policies/record_writer.h"

namespace moat::policies {
namespace {

using detail::in_record, detail::kContext, detail::kFrame, detail::kPhase;

constexpr std::uint8_t kType = BPF_REG_2, kMajor = BPF_REG_3, kMinor = BPF_REG_4;

// A record's address is three numbers here: the kernel's word on type and access, major, minor.
constexpr std::int16_t in_numbers(std::size_t i) {
  return in_record(offsetof(NetworkRecord, ip) + i * sizeof(std::uint32_t));
}

constexpr std::uint32_t kTerminal = 136;  // UNIX98_PTY_SLAVE_MAJOR: every /dev/pts/N

struct Rule {
  std::uint32_t type = 0, major = 0;
  std::optional<std::uint32_t> minor;  // none: all of them

  bool operator==(const Rule&) const = default;
};

// "/dev/**" and nothing taken from it.
bool has_all(const PathSet& devices) {
  const auto& patterns = devices.patterns();
  for (std::size_t i = 0; i < patterns.size(); ++i)
    if ((patterns[i] == "/dev/**" || patterns[i] == "/**") &&
        (i + 1 == patterns.size() || !patterns[i + 1].starts_with('!')))
      return true;
  return false;
}

std::vector<Rule> rules_of(const PathSet& devices, const std::vector<DeviceNode>& nodes) {
  std::vector<Rule> rules;
  if (devices.contains("/dev/pts/0")) rules.push_back({BPF_DEVCG_DEV_CHAR, kTerminal, {}});
  for (const DeviceNode& node : nodes) {
    if (!devices.contains(node.path)) continue;
    const std::uint32_t type = node.block ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;
    const Rule rule{type, node.major, node.minor};
    if (std::ranges::find(rules, rule) == rules.end()) rules.push_back(rule);
  }
  return rules;
}

std::string numbers_of(bool block, std::uint32_t major, std::uint32_t minor) {
  return std::string(block ? "b " : "c ") + std::to_string(major) + ":" + std::to_string(minor);
}

class DeviceWriter : private detail::RecordWriter {
 public:
  explicit DeviceWriter(bool audit) : RecordWriter(NetworkHook::Device, audit) {}

  KernelCode write(const Policy& policy, const std::vector<DeviceNode>& nodes,
                   bool with_caller) && {
    RecordWriter::begin(BPF_FUNC_get_current_cgroup_id,
                        [&](Phase phase) { return has_all(policy.boundary(phase).devices); });
    note_numbers();
    for (Phase phase : kPhases) {
      const PathSet& devices = policy.boundary(phase).devices;
      if (has_all(devices)) continue;
      const auto next = out_.label();
      out_.jump_unless(kPhase, phase_word(phase), next);
      for (const Rule& rule : rules_of(devices, nodes)) match(rule);
      out_.jump(refuse_);
      out_.here(next);
    }
    end(with_caller);
    return std::move(out_).finish();
  }

 private:
  void note_numbers();
  void match(const Rule& rule);
};

void DeviceWriter::note_numbers() {
  out_.load(BPF_W, kType, kContext, offsetof(bpf_cgroup_dev_ctx, access_type));
  out_.store(BPF_W, kFrame, in_numbers(0), kType);
  out_.mask(kType, 0xffff);  // the access stands above
  out_.load(BPF_W, kMajor, kContext, offsetof(bpf_cgroup_dev_ctx, major));
  out_.store(BPF_W, kFrame, in_numbers(1), kMajor);
  out_.load(BPF_W, kMinor, kContext, offsetof(bpf_cgroup_dev_ctx, minor));
  out_.store(BPF_W, kFrame, in_numbers(2), kMinor);
}

void DeviceWriter::match(const Rule& rule) {
  const auto next = out_.label();
  out_.jump_unless(kType, rule.type, next);
  out_.jump_unless(kMajor, rule.major, next);
  if (rule.minor) out_.jump_unless(kMinor, *rule.minor, next);
  out_.jump(allow_);
  out_.here(next);
}

}  // namespace

Result<std::vector<NetworkProgram>> device_programs(const Policy& policy, Mode mode,
                                                    const std::vector<DeviceNode>& nodes) {
  std::vector<NetworkProgram> programs;
  const bool everything = std::ranges::all_of(
      kPhases, [&](Phase phase) { return has_all(policy.boundary(phase).devices); });
  if (mode == Mode::Off || everything) return programs;
  const bool audit = mode != Mode::Enforce;
  KernelCode code = DeviceWriter(audit).write(policy, nodes, true);
  KernelCode plain = DeviceWriter(audit).write(policy, nodes, false);
  if (code.empty() || plain.empty())
    return fail(Code::ResourceExhausted,
                "device.access lists more devices than the kernel takes in one program");
  programs.push_back({NetworkHook::Device, std::move(code), std::move(plain)});
  return programs;
}

std::string line_of(const DeviceNode& node) {
  return numbers_of(node.block, node.major, node.minor) + " " + node.path;
}

std::optional<DeviceNode> node_from(std::string_view line) {
  DeviceNode node;
  const std::size_t colon = line.find(':'), space = line.find(' ', 2);
  if (line.size() < 2 || (line[0] != 'b' && line[0] != 'c') || line[1] != ' ' ||
      colon == std::string_view::npos || space == std::string_view::npos || space < colon)
    return {};
  const char* text = line.data();
  const auto major = std::from_chars(text + 2, text + colon, node.major);
  const auto minor = std::from_chars(text + colon + 1, text + space, node.minor);
  if (major.ec != std::errc{} || major.ptr != text + colon || minor.ec != std::errc{} ||
      minor.ptr != text + space)
    return {};
  node.block = line[0] == 'b';
  node.path = line.substr(space + 1);
  return node;
}

std::string device_text(const NetworkRecord& record, const std::vector<DeviceNode>& nodes) {
  const bool block = (record.ip[0] & 0xffff) == BPF_DEVCG_DEV_BLOCK;
  for (const DeviceNode& node : nodes)
    if (node.block == block && node.major == record.ip[1] && node.minor == record.ip[2])
      return node.path;
  if (!block && record.ip[1] == kTerminal) return "/dev/pts/" + std::to_string(record.ip[2]);
  return numbers_of(block, record.ip[1], record.ip[2]);
}

}  // namespace moat::policies
