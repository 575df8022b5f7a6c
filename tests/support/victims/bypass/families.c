// Sockets of families and kinds that no address rule sees.
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bypass.h"

// A family this kernel does not have is no way out: what then refuses is the kernel's.
static int made(int domain, int type, int protocol) {
  return close_or_errno(socket(domain, type, protocol));
}

#define MAKES(name, domain, type, protocol) \
  static int name(void) {                   \
    return made(domain, type, protocol);    \
  }
enum {
  kKey = 15,
  kPpp = 24,
  kLlc = 26,
  kCan = 29,
  kTipc = 30,
  kBluetooth = 31,
  kRxrpc = 33,
  kAlg = 38,
  kNfc = 39,
  kVsock = 40,
  kKcm = 41,
  kQipcrtr = 42,
  kSmc = 43,
  kXdp = 44,
  kMctp = 45,
  kRds = 21,
  kRoute = 0,
  kDiag = 4,
  kGeneric = 16,
  kXfrm = 6,
  kNetfilter = 12,
  kKobject = 15,
  kAudit = 9,
};
MAKES(vsock, kVsock, SOCK_STREAM, 0)
MAKES(vsock_datagram, kVsock, SOCK_DGRAM, 0)
MAKES(netlink_route, AF_NETLINK, SOCK_RAW, kRoute)
MAKES(netlink_diag, AF_NETLINK, SOCK_RAW, kDiag)
MAKES(netlink_generic, AF_NETLINK, SOCK_RAW, kGeneric)
MAKES(netlink_xfrm, AF_NETLINK, SOCK_RAW, kXfrm)
MAKES(netlink_filter, AF_NETLINK, SOCK_DGRAM, kNetfilter)
MAKES(netlink_kobject, AF_NETLINK, SOCK_DGRAM, kKobject)
MAKES(netlink_audit, AF_NETLINK, SOCK_RAW, kAudit)
MAKES(packet, AF_PACKET, SOCK_RAW, 0x0300)
MAKES(packet_cooked, AF_PACKET, SOCK_DGRAM, 0x0300)
MAKES(packet_old, AF_INET, 10 /* SOCK_PACKET */, 0x0300)
MAKES(raw_icmp, AF_INET, SOCK_RAW, IPPROTO_ICMP)
MAKES(raw_any, AF_INET, SOCK_RAW, IPPROTO_RAW)
MAKES(raw_six, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)
MAKES(ping, AF_INET, SOCK_DGRAM, IPPROTO_ICMP)
MAKES(ping_six, AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6)
MAKES(sctp, AF_INET, SOCK_STREAM, IPPROTO_SCTP)
MAKES(sctp_many, AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP)
MAKES(dccp, AF_INET, 6 /* SOCK_DCCP */, IPPROTO_DCCP)
MAKES(udp_lite, AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE)
MAKES(l2tp, AF_INET, SOCK_DGRAM, 115)
MAKES(smc_inet, AF_INET, SOCK_STREAM, 256)
MAKES(alg, kAlg, SOCK_SEQPACKET, 0)
MAKES(xdp, kXdp, SOCK_RAW, 0)
MAKES(key, kKey, SOCK_RAW, 2)
MAKES(ppp, kPpp, SOCK_DGRAM, 1)
MAKES(llc, kLlc, SOCK_DGRAM, 0)
MAKES(can, kCan, SOCK_RAW, 1)
MAKES(tipc, kTipc, SOCK_SEQPACKET, 0)
MAKES(bluetooth, kBluetooth, SOCK_SEQPACKET, 0)
MAKES(rxrpc, kRxrpc, SOCK_DGRAM, AF_INET)
MAKES(nfc, kNfc, SOCK_SEQPACKET, 1)
MAKES(kcm, kKcm, SOCK_DGRAM, 0)
MAKES(qipcrtr, kQipcrtr, SOCK_DGRAM, 0)
MAKES(smc, kSmc, SOCK_STREAM, 0)
MAKES(mctp, kMctp, SOCK_DGRAM, 0)
MAKES(rds, kRds, SOCK_SEQPACKET, 0)

struct attempts family_attempts(void) {
  static const struct attempt list[] = {
      {"vsock", vsock, 0, 0},
      {"vsock_datagram", vsock_datagram, 0, 0},
      {"netlink_route", netlink_route, 0, 0},
      {"netlink_diag", netlink_diag, 0, 0},
      {"netlink_generic", netlink_generic, 0, 0},
      {"netlink_xfrm", netlink_xfrm, 0, 0},
      {"netlink_filter", netlink_filter, 0, 0},
      {"netlink_kobject", netlink_kobject, 0, 0},
      {"netlink_audit", netlink_audit, 0, 0},
      {"packet", packet, 0, 0},
      {"packet_cooked", packet_cooked, 0, 0},
      {"packet_old", packet_old, 0, 0},
      {"raw_icmp", raw_icmp, 0, 0},
      {"raw_any", raw_any, 0, 0},
      {"raw_six", raw_six, 0, 0},
      {"ping", ping, 0, 0},
      {"ping_six", ping_six, 0, 0},
      {"sctp", sctp, 0, 0},
      {"sctp_many", sctp_many, 0, 0},
      {"dccp", dccp, 0, 0},
      {"udp_lite", udp_lite, 0, 0},
      {"l2tp", l2tp, 0, 0},
      {"smc_inet", smc_inet, 0, 0},
      {"alg", alg, 0, 0},
      {"xdp", xdp, 0, 0},
      {"key", key, 0, 0},
      {"ppp", ppp, 0, 0},
      {"llc", llc, 0, 0},
      {"can", can, 0, 0},
      {"tipc", tipc, 0, 0},
      {"bluetooth", bluetooth, 0, 0},
      {"rxrpc", rxrpc, 0, 0},
      {"nfc", nfc, 0, 0},
      {"kcm", kcm, 0, 0},
      {"qipcrtr", qipcrtr, 0, 0},
      {"smc", smc, 0, 0},
      {"mctp", mctp, 0, 0},
      {"rds", rds, 0, 0},
  };
  return ATTEMPTS(list);
}
