#include "hooks/leftovers.h"

#include <gtest/gtest.h>

namespace moat::hooks {
namespace {

TEST(Leftovers, TheNamespaceComesFromTheBundle) {
  for (const char* bundle : {"/run/containerd/io.containerd.runtime.v2.task/k8s.io/c1",
                             "/x/k8s.io/c1///", "/k8s.io/c1"}) {
    const auto stopped =
        parse_stopped(R"({"ociVersion":"1.0.2","id":"c1","status":"stopped","bundle":")" +
                      std::string(bundle) + "\"}");
    ASSERT_TRUE(stopped) << stopped.error().what;
    EXPECT_EQ(stopped->namespace_, "k8s.io");
    EXPECT_EQ(stopped->id, "c1");
  }
}

TEST(Leftovers, AStateThatSaysTooLittleIsAnError) {
  for (const char* bad : {"", "[]", "{", "{}", R"({"id":"c1"})", R"({"id":"c1","bundle":5})",
                          R"({"id":"c1","bundle":"x"})", R"({"id":"c1","bundle":"/x"})",
                          R"({"bundle":"/a/b/c"})", R"({"id":7,"bundle":"/a/b/c"})"})
    EXPECT_FALSE(parse_stopped(bad)) << bad;
}

}  // namespace
}  // namespace moat::hooks
