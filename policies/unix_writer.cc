// Names of Unix sockets. The kernel's copy of the name is out of the reach of a program but for two
// of the kernel's own means: its view of the context (Linux 6.2) and a read of its memory. How much
// of it counts the length says; a path ends at its first NUL, an abstract name has none.
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "policies/network_writer.h"

namespace moat::policies::detail {
namespace {

constexpr std::int32_t kFamilyBytes = 2;
constexpr std::int16_t kNameAt = in_record(offsetof(NetworkRecord, name));
static_assert(kNameAt % 8 == 0);

constexpr std::int16_t name_at(std::size_t byte) {
  return static_cast<std::int16_t>(kNameAt + static_cast<int>(byte));
}

// A path that fills the name, the byte behind it and the three a detour is told by.
static_assert(sizeof(NetworkRecord::name) >= kMaxUnixName + 4);

bool has_folders(const Policy& policy) {
  return std::ranges::any_of(kPhases, [&](Phase phase) {
    return std::ranges::any_of(policy.boundary(phase).network.unix_names, &UnixRule::below);
  });
}

}  // namespace

void NetworkWriter::name() {
  note(offsetof(NetworkRecord, family), AF_UNIX);
  if (names_) {
    copy_name();
    match_names();
  }
  out_.jump(refuse_);
}

// What lies behind the length is not the caller's: it is not read, and stays NUL here.
void NetworkWriter::copy_name() {
  out_.move(BPF_REG_1, kContext);
  out_.call_kernel(names_->view);
  out_.load(BPF_DW, BPF_REG_3, kResult, names_->address_at);
  out_.load(BPF_W, kLength, kResult, names_->length_at);
  out_.add(kLength, -kFamilyBytes);
  out_.jump_if(kLength, 0, refuse_);
  out_.jump_if_above(kLength, static_cast<std::int32_t>(kMaxUnixName), refuse_);
  out_.store(BPF_W, kFrame, in_record(offsetof(NetworkRecord, length)), kLength);
  out_.move(BPF_REG_1, kFrame);
  out_.add(BPF_REG_1, kNameAt);
  out_.move(BPF_REG_2, kLength);
  out_.add(BPF_REG_3, kFamilyBytes);
  out_.call(BPF_FUNC_probe_read_kernel);
  out_.jump_unless(kResult, 0, refuse_);
}

void NetworkWriter::match_names() {
  if (has_folders(policy_)) refuse_detours();
  for (Phase phase : kPhases) {
    const NetworkRules& network = policy_.boundary(phase).network;
    if (network.any || network.any_unix || network.unix_names.empty()) continue;
    const auto next = out_.label();
    out_.jump_unless(kPhase, phase_word(phase), next);
    for (const UnixRule& rule : network.unix_names) match(rule);
    out_.jump(refuse_);
    out_.here(next);
  }
}

void NetworkWriter::match(const UnixRule& rule) {
  const auto next = out_.label();
  if (rule.abstract()) {
    out_.jump_unless(kLength, static_cast<std::uint32_t>(rule.name.size()), next);
    compare(rule.name, next);
  } else if (rule.below) {
    compare(rule.name, next);
    out_.load(BPF_B, kTemp, kFrame, name_at(rule.name.size()));
    out_.jump_if(kTemp, 0, allow_);
    out_.jump_unless(kTemp, '/', next);
  } else {
    compare(rule.name + std::string(1, '\0'), next);
  }
  out_.jump(allow_);
  out_.here(next);
}

void NetworkWriter::compare(const std::string& bytes, Assembler::Label unlike) {
  for (std::size_t at = 0; at < bytes.size(); at += 4) {
    const std::size_t size = std::min<std::size_t>(bytes.size() - at, 4);
    std::uint32_t value = 0, bits = 0;
    std::memcpy(&value, bytes.data() + at, size);
    std::memset(&bits, 0xff, size);
    out_.load(BPF_W, kTemp, kFrame, name_at(at));
    if (size < 4) out_.mask(kTemp, bits);
    out_.jump_unless(kTemp, value, unlike);
  }
}

// "//", "/./", "/../" and the same at the end: for a folder's rule to mean what lies in it.
void NetworkWriter::refuse_detours() {
  const auto done = out_.label();
  out_.load(BPF_B, kTemp, kFrame, kNameAt);
  out_.jump_unless(kTemp, '/', done);
  for (std::size_t at = 0; at < kMaxUnixName; ++at) {
    const auto next = out_.label();
    out_.load(BPF_B, kTemp, kFrame, name_at(at));
    out_.jump_if(kTemp, 0, done);
    out_.jump_unless(kTemp, '/', next);
    for (std::size_t dots = 0; dots < 3; ++dots) {
      out_.load(BPF_B, kTemp, kFrame, name_at(at + dots + 1));
      out_.jump_if(kTemp, 0, refuse_);
      out_.jump_if(kTemp, '/', refuse_);
      if (dots < 2) out_.jump_unless(kTemp, '.', next);
    }
    out_.here(next);
  }
  out_.here(done);
}

}  // namespace moat::policies::detail
