#include "shim/supervise/connections.h"

#include <gtest/gtest.h>

#include "tests/support/policies.h"

namespace moat::shim {
namespace {

constexpr auto kHeading =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode\n";

// A server on 8080 (0x1f90) with a client, and what it has connected to itself.
constexpr auto kTable =
    "   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 "
    "1\n"
    "   1: 0200000A:1F90 0300000A:C001 01 00000000:00000000 00:00000000 00000000     0        0 12 "
    "1\n"
    "   2: 0200000A:C002 0100007F:01BB 01 00000000:00000000 00:00000000 00000000     0        0 13 "
    "1\n"
    "   3: 0200000A:C003 0900000A:0050 01 00000000:00000000 00:00000000 00000000     0        0 14 "
    "1\n"
    "   4: 0200000A:C004 0900000A:0051 06 00000000:00000000 00:00000000 00000000     0        0 0 "
    "1\n";
constexpr auto kTable6 =
    "   0: 00000000000000000000000001000000:C005 000000FD000000000000000001000000:0050 01 "
    "00000000:00000000 00:00000000 00000000     0        0 15 1\n"
    "   1: 0000000000000000FFFF00000200000A:C006 0000000000000000FFFF00000900000A:0050 01 "
    "00000000:00000000 00:00000000 00000000     0        0 16 1\n";

policies::NetworkRules rules(const std::string& allowed) {
  return test::policy_from(
             "apiVersion: moat.dev/v1alpha1\nkind: LifecyclePolicy\nmetadata: {name: t}\nspec:\n"
             "  phases:\n    init: {}\n    load: {network: {access: [" +
             allowed + "]}}\n")
      .boundary(policies::Phase::Load)
      .network;
}

std::vector<std::string> seen(const std::string& table, bool v6, const std::string& allowed) {
  std::vector<std::string> all;
  for (const Connection& one : outgoing(kHeading + table, v6, rules(allowed)))
    all.push_back(one.to + " " + std::to_string(one.inode));
  return all;
}

using Texts = std::vector<std::string>;

TEST(Connections, AreThoseTheContainerMadeAndThePhaseDoesNotAllow) {
  EXPECT_EQ(seen(kTable, false, ""), (Texts{"127.0.0.1:443 13", "10.0.0.9:80 14"}));
  EXPECT_EQ(seen(kTable, false, "'10.0.0.0/8'"), Texts{"127.0.0.1:443 13"});
  EXPECT_EQ(seen(kTable, false, "'*'"), Texts{});
}

TEST(Connections, OfVersion6AreUnwrapped) {
  EXPECT_EQ(seen(kTable6, true, ""), (Texts{"[fd00::1]:80 15", "10.0.0.9:80 16"}));
  EXPECT_EQ(seen(kTable6, true, "'10.0.0.9:80'"), Texts{"[fd00::1]:80 15"});
}

TEST(Connections, NoiseIsNoConnection) {
  for (const char* noise : {"", "x", "a b c d e f g h i j k\n", "1: : : 01 \n\n\n"})
    for (const bool v6 : {false, true}) EXPECT_LE(seen(noise, v6, "").size(), 1U) << noise;
}

}  // namespace
}  // namespace moat::shim
