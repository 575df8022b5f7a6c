// Packets that leave. A server's answers are among TCP's, so those of connections are let go; a
// first one is held to the list, as a connect() that was on its way when the phase began sends it
// after. What is neither TCP nor UDP comes from sockets made before the boundary that no other hook
// sees (raw, SCTP, ping).
#include <arpa/inet.h>
#include <sys/socket.h>

#include "policies/network_writer.h"

namespace moat::policies::detail {

void NetworkWriter::packet() {
  const auto v6 = out_.label();
  take(0, kPacket, 20);
  out_.load(BPF_B, kTemp, kFrame, kPacket);
  out_.shift_right(kTemp, 4);
  out_.jump_unless(kTemp, 4, v6);
  packet4();
  out_.here(v6);
  out_.jump_unless(kTemp, 6, refuse_);
  packet6();
}

void NetworkWriter::take(std::int32_t offset, std::int16_t to, std::int32_t size) {
  if (offset >= 0) out_.set(BPF_REG_2, offset);  // otherwise it is there already
  out_.move(BPF_REG_1, kContext);
  out_.move(BPF_REG_3, kFrame);
  out_.add(BPF_REG_3, to);
  out_.set(BPF_REG_4, size);
  out_.call(BPF_FUNC_skb_load_bytes);
  out_.jump_unless(kResult, 0, refuse_);
}

// Of the protocol in kTemp. Goes on with what is held to an address.
void NetworkWriter::transport() {
  const auto other = out_.label(), held = out_.label();
  out_.store(BPF_W, kFrame, in_record(offsetof(NetworkRecord, protocol)), kTemp);
  out_.jump_unless(kTemp, kTcp, other);
  // A raw socket can write TCP's packets itself. One without a full socket answers a handshake.
  out_.load(BPF_DW, kTemp, kContext, offsetof(__sk_buff, sk));
  out_.jump_if(kTemp, 0, allow_);
  out_.call(BPF_FUNC_sk_fullsock);
  out_.jump_if(kResult, 0, allow_);
  out_.load(BPF_W, kTemp, kResult, offsetof(bpf_sock, type));
  out_.jump_unless(kTemp, SOCK_STREAM, refuse_);
  out_.load(BPF_W, kTemp, kResult, offsetof(bpf_sock, state));
  out_.jump_unless(kTemp, BPF_TCP_SYN_SENT, allow_);
  out_.jump(held);
  out_.here(other);
  out_.jump_unless(kTemp, kUdp, refuse_);
  out_.here(held);
}

void NetworkWriter::packet4() {
  note(offsetof(NetworkRecord, family), AF_INET);
  out_.load(BPF_W, kTemp, kFrame, kPacket + 16);
  out_.store(BPF_W, kFrame, kIpAt, kTemp);
  out_.load(BPF_B, kTemp, kFrame, kPacket + 9);
  transport();
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

void NetworkWriter::packet6() {
  take(0, kPacket, 40);
  note(offsetof(NetworkRecord, family), AF_INET6);
  for (std::int16_t i = 0; i < 4; ++i) {
    out_.load(BPF_W, kTemp, kFrame, static_cast<std::int16_t>(kPacket + 24 + 4 * i));
    out_.store(BPF_W, kFrame, static_cast<std::int16_t>(kIpAt + 4 * i), kTemp);
  }
  out_.load(BPF_B, kTemp, kFrame, kPacket + 6);
  transport();
  take(42, kPacketPort, 2);
  out_.load(BPF_H, kPort, kFrame, kPacketPort);
  out_.store(BPF_W, kFrame, in_record(offsetof(NetworkRecord, port)), kPort);
  match(true);
}

}  // namespace moat::policies::detail
