// A procedure under every fault it can meet.
#include "shim/supervise/steps.h"

#include <gtest/gtest.h>

namespace moat::shim {
namespace {

struct Recorder {
  std::vector<std::string> log;
  std::vector<Step::Done> waiting;  // of steps that answer later

  Step step(const std::string& name, bool good = true, bool later = false) {
    return {name,
            [this, name, good, later](Step::Done done) {
              log.push_back("+" + name);
              if (later) return waiting.push_back(std::move(done));
              done(good ? Status() : fail(Code::Internal, "broken"));
            },
            [this, name](const Step::Done& done) {
              log.push_back("-" + name);
              done({});
            }};
  }
  // What perform() has said: "" is well, "?" nothing yet.
  std::string run(std::vector<Step> steps) {
    auto said = std::make_shared<std::string>("?");
    perform(std::move(steps), [said](const Status& status) {
      EXPECT_EQ(*said, "?") << "said twice";
      *said = status ? "" : status.error().what;
    });
    said_ = said;
    return *said;
  }
  [[nodiscard]] std::string said() const { return *said_; }

 private:
  std::shared_ptr<std::string> said_;
};

using Log = std::vector<std::string>;

TEST(Steps, AreMadeInTheirOrder) {
  Recorder r;
  EXPECT_EQ(r.run({r.step("a"), r.step("b"), r.step("c")}), "");
  EXPECT_EQ(r.log, (Log{"+a", "+b", "+c"}));
}

TEST(Steps, AFaultAtAnyStepUndoesThatStepAndThoseBeforeLastFirst) {
  const std::vector<std::string> names{"a", "b", "c", "d"};
  for (std::size_t broken = 0; broken < names.size(); ++broken) {
    Recorder r;
    std::vector<Step> steps;
    Log expected;
    for (std::size_t i = 0; i < names.size(); ++i) steps.push_back(r.step(names[i], i != broken));
    for (std::size_t i = 0; i <= broken; ++i) expected.push_back("+" + names[i]);
    for (std::size_t i = broken + 1; i > 0; --i) expected.push_back("-" + names[i - 1]);
    EXPECT_EQ(r.run(std::move(steps)), names[broken] + ": broken");
    EXPECT_EQ(r.log, expected);
  }
}

TEST(Steps, OneThatTakesItsTimeHoldsUpThoseAfterIt) {
  Recorder r;
  EXPECT_EQ(r.run({r.step("a"), r.step("b", true, true), r.step("c")}), "?");
  EXPECT_EQ(r.log, (Log{"+a", "+b"}));
  r.waiting[0]({});
  EXPECT_EQ(r.said(), "");
  EXPECT_EQ(r.log, (Log{"+a", "+b", "+c"}));
}

TEST(Steps, OneThatFailsLateIsUndoneAsWell) {
  Recorder r;
  EXPECT_EQ(r.run({r.step("a"), r.step("b", true, true), r.step("c")}), "?");
  r.waiting[0](fail(Code::DeadlineExceeded, "late"));
  EXPECT_EQ(r.said(), "b: late");
  EXPECT_EQ(r.log, (Log{"+a", "+b", "-b", "-a"}));
}

TEST(Steps, AnUndoThatFailsIsToldAndKeepsNoOtherFromBeingUndone) {
  Recorder r;
  Step stubborn = r.step("b");
  stubborn.undo = [](const Step::Done& done) { done(fail(Code::Internal, "stuck")); };
  EXPECT_EQ(r.run({r.step("a"), std::move(stubborn), r.step("c", false)}),
            "c: broken; b could not be undone: stuck");
  EXPECT_EQ(r.log, (Log{"+a", "+b", "+c", "-c", "-a"}));
}

TEST(Steps, MayBeTriedAgainAfterAFault) {
  Recorder r;
  EXPECT_NE(r.run({r.step("a"), r.step("b", false)}), "");
  EXPECT_EQ(r.run({r.step("a"), r.step("b")}), "");
  EXPECT_EQ(r.log, (Log{"+a", "+b", "-b", "-a", "+a", "+b"}));
}

}  // namespace
}  // namespace moat::shim
