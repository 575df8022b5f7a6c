#include <gtest/gtest.h>
#include <rapidjson/document.h>

#include "policies/event.h"
#include "policies/quote.h"

namespace moat::policies {
namespace {

constexpr std::size_t kMaxLine = 16 * 1024;

Stamp stamp(std::uint64_t seq = 812) {
  using namespace std::chrono;
  const auto day = sys_days{year{2026} / 8 / 22};
  return {day + hours(10) + minutes(2) + seconds(3) + nanoseconds(123'456'789), seq};
}

Event violation() {
  Event event;
  event.kind = EventKind::Violation;
  event.severity = "critical";
  event.action = "denied";
  event.mode = Mode::Enforce;
  event.err = EACCES;
  event.phase = {Phase::Serve, 84213, Phase::Load, 512, 1};
  event.rule = "serve.process.exec";
  event.policy_name = "builtin/python";
  event.policy_digest = "sha256:ab";
  event.policy_source = "builtin";
  event.syscall = "execve";
  event.object = {ObjectType::Exec, "/bin/sh"};
  event.claimed = true;
  event.process = ProcessInfo{41,  88123, 88124, 1000,    "/usr/bin/python3.11",
                              "a", "/",   88000, "/init", {"sh", "-c", "id"}};
  event.container.id = "c1";
  event.container.runtime_handler = "moat";
  event.container.image = "img";
  event.container.kube_namespace = "prod";
  event.container.pod = "llm-0";
  return event;
}

rapidjson::Document read(const std::string& line) {
  rapidjson::Document json;
  json.Parse<rapidjson::kParseValidateEncodingFlag>(line.c_str());
  EXPECT_FALSE(json.HasParseError()) << line;
  return json;
}

TEST(EventJson, WritesTheSchemaFieldByField) {
  EXPECT_EQ(to_json_line(violation(), stamp()),
            R"({"schema":"moat.dev/event/v1","id":"01M0MEQ5FK0YTMMT2S000000SC",)"
            R"("time":"2026-08-22T10:02:03.123456789Z","seq":812,"kind":"violation",)"
            R"("severity":"critical","action":"denied","mode":"enforce","errno":"EACCES",)"
            R"("phase":{"name":"serve","since_ms":84213,"prev":"load","prev_duration_ms":512,)"
            R"("generation":1},"rule":{"id":"serve.process.exec"},)"
            R"("policy":{"name":"builtin/python","digest":"sha256:ab","source":"builtin"},)"
            R"("syscall":{"name":"execve"},)"
            R"("object":{"type":"exec","path":"/bin/sh","claimed":true,"argv":["sh","-c","id"],)"
            R"("argv_truncated":false},)"
            R"("process":{"pid":41,"host_pid":88123,"tid":88124,"exe":"/usr/bin/python3.11",)"
            R"("comm":"a","cwd":"/","uid":1000,"parent":{"host_pid":88000,"exe":"/init"}},)"
            R"("origin":"container","k8s":{"namespace":"prod","pod":"llm-0"},)"
            R"("container":{"id":"c1","image":"img","runtime_handler":"moat"},)"
            R"("runtime":{"version":")" MOAT_VERSION R"("}})");
}

TEST(EventJson, LeavesOutWhatIsNotKnown) {
  Event event;
  event.container.id = "c1";
  event.message = "hello";
  event.numbers = {{"dropped", 7}};
  const auto json = read(to_json_line(event, stamp()));
  for (const char* key :
       {"errno", "rule", "syscall", "object", "process", "k8s", "exec_id", "truncated", "action"})
    EXPECT_FALSE(json.HasMember(key)) << key;
  EXPECT_STREQ(json["kind"].GetString(), "health");
  EXPECT_STREQ(json["message"].GetString(), "hello");
  EXPECT_EQ(json["counts"]["dropped"].GetInt64(), 7);
}

TEST(EventJson, NamesASessionAndTheKindOfAnObject) {
  Event event = violation();
  event.exec_id = "probe-1";
  event.object = {ObjectType::Address, "10.0.0.1:443"};
  event.process->argv.clear();
  const auto json = read(to_json_line(event, stamp()));
  EXPECT_STREQ(json["origin"].GetString(), "exec-session");
  EXPECT_STREQ(json["exec_id"].GetString(), "probe-1");
  EXPECT_STREQ(json["object"]["address"].GetString(), "10.0.0.1:443");
  event.object = {ObjectType::Process, "signal 9"};
  EXPECT_STREQ(read(to_json_line(event, stamp()))["object"]["name"].GetString(), "signal 9");
}

TEST(EventJson, GivesIdsThatSortByTimeAndDifferByContainerAndNumber) {
  const auto id = [](const char* container, const Stamp& when) {
    Event event;
    event.container.id = container;
    return std::string(read(to_json_line(event, when))["id"].GetString());
  };
  Stamp later = stamp();
  later.time += std::chrono::milliseconds(1);
  EXPECT_EQ(id("a", stamp()), id("a", stamp()));
  EXPECT_LT(id("z", stamp(999'999)), id("a", later));
  EXPECT_LT(id("a", stamp(1)), id("a", stamp(2)));
  EXPECT_NE(id("a", stamp()), id("b", stamp()));
  EXPECT_EQ(id("a", stamp()).size(), 26U);
}

struct Row {
  const char* text;
  const char* json;
};

TEST(Quote, LeavesNothingForATerminalOrALineReader) {
  const Row rows[] = {
      {"plain /a-b", "\"plain /a-b\""},
      {"q\"b\\", "\"q\\\"b\\\\\""},
      {"a\nb\tc\r", "\"a\\nb\\tc\\u000d\""},
      {"\x1b[2J\x7f", "\"\\u001b[2J\\u007f\""},
      {"\xC2\x9B"
       "31m",
       "\"\\u009b31m\""},  // C1 CSI
      {"\xE2\x80\xAE"
       "x",
       "\"\\u202ex\""},                            // right-to-left override
      {"\xE2\x81\xA6", "\"\\u2066\""},             // isolate
      {"\xE2\x80\xA8", "\"\\u2028\""},             // line separator
      {"\xEF\xBB\xBF", "\"\\ufeff\""},             // byte order mark
      {"\xF3\xA0\x81\x81", "\"\\udb40\\udc41\""},  // a tag character
      {"\xff\xfe", "\"\\ufffd\\ufffd\""},          // no UTF-8
      {"\xc0\xaf\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\""},  // overlong '/'
      {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},                        // a surrogate
      {"\xE6\xA8", "\"\\ufffd\\ufffd\""},                                   // cut
      {"模型 é 😀", "\"模型 é 😀\""},
  };
  for (const Row& row : rows) EXPECT_EQ(quote(row.text, 1000).json, row.json);
}

TEST(Quote, CutsAtTheLimitWithAMark) {
  EXPECT_EQ(quote("abcdefgh", 10).json, "\"abcdefgh\"");
  EXPECT_FALSE(quote("abcdefgh", 10).truncated);
  const Quoted cut = quote("abcdefghi", 10);
  EXPECT_EQ(cut.json, "\"abcde…\"");
  EXPECT_TRUE(cut.truncated);
  const std::string nasty = "a\xff\xE6\xA8\xA1\x1b\"😀\xC2\x9Bz";
  for (std::size_t limit = 5; limit < 60; ++limit) {
    const Quoted quoted = quote(nasty + nasty, limit);
    EXPECT_LE(quoted.json.size(), limit);
    read("{\"k\":" + quoted.json + "}");
  }
}

// Every text of an event as long and as hostile as it can be: controls cost six bytes for one.
TEST(EventJson, StaysBelowItsBoundWhateverTheWorkloadDoes) {
  for (const std::string& unit : {std::string("\x01"), std::string("a"), std::string("\xff"),
                                  std::string("\""), std::string("😀")}) {
    std::string text;
    while (text.size() < 100'000) text += unit;
    Event event = violation();
    for (std::string* field : {&event.severity,       &event.action,
                               &event.rule,           &event.policy_name,
                               &event.policy_digest,  &event.policy_source,
                               &event.syscall,        &event.object.name,
                               &event.exec_id,        &event.message,
                               &event.process->exe,   &event.process->comm,
                               &event.process->cwd,   &event.process->parent_exe,
                               &event.container.id,   &event.container.kube_namespace,
                               &event.container.pod,  &event.container.pod_uid,
                               &event.container.name, &event.container.image,
                               &event.container.node, &event.container.runtime_handler})
      *field = text;
    event.process->argv.assign(20, text);
    for (int i = 0; i < 1000; ++i) event.numbers["number_" + std::to_string(i)] = INT64_MIN;
    const std::string line = to_json_line(event, stamp(UINT64_MAX));
    EXPECT_LE(line.size(), kMaxLine);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    const auto json = read(line);
    EXPECT_TRUE(json["truncated"].GetBool());
    EXPECT_TRUE(json["object"]["argv_truncated"].GetBool());
  }
}

TEST(EventJson, ShowsALongestPathUncut) {
  Event event = violation();
  event.object.name = "/" + std::string(4094, 'p');
  const auto json = read(to_json_line(event, stamp()));
  EXPECT_EQ(json["object"]["path"].GetStringLength(), 4095U);
  EXPECT_FALSE(json.HasMember("truncated"));
}

TEST(EventJson, CountsArgumentsItDoesNotShow) {
  Event event = violation();
  event.process->argv.assign(17, "x");
  const auto json = read(to_json_line(event, stamp()));
  EXPECT_EQ(json["object"]["argv"].Size(), 16U);
  EXPECT_TRUE(json["object"]["argv_truncated"].GetBool());
}

}  // namespace
}  // namespace moat::policies
