#include "policies/lifecycle.h"

#include <gtest/gtest.h>

#include <csignal>

#include "tests/support/policies.h"

namespace moat::policies {
namespace {

using namespace std::chrono_literals;

Policy with(const std::string& transitions) {
  return test::policy_with("  models: [/models]\n  transitions: " + transitions + "\n");
}

const char* const kUsual =
    "{load: {on: {open: models}}, serve: {on: {listen: [8000]}, settle: 2s, timeout: 30m}}";

// Effects as text, so that a test reads as a story: "enter load", "arm 2000".
std::string told(const std::vector<Effect>& effects) {
  std::string out;
  for (const Effect& effect : effects) {
    if (!out.empty()) out += ", ";
    if (const auto* enter = std::get_if<Enter>(&effect))
      out += "enter " + std::string(to_string(enter->to));
    if (const auto* arm = std::get_if<ArmTimer>(&effect))
      out += "arm " + std::to_string(arm->at.count());
    if (std::holds_alternative<DisarmTimer>(effect)) out += "disarm";
    if (std::holds_alternative<NoteHealth>(effect)) out += "note";
  }
  return out;
}

class Story {
 public:
  explicit Story(const std::string& transitions = kUsual) : cycle_(with(transitions), 0ms) {}
  std::string at(Instant now, const Happening& happening) {
    return told(cycle_.step(happening, now));
  }
  Lifecycle& cycle() { return cycle_; }

