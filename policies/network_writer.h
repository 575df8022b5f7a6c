// Writes one program for sockets: whether one of the phase's rules covers what is asked for.
// Nothing outside of this folder includes this.
#pragma once

#include <cstddef>
#include <optional>

#include "policies/record_writer.h"

namespace moat::policies::detail {

inline constexpr std::uint8_t kIp = BPF_REG_2, kPort = BPF_REG_3, kLength = BPF_REG_9;

// Below the record: what is looked at of a packet.
inline constexpr std::int16_t kPacket = kRecord - 40, kPacketPort = kPacket - 8;

inline constexpr std::int16_t kIpAt = in_record(offsetof(NetworkRecord, ip));

inline constexpr std::uint8_t kTcp = 6, kUdp = 17;
inline constexpr std::int32_t kMptcp = 262;

class NetworkWriter : private RecordWriter {
 public:
  NetworkWriter(const Policy& policy, const HookKind& kind, bool audit,
                std::optional<KernelNames> names)
      : RecordWriter(kind.hook, audit), policy_(policy), kind_(kind), names_(names) {}

  KernelCode write() &&;  // empty: too long for a program

 private:
  void begin();

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
  std::optional<KernelNames> names_;
};

}  // namespace moat::policies::detail
