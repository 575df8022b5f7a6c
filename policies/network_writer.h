// Writes one program: who asks (a session is let through), which phase it is, whether one of the
// phase's rules covers what is asked for; if none does, a record. Straight down, without a loop, so
// that every kernel's verifier takes it. Nothing outside of this folder includes this.
#pragma once

#include <cstddef>
#include <optional>

#include "policies/network_program.h"

namespace moat::policies::detail {

// Registers. 1 to 5 are gone after every call of a function.
inline constexpr std::uint8_t kResult = BPF_REG_0, kTemp = BPF_REG_1, kIp = BPF_REG_2,
                              kPort = BPF_REG_3, kContext = BPF_REG_6, kPhase = BPF_REG_7,
                              kState = BPF_REG_8, kLength = BPF_REG_9, kFrame = BPF_REG_10;

// The frame: the record, and below it what is looked at of a packet.
inline constexpr std::int16_t kRecord = -static_cast<std::int16_t>(sizeof(NetworkRecord));
inline constexpr std::int16_t kPacket = kRecord - 40, kPacketPort = kPacket - 8;

constexpr std::int16_t in_record(std::size_t member) {
  return static_cast<std::int16_t>(kRecord + static_cast<std::int16_t>(member));
}
inline constexpr std::int16_t kIpAt = in_record(offsetof(NetworkRecord, ip));

inline constexpr std::uint8_t kTcp = 6, kUdp = 17;
inline constexpr std::int32_t kMptcp = 262;

class NetworkWriter {
 public:
  NetworkWriter(const Policy& policy, const HookKind& kind, bool audit,
                std::optional<KernelNames> names)
      : policy_(policy), kind_(kind), audit_(audit), names_(names) {}

  KernelCode write() &&;  // empty: too long for a program

 private:
  void begin();
  void end();
  void note(std::size_t member, std::uint32_t value);

  // network_writer.cc: addresses, kinds of sockets
  using Decide = void (NetworkWriter::*)(bool v6);
  void note_socket();
  void address4(Decide decide);
  void address6(Decide decide);
  void match(bool v6);
  void match(const AddressRule& rule);
  void place(bool v6);
  void socket_kind();

  // packet_writer.cc
  void packet();
  void packet4();
  void packet6();
  void take(std::int32_t offset, std::int16_t to, std::int32_t size);
  void transport();

  // unix_writer.cc
  void name();
  void copy_name();
  void match_names();
  void match(const UnixRule& rule);
  void compare(const std::string& bytes, Assembler::Label unlike);
  void refuse_detours();

  const Policy& policy_;
  const HookKind& kind_;
  bool audit_;
  std::optional<KernelNames> names_;
  Assembler out_;
  Assembler::Label allow_ = out_.label(), refuse_ = out_.label();
};

}  // namespace moat::policies::detail
