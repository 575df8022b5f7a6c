#include "shim/ctl/mode.h"

#include <gtest/gtest.h>

namespace moat::shim::ctl {
namespace {

TEST(CtlMode, WhatIsSoAlreadyNeedsNothing) {
  EXPECT_EQ(mode_obstacle("llm", "audit", "audit"), "");
  EXPECT_EQ(mode_obstacle("llm", "enforce", "enforce"), "");
}

TEST(CtlMode, EnforceNeedsARestartAndAuditANewContainer) {
  EXPECT_NE(mode_obstacle("llm", "audit", "enforce").find("a restart is needed"),
            std::string::npos);
  EXPECT_NE(mode_obstacle("llm", "audit", "enforce").find("moat.dev/mode: enforce"),
            std::string::npos);
  EXPECT_NE(mode_obstacle("llm", "enforce", "audit").find("does not loosen"), std::string::npos);
}

}  // namespace
}  // namespace moat::shim::ctl