 private:
  Lifecycle cycle_;
};

TEST(Lifecycle, AnOrdinaryServerGoesThroughLoadToServeToShutdown) {
  Story s;
  EXPECT_EQ(s.at(0ms, TimerFired{}), "arm 1800000") << "init's own time";
  EXPECT_EQ(s.at(1000ms, ModelOpened{}), "disarm, enter load");
  EXPECT_EQ(s.cycle().phase(), Phase::Init) << "not before the transition is carried out";
  EXPECT_EQ(s.cycle().pending(), Phase::Load);
  EXPECT_EQ(s.at(1010ms, TransitionDone{}), "arm 1801010");
  EXPECT_EQ(s.cycle().phase(), Phase::Load);
  EXPECT_EQ(s.cycle().since(), 1010ms);
  EXPECT_EQ(s.at(3000ms, Listening{8000}), "arm 5000");
  EXPECT_EQ(s.at(5000ms, TimerFired{}), "enter serve");
  EXPECT_EQ(s.at(5001ms, TransitionDone{}), "");
  EXPECT_EQ(s.at(9000ms, ModelOpened{}), "") << "reload is a process's affair";
  EXPECT_EQ(s.at(9000ms, Signalled{SIGTERM}), "enter shutdown");
  EXPECT_EQ(s.at(9001ms, TransitionDone{}), "");
  EXPECT_EQ(s.cycle().phase(), Phase::Shutdown);
}

TEST(Lifecycle, ServeWaitsForTheLastArtifact) {
  Story s;
  s.at(0ms, ModelOpened{});
  s.at(1ms, TransitionDone{});
  EXPECT_EQ(s.at(1000ms, Listening{8000}), "arm 3000");
  EXPECT_EQ(s.at(2500ms, ModelOpened{}), "arm 4500");
  EXPECT_EQ(s.at(3000ms, TimerFired{}), "arm 4500") << "a stale timer";
  EXPECT_EQ(s.at(4500ms, TimerFired{}), "enter serve");
}

TEST(Lifecycle, ASettleThatNeverEndsIsEndedByTheTimeout) {
  Story s("{serve: {on: {listen: true}, settle: 2s, timeout: 5s}}");
  s.at(0ms, ModelOpened{});
  s.at(0ms, TransitionDone{});
  s.at(10ms, Listening{80});
  for (Instant now = 1000ms; now < 5000ms; now += 1000ms)
    EXPECT_EQ(s.cycle().step(ModelOpened{}, now).size() <= 1, true);
  EXPECT_EQ(s.at(5000ms, TimerFired{}), "note, enter serve");
}

TEST(Lifecycle, OnlyTheDeclaredPortsCountAndAnUnknownOneDoes) {
  Story s;
  s.at(0ms, ModelOpened{});
  s.at(0ms, TransitionDone{});
  EXPECT_EQ(s.at(100ms, Listening{9999}), "");
  EXPECT_EQ(s.at(200ms, Listening{0}), "arm 2200");
}

TEST(Lifecycle, WithoutAServeTriggerAnyPortAndTwoSeconds) {
  Story s("{load: {on: {open: models}}}");
  s.at(0ms, ModelOpened{});
  EXPECT_EQ(s.at(0ms, TransitionDone{}), "");
  EXPECT_EQ(s.at(100ms, Listening{1234}), "arm 2100");
}

// Streamed artifacts, and masters that listen before they load.
TEST(Lifecycle, InitEndsAtListenAndSettleIntoLoadFirst) {
  Story s;
  EXPECT_EQ(s.at(100ms, Listening{8000}), "arm 2100");
  EXPECT_EQ(s.at(2100ms, TimerFired{}), "note, enter load");
  EXPECT_EQ(s.at(2110ms, TransitionDone{}), "arm 4110") << "a worker may still load";
  EXPECT_EQ(s.at(4110ms, TimerFired{}), "enter serve");
}

TEST(Lifecycle, InitEndsByItsTimeoutAndSoDoesLoad) {
  Story s("{load: {on: {open: models}, timeout: 1s}, serve: {on: {listen: true}, timeout: 9s}}");
  EXPECT_EQ(s.at(0ms, TimerFired{}), "arm 1000");
  EXPECT_EQ(s.at(1000ms, TimerFired{}), "note, enter load");
  EXPECT_EQ(s.at(1000ms, TransitionDone{}), "arm 10000");
  EXPECT_EQ(s.at(10000ms, TimerFired{}), "note, enter serve");
}

TEST(Lifecycle, WarmupComesWhenNothingIsReadAnyMore) {
  Story s("{warmup: {on: {quiet: 1s}}, serve: {on: {listen: true}, settle: 3s}}");
  s.at(0ms, ModelOpened{});
  EXPECT_EQ(s.at(0ms, TransitionDone{}), "arm 1000");
  EXPECT_EQ(s.at(500ms, Listening{80}), "arm 1500");
  EXPECT_EQ(s.at(1500ms, TimerFired{}), "enter warmup");
  EXPECT_EQ(s.at(1500ms, TransitionDone{}), "arm 3500");
  EXPECT_EQ(s.at(3500ms, TimerFired{}), "enter serve");
}

TEST(Lifecycle, WhileATransitionIsPendingNothingElseIsAsked) {
  Story s;
  s.at(0ms, ModelOpened{});
  EXPECT_EQ(s.at(1ms, ModelOpened{}), "");
  EXPECT_EQ(s.at(1ms, Listening{8000}), "");
  EXPECT_EQ(s.at(9000ms, TimerFired{}), "");
  EXPECT_EQ(s.at(9001ms, Signalled{SIGTERM}), "") << "queued";
  EXPECT_EQ(s.at(9002ms, TransitionDone{}), "enter shutdown");
  EXPECT_EQ(s.at(9003ms, Signalled{SIGTERM}), "") << "once";
}

TEST(Lifecycle, AFailedTransitionLeavesThePhaseAndIsTriedAgainLater) {
  Story s;
  s.at(0ms, ModelOpened{});
  EXPECT_EQ(s.at(10ms, TransitionFailed{}), "arm 1800000");
  EXPECT_EQ(s.cycle().phase(), Phase::Init);
  EXPECT_EQ(s.cycle().pending(), std::nullopt);
  EXPECT_EQ(s.at(20ms, ModelOpened{}), "disarm, enter load") << "its open waits for the answer";
  s.at(30ms, TransitionDone{});
  s.at(40ms, Listening{8000});
  EXPECT_EQ(s.at(2040ms, TimerFired{}), "enter serve");
  EXPECT_EQ(s.at(2050ms, TransitionFailed{}), "arm 12050") << "not in a loop";
  EXPECT_EQ(s.cycle().phase(), Phase::Load);
  EXPECT_EQ(s.at(12050ms, TimerFired{}), "enter serve");
}

TEST(Lifecycle, ShutdownComesAtOnceAfterAnythingThatFailed) {
  Story s;
  s.at(0ms, ModelOpened{});
  s.at(1ms, Signalled{SIGTERM});
  EXPECT_EQ(s.at(2ms, TransitionFailed{}), "enter shutdown");
  EXPECT_EQ(s.at(3ms, TransitionFailed{}), "arm 10003");
}

TEST(Lifecycle, ShutdownComesFromEveryPhaseAndNothingComesAfterIt) {
  for (int steps = 0; steps < 3; ++steps) {
    Story s;
    if (steps > 0) s.at(0ms, ModelOpened{}), s.at(0ms, TransitionDone{});
    if (steps > 1)
      s.at(0ms, Listening{8000}), s.at(2000ms, TimerFired{}), s.at(2000ms, TransitionDone{});
    const std::string asked = s.at(3000ms, Signalled{SIGTERM});
    EXPECT_TRUE(asked.ends_with("enter shutdown")) << steps << ": " << asked;
    s.at(3001ms, TransitionDone{});
    for (const Happening& late : {Happening{ModelOpened{}}, Happening{Listening{8000}},
                                  Happening{TimerFired{}}, Happening{TransitionDone{}}})
      EXPECT_EQ(s.at(99999ms, late), "");
    EXPECT_EQ(s.cycle().phase(), Phase::Shutdown);
  }
}

TEST(Lifecycle, OtherSignalsMeanNothingUnlessThePolicySaysSo) {
  Story usual;
  EXPECT_EQ(usual.at(0ms, Signalled{SIGHUP}), "arm 1800000");
  Story own("{shutdown: {on: {signal: INT}}}");
  EXPECT_EQ(own.at(0ms, Signalled{SIGINT}), "enter shutdown");
}

TEST(Lifecycle, OneThatIsResumedGoesOnFromItsPhase) {
  Story s;
  s.cycle().resume(Phase::Load, std::nullopt, 1010ms, true);
  EXPECT_EQ(s.cycle().phase(), Phase::Load);
  EXPECT_EQ(s.cycle().since(), 1010ms);
  EXPECT_EQ(s.at(1500ms, TimerFired{}), "arm 2000") << "it had been listening";
  EXPECT_EQ(s.at(2000ms, TimerFired{}), "enter serve");
}

TEST(Lifecycle, OneThatIsResumedDoesNotEndAPhaseThatItKnowsNothingOf) {
  Story s;
  s.cycle().resume(Phase::Load, std::nullopt, 1010ms, false);
  EXPECT_EQ(s.at(60000ms, TimerFired{}), "arm 1801010") << "only its time ends it";
}

TEST(Lifecycle, OneThatIsResumedInATransitionWaitsForItsEnd) {
  Story s;
  s.cycle().resume(Phase::Init, Phase::Load, 0ms, false);
  EXPECT_EQ(s.at(1000ms, ModelOpened{}), "");
  EXPECT_EQ(s.cycle().pending(), Phase::Load);
  EXPECT_EQ(s.at(1100ms, TransitionDone{}), "arm 1801100");
  EXPECT_EQ(s.cycle().phase(), Phase::Load);
}

}  // namespace
}  // namespace moat::policies
