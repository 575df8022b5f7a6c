// The programs: who asks (a session is let through), which phase it is, whether one of the phase's
// rules covers the address; if none does, a record. Straight down, without a loop, so that every
// kernel's verifier takes them.
#include "policies/network_program.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace moat::policies {
namespace {

// Linux 6.7; older headers do not name them.
constexpr std::uint32_t kUnixConnect = 49, kUnixSend = 50;

constexpr std::array kHooks{
    HookKind{NetworkHook::Connect4, "moat_connect4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
             BPF_CGROUP_INET4_CONNECT, "connect"},
    HookKind{NetworkHook::Connect6, "moat_connect6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
             BPF_CGROUP_INET6_CONNECT, "connect"},
    HookKind{NetworkHook::Send4, "moat_send4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
             BPF_CGROUP_UDP4_SENDMSG, "sendto"},
    HookKind{NetworkHook::Send6, "moat_send6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
             BPF_CGROUP_UDP6_SENDMSG, "sendto"},
    HookKind{NetworkHook::Egress, "moat_egress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS,
             ""},
    HookKind{NetworkHook::UnixConnect, "moat_unix", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, kUnixConnect,
             "connect"},
    HookKind{NetworkHook::UnixSend, "moat_unix_send", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, kUnixSend,
             "sendto"},
    HookKind{NetworkHook::Device, "moat_device", BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE,
             ""},
};

// Registers. 1 to 5 are gone after every call of a function.
constexpr std::uint8_t kResult = BPF_REG_0, kTemp = BPF_REG_1, kIp = BPF_REG_2, kPort = BPF_REG_3,
                       kContext = BPF_REG_6, kPhase = BPF_REG_7, kState = BPF_REG_8,
                       kFrame = BPF_REG_10;

// The frame: the record, and below it what is looked at of a packet.
constexpr std::int16_t kRecord = -static_cast<std::int16_t>(sizeof(NetworkRecord));
constexpr std::int16_t kPacket = kRecord - 40, kPacketPort = kPacket - 8;

constexpr std::int16_t in_record(std::size_t member) {
  return static_cast<std::int16_t>(kRecord + static_cast<std::int16_t>(member));
}
constexpr std::int16_t kIpAt = in_record(offsetof(NetworkRecord, ip));

constexpr std::uint32_t kTcp = 6, kUdp = 17;

template <class T>
T raw(const std::uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

std::uint32_t mask_word(unsigned prefix, unsigned word) {
  const unsigned before = word * 32;
  if (prefix >= before + 32) return ~0U;
  return prefix <= before ? 0 : htonl(~0U << (32 - (prefix - before)));
}

class Writer {
 public:
  Writer(const Policy& policy, const HookKind& kind, bool audit)
      : policy_(policy), kind_(kind), audit_(audit) {}

  KernelCode write() && {
    begin();
    switch (kind_.hook) {
      case NetworkHook::Connect4:
      case NetworkHook::Send4:
        address4();
        break;
      case NetworkHook::Connect6:
      case NetworkHook::Send6:
        address6();
        break;
      case NetworkHook::Egress:
        packet();
        break;
      case NetworkHook::UnixConnect:
      case NetworkHook::UnixSend:
        family();
        break;
      case NetworkHook::Device:
        return {};  // device_program.cc
    }
    end();
    return std::move(out_).finish();
  }

 private:
  void begin();
  void address4();
  void address6();
  void packet();
  void packet4(Assembler::Label tcp);
  void packet6(Assembler::Label tcp);
  void take(std::int32_t offset, std::int16_t to, std::int32_t size);
  void udp_only(Assembler::Label tcp);
  void family();
  void match(bool v6);
  void match(const AddressRule& rule);
  void note(std::size_t member, std::uint32_t value);
  void end();

  const Policy& policy_;
  const HookKind& kind_;
  bool audit_;
  Assembler out_;
  Assembler::Label allow_ = out_.label(), refuse_ = out_.label();
};

void Writer::begin() {
  out_.move(kContext, BPF_REG_1);
  // A packet is on its way in nobody's name; its socket remembers where it was made.
  out_.call(kind_.hook == NetworkHook::Egress ? BPF_FUNC_skb_cgroup_id
                                              : BPF_FUNC_get_current_cgroup_id);
  out_.state_address(kState);
  out_.load(BPF_DW, kTemp, kState, offsetof(NetworkState, session_cgroup));
  out_.jump_if_equal(kResult, kTemp, allow_);
  out_.load(BPF_W, kPhase, kState, offsetof(NetworkState, phase));
  if (audit_) out_.jump_if(kPhase, 0, allow_);
  for (Phase phase : kPhases) {
    const NetworkRules& network = policy_.boundary(phase).network;
    if (network.any || (kind_.is_unix() && network.any_unix))
      out_.jump_if(kPhase, static_cast<std::int32_t>(phase_word(phase)), allow_);
  }
  out_.set(kTemp, 0);
  for (std::int16_t at = kRecord; at < 0; at += 8) out_.store(BPF_DW, kFrame, at, kTemp);
}

void Writer::note(std::size_t member, std::uint32_t value) {
  out_.set(kTemp, static_cast<std::int32_t>(value));
  out_.store(BPF_W, kFrame, in_record(member), kTemp);
}

void Writer::address4() {
  out_.load(BPF_W, kIp, kContext, offsetof(bpf_sock_addr, user_ip4));
  out_.store(BPF_W, kFrame, kIpAt, kIp);
  out_.load(BPF_W, kPort, kContext, offsetof(bpf_sock_addr, user_port));
  out_.store(BPF_W, kFrame, in_record(offsetof(NetworkRecord, port)), kPort);
  out_.load(BPF_W, kTemp, kContext, offsetof(bpf_sock_addr, protocol));
  out_.store(BPF_W, kFrame, in_record(offsetof(NetworkRecord, protocol)), kTemp);
  note(offsetof(NetworkRecord, family), AF_INET);
  match(false);
}

void Writer::address6() {
  constexpr auto kAddress = static_cast<std::int16_t>(offsetof(bpf_sock_addr, user_ip6));
  for (std::int16_t i = 0; i < 4; ++i) {
    const auto from = static_cast<std::int16_t>(kAddress + 4 * i);
    out_.load(BPF_W, kTemp, kContext, from);
    out_.store(BPF_W, kFrame, static_cast<std::int16_t>(kIpAt + 4 * i), kTemp);
  }
  out_.load(BPF_W, kPort, kContext, offsetof(bpf_sock_addr, user_port));
  out_.store(BPF_W, kFrame, in_record(offsetof(NetworkRecord, port)), kPort);
  out_.load(BPF_W, kTemp, kContext, offsetof(bpf_sock_addr, protocol));
  out_.store(BPF_W, kFrame, in_record(offsetof(NetworkRecord, protocol)), kTemp);
  const auto plain = out_.label();
  constexpr std::array<std::uint32_t, 3> kMapped{0, 0, 0xffff};
  for (std::int16_t i = 0; i < 3; ++i) {
    out_.load(BPF_W, kTemp, kFrame, static_cast<std::int16_t>(kIpAt + 4 * i));
    out_.jump_unless(kTemp, htonl(kMapped[static_cast<std::size_t>(i)]), plain);
  }
  out_.load(BPF_W, kIp, kFrame, kIpAt + 12);
  out_.set(kTemp, 0);
  for (std::int16_t i = 1; i < 4; ++i)
    out_.store(BPF_W, kFrame, static_cast<std::int16_t>(kIpAt + 4 * i), kTemp);
  out_.store(BPF_W, kFrame, kIpAt, kIp);
  note(offsetof(NetworkRecord, family), AF_INET);
  match(false);
  out_.here(plain);
  note(offsetof(NetworkRecord, family), AF_INET6);
  match(true);
}

// Only UDP packets are looked at. TCP's are let go: a server's answers are among them, and no new
// connection comes about without the hooks above. What is neither comes from sockets made before
// the boundary that no hook sees (raw, SCTP, ping).
void Writer::packet() {
  const auto v6 = out_.label(), tcp = out_.label();
  take(0, kPacket, 20);
  out_.load(BPF_B, kTemp, kFrame, kPacket);
  out_.shift_right(kTemp, 4);
  out_.jump_unless(kTemp, 4, v6);
  packet4(tcp);
  out_.here(v6);
  out_.jump_unless(kTemp, 6, refuse_);
  packet6(tcp);
  out_.here(tcp);
  // A raw socket can write TCP's packets itself. One without a full socket answers a handshake.
  out_.load(BPF_DW, kTemp, kContext, offsetof(__sk_buff, sk));
  out_.jump_if(kTemp, 0, allow_);
  out_.call(BPF_FUNC_sk_fullsock);
  out_.jump_if(kResult, 0, allow_);
  out_.load(BPF_W, kTemp, kResult, offsetof(bpf_sock, type));
  out_.jump_unless(kTemp, SOCK_STREAM, refuse_);
  out_.jump(allow_);
}

void Writer::take(std::int32_t offset, std::int16_t to, std::int32_t size) {
  if (offset >= 0) out_.set(BPF_REG_2, offset);  // otherwise it is there already
  out_.move(BPF_REG_1, kContext);
  out_.move(BPF_REG_3, kFrame);
  out_.add(BPF_REG_3, to);
  out_.set(BPF_REG_4, size);
  out_.call(BPF_FUNC_skb_load_bytes);
  out_.jump_unless(kResult, 0, refuse_);
}

void Writer::udp_only(Assembler::Label tcp) {
  out_.store(BPF_W, kFrame, in_record(offsetof(NetworkRecord, protocol)), kTemp);
  out_.jump_if(kTemp, kTcp, tcp);
  out_.jump_unless(kTemp, kUdp, refuse_);
}

void Writer::packet4(Assembler::Label tcp) {
  note(offsetof(NetworkRecord, family), AF_INET);
  out_.load(BPF_W, kTemp, kFrame, kPacket + 16);
  out_.store(BPF_W, kFrame, kIpAt, kTemp);
  out_.load(BPF_B, kTemp, kFrame, kPacket + 9);
  udp_only(tcp);
  // The kernel cuts a datagram up after this point: a later part was made by hand.
  out_.load(BPF_H, kTemp, kFrame, kPacket + 6);
  out_.mask(kTemp, htons(0x1fff));
  out_.jump_unless(kTemp, 0, refuse_);
  out_.load(BPF_B, BPF_REG_2, kFrame, kPacket);
  out_.mask(BPF_REG_2, 0xf);
  out_.shift_left(BPF_REG_2, 2);
  out_.add(BPF_REG_2, 2);
  take(-1, kPacketPort, 2);
  out_.load(BPF_H, kPort, kFrame, kPacketPort);
  out_.store(BPF_W, kFrame, in_record(offsetof(NetworkRecord, port)), kPort);
  out_.load(BPF_W, kIp, kFrame, kIpAt);
  match(false);
}

void Writer::packet6(Assembler::Label tcp) {
  take(0, kPacket, 40);
  note(offsetof(NetworkRecord, family), AF_INET6);
  for (std::int16_t i = 0; i < 4; ++i) {
    out_.load(BPF_W, kTemp, kFrame, static_cast<std::int16_t>(kPacket + 24 + 4 * i));
    out_.store(BPF_W, kFrame, static_cast<std::int16_t>(kIpAt + 4 * i), kTemp);
  }
  out_.load(BPF_B, kTemp, kFrame, kPacket + 6);
  udp_only(tcp);
  take(42, kPacketPort, 2);
  out_.load(BPF_H, kPort, kFrame, kPacketPort);
  out_.store(BPF_W, kFrame, in_record(offsetof(NetworkRecord, port)), kPort);
  match(true);
}

void Writer::family() {
  note(offsetof(NetworkRecord, family), AF_UNIX);
  out_.jump(refuse_);
}

void Writer::match(bool v6) {
  for (Phase phase : kPhases) {
    const NetworkRules& network = policy_.boundary(phase).network;
    if (network.any || network.reachable.empty()) continue;
    const auto next = out_.label();
    out_.jump_unless(kPhase, phase_word(phase), next);
    for (const AddressRule& rule : network.reachable)
      if (rule.v6 == v6) match(rule);
    out_.jump(refuse_);
    out_.here(next);
  }
  out_.jump(refuse_);
}

void Writer::match(const AddressRule& rule) {
  const auto next = out_.label();
  for (unsigned word = 0; word < (rule.v6 ? 4U : 1U); ++word) {
    const std::uint32_t mask = mask_word(rule.prefix, word);
    if (mask == 0) break;
    if (rule.v6)
      out_.load(BPF_W, kTemp, kFrame,
                static_cast<std::int16_t>(kIpAt + static_cast<int>(4 * word)));
    else
      out_.move(kTemp, kIp);
    out_.mask(kTemp, mask);
    out_.jump_unless(kTemp, raw<std::uint32_t>(rule.bytes.data() + std::size_t{4} * word), next);
  }
  if (rule.port != 0) out_.jump_unless(kPort, htons(rule.port), next);
  out_.jump(allow_);
  out_.here(next);
}

void Writer::end() {
  const auto done = out_.label();
  out_.here(refuse_);
  out_.store(BPF_W, kFrame, in_record(offsetof(NetworkRecord, phase)), kPhase);
  note(offsetof(NetworkRecord, hook), static_cast<std::uint32_t>(kind_.hook));
  if (kind_.hook != NetworkHook::Egress) {
    out_.call(BPF_FUNC_get_current_pid_tgid);
    out_.store(BPF_DW, kFrame, in_record(offsetof(NetworkRecord, pid_tgid)), kResult);
    out_.move(BPF_REG_1, kFrame);
    out_.add(BPF_REG_1, in_record(offsetof(NetworkRecord, comm)));
    out_.set(BPF_REG_2, sizeof(NetworkRecord::comm));
    out_.call(BPF_FUNC_get_current_comm);
  }
  out_.ring(BPF_REG_1);
  out_.move(BPF_REG_2, kFrame);
  out_.add(BPF_REG_2, kRecord);
  out_.set(BPF_REG_3, sizeof(NetworkRecord));
  out_.set(BPF_REG_4, 0);
  out_.call(BPF_FUNC_ringbuf_output);
  out_.jump_if(kResult, 0, done);
  out_.increment(kState, offsetof(NetworkState, lost));
  out_.here(done);
  out_.set(kResult, audit_ ? 1 : 0);
  out_.exit();
  out_.here(allow_);
  out_.set(kResult, 1);
  out_.exit();
}

bool reaches_everything(const Policy& policy) {
  return std::ranges::all_of(kPhases,
                             [&](Phase phase) { return policy.boundary(phase).network.any; });
}

}  // namespace

const HookKind& kind_of(NetworkHook hook) {
  return kHooks[static_cast<std::size_t>(hook)];
}

std::string address_text(const NetworkRecord& record) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (record.family == AF_UNIX) return "unix:";
  const bool v6 = record.family == AF_INET6;
  inet_ntop(v6 ? AF_INET6 : AF_INET, record.ip.data(), text.data(), text.size());
  const std::string port = std::to_string(ntohs(static_cast<std::uint16_t>(record.port)));
  return v6 ? "[" + std::string(text.data()) + "]:" + port : std::string(text.data()) + ":" + port;
}

