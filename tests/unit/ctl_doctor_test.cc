#include "shim/ctl/doctor.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace moat::shim::ctl {
namespace {

const std::vector<Checkup> kCheckups{{"kernel", true, true, "6.1.0"},
                                     {"seccomp listener", false, true, "lost: everything"},
                                     {"cgroup BPF", false, false, "lost: addresses"}};

TEST(Doctor, TellsWhatIsNeededFromWhatIsMissed) {
  const std::string text = to_text(kCheckups);
  EXPECT_NE(text.find("kernel            ok       6.1.0"), std::string::npos) << text;
  EXPECT_NE(text.find("seccomp listener  FAILED   lost: everything"), std::string::npos) << text;
  EXPECT_NE(text.find("cgroup BPF        missing  lost: addresses"), std::string::npos) << text;
}

TEST(Doctor, TellsProgramsTheSame) {
  const auto list = nlohmann::json::parse(to_json(kCheckups));
  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(list[1]["check"], "seccomp listener");
  EXPECT_EQ(list[1]["ok"], false);
  EXPECT_EQ(list[2]["needed"], false);
  EXPECT_EQ(list[2]["detail"], "lost: addresses");
}

}  // namespace
}  // namespace moat::shim::ctl
