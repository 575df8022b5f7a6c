#include "oci/holdable.h"

#include <gtest/gtest.h>

namespace moat::oci {
namespace {

std::string said(const char* linux_section) {
  const auto spec = Spec::parse(std::string(R"({"linux": )") + linux_section + "}");
  EXPECT_TRUE(spec) << spec.error().what;
  const Status status = check_holdable(*spec);
  return status ? "" : status.error().what;
}

struct Case {
  const char* section;
  const char* expected;  // a part of the message; "" for a container that can be held
};

#define OWN R"({"type": "pid"}, {"type": "mount"})"

class Holdable : public testing::TestWithParam<Case> {};

TEST_P(Holdable, RefusesWhatMountsAndMarksDoNotReach) {
  const std::string message = said(GetParam().section);
  EXPECT_NE(message.find(GetParam().expected), std::string::npos) << message;
  EXPECT_EQ(message.empty(), *GetParam().expected == '\0') << message;
}

INSTANTIATE_TEST_SUITE_P(
    Sections, Holdable,
    testing::Values(
        Case{R"({"namespaces": [)" OWN R"(]})", ""},
        Case{R"({"namespaces": [{"type": "mount"}]})", "hostPID"},
        Case{R"({"namespaces": [{"type": "pid", "path": "/proc/self/ns/pid"}, {"type": "mount"}]})",
             "hostPID"},
        // A pod that shares its processes: told of, not refused.
        Case{R"({"namespaces": [{"type": "pid", "path": "/nowhere"}, {"type": "mount"}]})", ""},
        Case{R"({"namespaces": [{"type": "pid"}]})", "mount namespace"}, Case{R"({})", "hostPID"},
        // What containerd gives everybody: no device but named ones, any may be made.
        Case{R"({"namespaces": [)" OWN R"(], "resources": {"devices": [
                 {"allow": false, "access": "rwm"},
                 {"allow": true, "type": "b", "access": "m"}, {"allow": true, "type": "c", "access": "m"},
                 {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"}]}})",
             ""},
        Case{R"({"namespaces": [)" OWN R"(], "resources": {"devices": [
                 {"allow": false, "access": "rwm"}, {"allow": true, "access": "rwm"}]}})",
             "privileged"},
        Case{R"({"namespaces": [)" OWN R"(], "resources": {"devices": [
                 {"allow": true, "type": "b", "major": -1, "minor": -1, "access": "rw"}]}})",
             "privileged"}));

TEST(Holdable, SharedProcessesAreTold) {
  const auto spec =
      Spec::parse(R"({"linux": {"namespaces": [{"type": "pid", "path": "/proc/4711/ns/pid"}]}})");
  ASSERT_TRUE(spec);
  EXPECT_EQ(loosely_held(*spec).size(), 1U);
}

}  // namespace
}  // namespace moat::oci
