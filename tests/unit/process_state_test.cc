#include "shim/supervise/process_state.h"

#include <gtest/gtest.h>

namespace moat::shim {
namespace {

TEST(ProcessState, ReadsWhatRuncSends) {
  const auto state = parse_process_state(
      R"({"ociVersion":"1.0.2-dev","fds":["seccompFd"],"pid":4711,"metadata":"c1",)"
      R"("state":{"ociVersion":"1.0.2-dev","id":"c1","status":"creating","pid":4711,"bundle":"/b"}})");
  ASSERT_TRUE(state) << state.error().what;
  EXPECT_EQ(state->fd_names, std::vector<std::string>{"seccompFd"});
  EXPECT_EQ(state->pid, 4711);
  EXPECT_EQ(state->metadata, "c1");
  EXPECT_EQ(state->id, "c1");
  EXPECT_EQ(state->status, "creating");
}

TEST(ProcessState, RefusesHalfAndHostileMessages) {
  const std::string huge(kMaxProcessState + 1, ' ');
  for (const std::string& bad : {
           std::string(),
           std::string("{"),
           std::string("[]"),
           std::string("null"),
           std::string(R"({"fds":["seccompFd"],"pid":1})"),
           std::string(R"({"fds":"seccompFd","pid":1,"state":{"id":"x","status":"creating"}})"),
           std::string(R"({"fds":["seccompFd"],"pid":-1,"state":{"id":"x","status":"creating"}})"),
           std::string(R"({"fds":["seccompFd"],"pid":"1","state":{"id":"x","status":"creating"}})"),
           huge,
       })
    EXPECT_FALSE(parse_process_state(bad)) << bad.substr(0, 80);
}

}  // namespace
}  // namespace moat::shim
