#include "hooks/message.h"

#include <gtest/gtest.h>

namespace moat::hooks {
namespace {

TEST(Message, ComesBackAsItWent) {
  Adopt adopt;
  adopt.container.id = "c1";
  adopt.container.kube_namespace = "prod";
  adopt.policy_json = R"({"kind":"LifecyclePolicy"})";
  adopt.bindings.models = {"/models"};
  adopt.mode = policies::Mode::Enforce;
  const auto back = decode(encode(adopt));
  ASSERT_TRUE(back) << back.error().what;
  const auto& got = std::get<Adopt>(*back);
  EXPECT_EQ(got.container.id, "c1");
  EXPECT_EQ(got.container.kube_namespace, "prod");
  EXPECT_EQ(got.policy_json, adopt.policy_json);
  EXPECT_EQ(got.bindings.models, adopt.bindings.models);
  EXPECT_EQ(got.mode, policies::Mode::Enforce);
}

TEST(Message, CarriesAllStatusFields) {
  Told told{3, {}};
  ContainerStatus status;
  status.id = "x";
  status.phase = policies::Phase::Serve;
  status.violations = 18446744073709551615ULL;
  told.containers.push_back(status);
  const auto back = decode(encode(told));
  ASSERT_TRUE(back) << back.error().what;
  const auto& got = std::get<Told>(*back);
  ASSERT_EQ(got.containers.size(), 1U);
  EXPECT_EQ(got.containers[0].phase, policies::Phase::Serve);
  EXPECT_EQ(got.containers[0].violations, 18446744073709551615ULL);
}

TEST(Message, TellsOfAPhaseThatIsNearlyInForceOfMountsAndOfEnds) {
  const auto settle = decode(encode(Settle{"c1", policies::Phase::Load, 7}));
  ASSERT_TRUE(settle) << settle.error().what;
  EXPECT_EQ(std::get<Settle>(*settle).phase, policies::Phase::Load);
  EXPECT_EQ(std::get<Settle>(*settle).ticket, 7U);
  const auto mounted = decode(encode(Mounted{"c1", "/a\xff", "/dev/sda", "ext4", true}));
  ASSERT_TRUE(mounted) << mounted.error().what;
  EXPECT_EQ(std::get<Mounted>(*mounted).fstype, "ext4");
  EXPECT_TRUE(std::get<Mounted>(*mounted).gone);
  const auto notice = decode(encode(Notice{"c1", "warning", "text"}));
  ASSERT_TRUE(notice) << notice.error().what;
  EXPECT_EQ(std::get<Notice>(*notice).message, "text");
  const auto terminate = decode(encode(Terminate{"c1"}));
  ASSERT_TRUE(terminate) << terminate.error().what;
  EXPECT_EQ(std::get<Terminate>(*terminate).id, "c1");
}

TEST(Message, SaysWhatHoldsTheNetwork) {
  const auto back = decode(encode(Network{"c1", true, "put back", true, {"c 1:3 /dev/null"}}));
  ASSERT_TRUE(back) << back.error().what;
  const auto& got = std::get<Network>(*back);
  EXPECT_EQ(got.id, "c1");
  EXPECT_TRUE(got.holds && got.names);
  EXPECT_EQ(got.problem, "put back");
  EXPECT_EQ(got.devices, std::vector<std::string>{"c 1:3 /dev/null"});
}

TEST(Message, SaysWhatATransitionHasCut) {
  const auto back = decode(encode(Entered{"c1", policies::Phase::Load, "", {"10.0.0.1:80"}}));
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(std::get<Entered>(*back).cut, std::vector<std::string>{"10.0.0.1:80"});
}

TEST(Message, RefusesWhatIsNotOne) {
  for (const char* bad :
       {"", "{", "[]", "{}", R"({"type":"nonsense"})", R"({"type":"enter","id":"x"})",
        R"({"type":"enter","id":"x","phase":"unknown"})",
        R"({"type":"enter","id":7,"phase":"load"})"})
    EXPECT_FALSE(decode(bad)) << bad;
}

}  // namespace
}  // namespace moat::hooks
