#include "policies/network_writer.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <cstring>

namespace moat::policies::detail {
namespace {

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

constexpr std::int16_t ip_at(unsigned word) {
  return static_cast<std::int16_t>(kIpAt + static_cast<int>(4 * word));
}

}  // namespace

KernelCode NetworkWriter::write() && {
  begin();
  switch (kind_.hook) {
    case NetworkHook::Connect4:
    case NetworkHook::Send4:
      address4(&NetworkWriter::match);
      break;
    case NetworkHook::Connect6:
    case NetworkHook::Send6:
      address6(&NetworkWriter::match);
      break;
    case NetworkHook::Egress:
      packet();
      break;
    case NetworkHook::UnixConnect:
    case NetworkHook::UnixSend:
      name();
      break;
    case NetworkHook::Bind4:
      address4(&NetworkWriter::place);
      break;
    case NetworkHook::Bind6:
      address6(&NetworkWriter::place);
      break;
    case NetworkHook::Create:
      socket_kind();
      break;
    case NetworkHook::Device:
      return {};  // device_program.cc
  }
  end(kind_.hook != NetworkHook::Egress);
  return std::move(out_).finish();
}

void NetworkWriter::begin() {
  // A packet is on its way in nobody's name; its socket remembers where it was made.
  const bool packet = kind_.hook == NetworkHook::Egress;
  RecordWriter::begin(packet ? BPF_FUNC_skb_cgroup_id : BPF_FUNC_get_current_cgroup_id,
                      [&](Phase phase) {
                        const NetworkRules& network = policy_.boundary(phase).network;
                        return network.any || (kind_.is_unix() && network.any_unix);
                      });
}

void NetworkWriter::note_socket() {
  out_.load(BPF_W, kPort, kContext, offsetof(bpf_sock_addr, user_port));
  out_.store(BPF_W, kFrame, in_record(offsetof(NetworkRecord, port)), kPort);
  out_.load(BPF_W, kTemp, kContext, offsetof(bpf_sock_addr, protocol));
  out_.store(BPF_W, kFrame, in_record(offsetof(NetworkRecord, protocol)), kTemp);
}

void NetworkWriter::address4(Decide decide) {
  out_.load(BPF_W, kIp, kContext, offsetof(bpf_sock_addr, user_ip4));
  out_.store(BPF_W, kFrame, kIpAt, kIp);
  note_socket();
  note(offsetof(NetworkRecord, family), AF_INET);
  (this->*decide)(false);
}

void NetworkWriter::address6(Decide decide) {
  constexpr auto kAddress = static_cast<std::int16_t>(offsetof(bpf_sock_addr, user_ip6));
  for (std::int16_t i = 0; i < 4; ++i) {
    out_.load(BPF_W, kTemp, kContext, static_cast<std::int16_t>(kAddress + 4 * i));
    out_.store(BPF_W, kFrame, static_cast<std::int16_t>(kIpAt + 4 * i), kTemp);
  }
  note_socket();
  const auto plain = out_.label();
  constexpr std::array<std::uint32_t, 3> kMapped{0, 0, 0xffff};
  for (unsigned i = 0; i < kMapped.size(); ++i) {
    out_.load(BPF_W, kTemp, kFrame, ip_at(i));
    out_.jump_unless(kTemp, htonl(kMapped[i]), plain);
  }
  out_.load(BPF_W, kIp, kFrame, ip_at(3));
  out_.set(kTemp, 0);
  for (unsigned i = 1; i < 4; ++i) out_.store(BPF_W, kFrame, ip_at(i), kTemp);
  out_.store(BPF_W, kFrame, kIpAt, kIp);
  note(offsetof(NetworkRecord, family), AF_INET);
  (this->*decide)(false);
  out_.here(plain);
  note(offsetof(NetworkRecord, family), AF_INET6);
  (this->*decide)(true);
}

void NetworkWriter::match(bool v6) {
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

void NetworkWriter::match(const AddressRule& rule) {
  const auto next = out_.label();
  for (unsigned word = 0; word < (rule.v6 ? 4U : 1U); ++word) {
    const std::uint32_t mask = mask_word(rule.prefix, word);
    if (mask == 0) break;
    if (rule.v6)
      out_.load(BPF_W, kTemp, kFrame, ip_at(word));
    else
      out_.move(kTemp, kIp);
    out_.mask(kTemp, mask);
    out_.jump_unless(kTemp, raw<std::uint32_t>(rule.bytes.data() + std::size_t{4} * word), next);
  }
  if (rule.port != 0) out_.jump_unless(kPort, htons(rule.port), next);
  out_.jump(allow_);
  out_.here(next);
}

// A place of one's own: for who may listen, any; for who may send, one the kernel chooses.
void NetworkWriter::place(bool) {
  const auto unnamed = out_.label();
  bool used = false;
  for (Phase phase : kPhases) {
    const NetworkRules& network = policy_.boundary(phase).network;
    const auto word = static_cast<std::int32_t>(phase_word(phase));
    if (network.any) continue;
    if (network.listen)
      out_.jump_if(kPhase, word, allow_);
    else if (!network.reachable.empty()) {
      out_.jump_if(kPhase, word, unnamed);
      used = true;
    }
  }
  out_.jump(refuse_);
  if (!used) return;  // the verifier takes no instruction that nothing leads to
  out_.here(unnamed);
  out_.jump_if(kPort, 0, allow_);
  out_.jump(refuse_);
}

// What registers have said of the same socket, from what the kernel has made of them.
void NetworkWriter::socket_kind() {
  constexpr auto kType = BPF_REG_4, kProtocol = BPF_REG_5;
  out_.load(BPF_W, kTemp, kContext, offsetof(bpf_sock, family));
  out_.store(BPF_W, kFrame, in_record(offsetof(NetworkRecord, family)), kTemp);
  out_.load(BPF_W, kType, kContext, offsetof(bpf_sock, type));
  out_.store(BPF_W, kFrame, in_record(offsetof(NetworkRecord, port)), kType);
  out_.load(BPF_W, kProtocol, kContext, offsetof(bpf_sock, protocol));
  out_.store(BPF_W, kFrame, in_record(offsetof(NetworkRecord, protocol)), kProtocol);
  const auto stream = out_.label(), datagram = out_.label();
  out_.jump_if(kType, SOCK_STREAM, stream);
  out_.jump_if(kType, SOCK_DGRAM, datagram);
  out_.jump(refuse_);
  for (const bool streams : {true, false}) {
    const auto known = out_.label();
    out_.here(streams ? stream : datagram);
    out_.jump_if(kProtocol, streams ? kTcp : kUdp, known);
    if (streams) out_.jump_if(kProtocol, kMptcp, known);
    out_.jump(refuse_);
    out_.here(known);
    for (Phase phase : kPhases) {
      const NetworkRules& network = policy_.boundary(phase).network;
      if (!network.any && (!network.reachable.empty() || (streams && network.listen)))
        out_.jump_if(kPhase, static_cast<std::int32_t>(phase_word(phase)), allow_);
    }
    out_.jump(refuse_);
  }
}

}  // namespace moat::policies::detail