Result<std::vector<NetworkProgram>> network_programs(const Policy& policy, Mode mode) {
  std::vector<NetworkProgram> programs;
  if (mode == Mode::Off || reaches_everything(policy)) return programs;
  const bool audit = mode != Mode::Enforce;
  for (const HookKind& kind : kHooks) {
    if (kind.hook == NetworkHook::Device) continue;
    // Reported by the path that was claimed, or by the call that connected.
    if (audit && (kind.is_unix() || kind.hook == NetworkHook::Egress)) continue;
    KernelCode code = Writer(policy, kind, audit).write();
    if (code.empty())
      return fail(Code::ResourceExhausted,
                  "network.access names more addresses than the kernel takes in one program; join "
                  "them into networks (10.0.0.0/8)");
    programs.push_back({kind.hook, std::move(code)});
  }
  return programs;
}

bool tells_addresses_apart(const Policy& policy) {
  return std::ranges::any_of(kPhases, [&](Phase phase) {
    const NetworkRules& network = policy.boundary(phase).network;
    return !network.any && (network.any_unix || !network.reachable.empty());
  });
}

bool leaves_addresses_to_programs(const Policy& policy) {
  return std::ranges::all_of(kPhases, [&](Phase phase) {
    const NetworkRules& network = policy.boundary(phase).network;
    return network.any || (network.any_unix && !network.reachable.empty());
  });
}

bool must_hold_unix(const Policy& policy) {
  return std::ranges::any_of(kPhases, [&](Phase phase) {
    const NetworkRules& network = policy.boundary(phase).network;
    return !network.any && !network.reachable.empty() && !network.any_unix;
  });
}

}  // namespace moat::policies
