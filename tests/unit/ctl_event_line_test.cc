#include "shim/ctl/event_line.h"

#include <gtest/gtest.h>

#include "policies/event.h"

namespace moat::shim::ctl {
namespace {

policies::Event violation() {
  policies::Event event;
  event.kind = policies::EventKind::Violation;
  event.severity = "critical";
  event.action = "denied";
  event.phase.name = policies::Phase::Load;
  event.rule = "load.filesystem.read";
  event.object = {policies::ObjectType::File, "/root/.ssh/id_rsa"};
  event.container.id = "c1";
  event.process.emplace();
  event.process->comm = "python3";
  event.process->pid = 1;
  event.process->host_pid = 4711;
  return event;
}

policies::Stamp at(std::int64_t ns) {
  return {std::chrono::sys_time<std::chrono::nanoseconds>(std::chrono::nanoseconds(ns)), 1};
}

constexpr std::int64_t kNoon = 1787400000123456789;  // 2026-08-22T12:00:00.123456789Z

TEST(EventLine, ShowsWhatMoatWrites) {
  const auto line = parse_event_line(policies::to_json_line(violation(), at(kNoon)));
  ASSERT_TRUE(line);
  EXPECT_EQ(line->time, kNoon);
  EXPECT_EQ(plain(*line),
            "2026-08-22T12:00:00.123Z  c1                load      violation   "
            "load.filesystem.read    /root/.ssh/id_rsa             python3(4711)     denied\n");
}

TEST(EventLine, SaysWhenAnObjectIsOnlyClaimed) {
  policies::Event event = violation();
  event.claimed = true;
  const auto line = parse_event_line(policies::to_json_line(event, at(kNoon)));
  ASSERT_TRUE(line);
  EXPECT_EQ(line->object, "/root/.ssh/id_rsa (claimed)");
}

TEST(EventLine, APhaseEventSaysWhatCameBefore) {
  policies::Event event;
  event.kind = policies::EventKind::Phase;
  event.phase.name = policies::Phase::Load;
  event.phase.prev = policies::Phase::Init;
  const auto line = parse_event_line(policies::to_json_line(event, at(kNoon)));
  ASSERT_TRUE(line);
  EXPECT_EQ(line->object, "after init");
}

TEST(EventLine, AHostileNameCannotActOnTheTerminal) {
  EventLine line;
  line.object = "/tmp/\x1b[2J\r\n\xe2\x80\xae";
  line.process = "\x07";
  const std::string text = plain(line);
  for (const char* bad : {"\x1b", "\r", "\x07", "\xe2\x80\xae"})
    EXPECT_EQ(text.find(bad), std::string::npos);
  EXPECT_EQ(text.find('\n'), text.size() - 1);
}

TEST(EventLine, WhatIsNoEventIsNothing) {
  for (const char* bad :
       {"", " ", "{", "[]", "null", "5", "\"x\"", "{}", "\xff",
        R"({"time":"2026-08-22T10:00:00Z","kind":"phase"})",
        R"({"schema":"moat.dev/event/v2","time":"2026-08-22T10:00:00Z","kind":"phase"})",
        R"({"schema":"moat.dev/event/v1","time":"yesterday","kind":"phase"})",
        R"({"schema":"moat.dev/event/v1","time":"2026-08-22T10:00:00Z"})",
        R"({"schema":"moat.dev/event/v1","time":5,"kind":"phase"})"})
    EXPECT_FALSE(parse_event_line(bad)) << bad;
}

TEST(EventLine, FieldsOfTheWrongTypeAreMissing) {
  const auto line = parse_event_line(
      R"({"schema":"moat.dev/event/v1","time":"2026-08-22T10:00:00Z","kind":"drop",)"
      R"("phase":"load","rule":[],"object":{"path":"/x","claimed":"yes"},"process":7,)"
      R"("container":null,"k8s":{"pod":{}}})");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->object, "/x");
  EXPECT_EQ(line->phase + line->rule + line->process + line->container_id + line->pod, "");
}

TEST(ParseTime, OrdersTimesOfAnyPrecision) {
  const std::array times{"1970-01-01T00:00:00Z",     "2026-08-22T10:00:00Z",
                         "2026-08-22T10:00:00.5Z",   "2026-08-22T10:00:00.500000001Z",
                         "2026-08-22T10:00:00.51Z",  "2026-08-22T10:00:01Z",
                         "2026-12-31T23:59:60.999Z", "2028-02-29T00:00:00Z"};
  std::int64_t last = -1;
  for (const char* text : times) {
    const auto time = parse_time(text);
    ASSERT_TRUE(time) << text;
    EXPECT_GT(*time, last) << text;
    last = *time;
  }
}

TEST(ParseTime, RefusesWhatIsNoTime) {
  for (const char* bad :
       {"", "Z", "2026-08-22T10:00:00", "2026-08-22T10:00:00+02:00", "2026-08-22 10:00:00Z",
        "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-08-22T24:00:00Z",
        "2026-08-22T10:60:00Z", "2026-08-22T10:00:00.Z", "2026-08-22T10:00:00.1234567890Z",
        "2026-08-22T10:00:00.12x4Z", "9999-01-01T00:00:00Z", "2026-8-22T10:00:00ZZ"})
    EXPECT_FALSE(parse_time(bad)) << bad;
}

struct Match {
  const char* container;
  bool expected;
};

TEST(EventFilter, FindsAContainerByAnyOfItsNames) {
  EventLine line;
  line.container_id = "0123456789abcdef0123456789abcdef";
  line.pod = "prod/llm-0";
  line.name = "vllm";
  for (const Match& match :
       {Match{"", true}, Match{"0123456789abcdef0123456789abcdef", true},
        Match{"0123456789ab", true}, Match{"0123456789a", false}, Match{"vllm", true},
        Match{"prod/llm-0", true}, Match{"prod/llm-0/vllm", true}, Match{"llm-0", false},
        Match{"vll", false}, Match{"prod/llm-0/", false}})
    EXPECT_EQ((EventFilter{match.container, "", ""}.matches(line)), match.expected)
        << match.container;
}

TEST(EventFilter, EveryConditionMustHold) {
  EventLine line;
  line.phase = "load";
  line.kind = "violation";
  EXPECT_TRUE((EventFilter{"", "load", "violation"}.matches(line)));
  EXPECT_FALSE((EventFilter{"", "serve", "violation"}.matches(line)));
  EXPECT_FALSE((EventFilter{"", "load", "phase"}.matches(line)));
}

}  // namespace
}  // namespace moat::shim::ctl
