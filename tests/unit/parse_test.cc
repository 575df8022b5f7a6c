#include <gtest/gtest.h>

#include <chrono>

#include "tests/support/policy_text.h"

namespace moat::policies {
namespace {

using std::chrono::milliseconds;
using test::error_of, test::expect_errors, test::with_spec;

TEST(Parse, ReadsEveryPartOfTheLanguage) {
  const auto document = parse_document(with_spec(R"(
  purpose: a test
  extends: [builtin/python, builtin/b]
  mode: enforce
  onViolation: {errno: EPERM}
  models: [/models, ~/m]
  scratch: ["+", /data]
  sessions: audit
  transitions:
    load: {on: {open: models}, timeout: 1h}
    warmup: {on: {quiet: 500ms}}
    serve: {on: {listen: [8000, 9000], open: models}, settle: 2s, timeout: 30m}
    reload: {on: {open: models}, window: 120s}
    shutdown: {on: {signal: SIGTERM}}
  phases:
    load:
      filesystem: {read: ["@models", /a/**], exec: []}
      network: {access: {allow: ["@listen", "10.0.0.0/8:443", "[fd00::/8]:80"], quiet: ["@resolver", "unix:/run/x"]}}
      process: {create: false, thread: true}
)"),
                                       "p.yaml");
  ASSERT_TRUE(document) << document.error().what;
  EXPECT_EQ(document->name, "t");
  EXPECT_EQ(document->purpose, "a test");
  EXPECT_EQ(document->extends, (std::vector<std::string>{"builtin/python", "builtin/b"}));
  EXPECT_EQ(document->mode, Mode::Enforce);
  EXPECT_EQ(document->on_violation, (Reaction{Reaction::Kind::Errno, EPERM}));
  EXPECT_EQ(document->models, (std::vector<std::string>{"/models", "~/m"}));
  EXPECT_EQ(document->scratch, (std::vector<std::string>{"+", "/data"}));
  EXPECT_EQ(document->sessions, Sessions::Audit);
  const auto& serve = document->transitions[static_cast<std::size_t>(Phase::Serve)];
  ASSERT_TRUE(serve);
  EXPECT_TRUE(serve->listen && serve->open_models);
  EXPECT_EQ(serve->listen_ports, (std::vector<std::uint16_t>{8000, 9000}));
  EXPECT_EQ(serve->settle, milliseconds(2000));
  EXPECT_EQ(serve->timeout, milliseconds(1'800'000));
  EXPECT_EQ(document->transitions[static_cast<std::size_t>(Phase::Warmup)]->quiet,
            milliseconds(500));
  EXPECT_EQ(document->transitions[static_cast<std::size_t>(Phase::Shutdown)]->signal, 15);
  EXPECT_EQ(document->transitions[static_cast<std::size_t>(Phase::Reload)]->window,
            milliseconds(120'000));
  const auto& load = document->phases[static_cast<std::size_t>(Phase::Load)];
  ASSERT_TRUE(load);
  EXPECT_TRUE(load->of(Action::FilesystemExec)->objects.empty());
  EXPECT_FALSE(load->of(Action::FilesystemModify));
  EXPECT_EQ(load->of(Action::NetworkAccess)->quiet.size(), 2U);
  EXPECT_TRUE(load->of(Action::ProcessThread)->allowed);
  EXPECT_FALSE(load->of(Action::ProcessCreate)->allowed);
}

TEST(Parse, ReadsJsonWithItsTabsAndEscapes) {
  const auto document = parse_document(
      "{\n\t\"apiVersion\": \"moat.dev/v1alpha1\", \"kind\": \"LifecyclePolicy\",\n"
      "\t\"metadata\": {\"name\": \"t\"},\n\t\"spec\": {\"purpose\": \"\\ud83d\\ude00 \\/\"}\n}\n",
      "p.json");
  ASSERT_TRUE(document) << document.error().what;
  EXPECT_EQ(document->purpose, "😀 /");
}

TEST(Parse, ReadsSeveralDocumentsOrNone) {
  const std::string one = with_spec("  {}\n");
  const auto documents = parse_all(one + "---\n" + one + "---\n# only a comment\n", "p.yaml");
  ASSERT_TRUE(documents) << documents.error().what;
  EXPECT_EQ(documents->size(), 2U);
  EXPECT_EQ(error_of(one + "---\n" + one), "p.yaml: 2 documents where one is expected");
  EXPECT_FALSE(parse_all(one + "---\nkind: X\n", "p.yaml")) << "all or nothing";
}

TEST(Parse, RefusesWhatIsNoDocument) {
  expect_errors({
      {"", "p.yaml:1:1: no policy in the text"},
      {"# nothing\n", "p.yaml:1:1: no policy in the text"},
      {"[]", "p.yaml:1:1: expected a mapping, not a list"},
      {"hello", "p.yaml:1:1: expected a mapping, not 'hello'"},
      {"kind: LifecyclePolicy\n", "p.yaml:1:1: 'apiVersion' is missing"},
      {"apiVersion: v1\n",
       "p.yaml:1:13: apiVersion: 'v1' is not supported; it must be 'moat.dev/v1alpha1'"},
      {"kind: Policy\n",
       "p.yaml:1:7: kind: 'Policy' is not supported; it must be 'LifecyclePolicy'"},
      {"metadata: {}\n", "p.yaml:1:11: metadata: 'name' is missing"},
      {"metadata: {name: 'a b'}\n", "p.yaml:1:18: metadata.name: 'a b' is not a name: …"},
      {"metadata: {name: a, labels: {x: [1]}}\n",
       "p.yaml:1:33: metadata.labels.x: expected a text, not a list"},
      {"apiversion: v1\n", "p.yaml:1:1: unknown key 'apiversion'; did you mean 'apiVersion'?"},
  });
}

TEST(Parse, NamesPlaceAndNearestKey) {
  expect_errors({
      {with_spec("  mod: audit\n"), "p.yaml:5:3: spec: unknown key 'mod'; did you mean 'mode'?"},
      {with_spec("  zebra: 1\n"),
       "p.yaml:5:3: spec: unknown key 'zebra'; valid: extends, mode, onViolation, models, "
       "scratch, sessions, purpose, transitions, phases"},
      {with_spec("  phases:\n    lod: {}\n"),
       "p.yaml:6:5: spec.phases: unknown key 'lod'; did you mean 'load'?"},
      {with_spec("  phases:\n    load:\n      filesytem: {}\n"),
       "p.yaml:7:7: spec.phases.load: unknown key 'filesytem'; did you mean 'filesystem'?"},
      {with_spec("  phases: {load: {process: {fork: true}}}\n"),
       "p.yaml:5:29: spec.phases.load.process: unknown key 'fork'; valid: create, thread, exec, "
       "cross, context"},
      {with_spec("  transitions: {serve: {on: {listn: true}}}\n"),
       "p.yaml:5:30: spec.transitions.serve.on: unknown key 'listn'; did you mean 'listen'?"},
      {with_spec("  mode: audit\n  mode: off\n"), "p.yaml:6:3: duplicate key 'mode'"},
      {with_spec("  phases: {load: {}, serve: {}, load: {}}\n"),
       "p.yaml:5:33: duplicate key 'load'"},
  });
}

TEST(Parse, RefusesWrongValues) {
  expect_errors({
      {with_spec("  mode: enforced\n"),
       "p.yaml:5:9: spec.mode: 'enforced' is not one of off, audit, learn, enforce; did you mean "
       "'enforce'?"},
      {with_spec("  mode: [audit]\n"), "p.yaml:5:9: spec.mode: expected a word, not a list"},
      {with_spec("  mode:\n"), "p.yaml:5:3: spec.mode: expected a word, not nothing"},
      {with_spec("  extends: builtin/python\n"),
       "p.yaml:5:12: spec.extends: expected a list, not 'builtin/python'"},
      {with_spec("  onViolation: {errno: EACES}\n"),
       "p.yaml:5:24: spec.onViolation.errno: 'EACES' is not the name of an errno; did you mean "
       "'EACCES'?"},
      {with_spec("  onViolation: {errno: EINTR}\n"),
       "p.yaml:5:24: spec.onViolation.errno: EINTR would make the caller try again for ever"},
      {with_spec("  onViolation: kil\n"),
       "p.yaml:5:16: spec.onViolation: 'kil' is not one of kill, quarantine, terminate, {errno: "
       "EACCES}; did "
       "you mean 'kill'?"},
      {with_spec("  onViolation: {}\n"), "p.yaml:5:16: spec.onViolation: 'errno' is missing"},
      {with_spec("  sessions: allowed\n"), "p.yaml:5:13: spec.sessions: 'allowed' is not one of …"},
      {with_spec("  models: [models]\n"),
       "p.yaml:5:12: spec.models[0]: 'models' is not an absolute path (begin it with '/' or '~/')"},
      {with_spec("  models: [$HF_HOME]\n"), "p.yaml:5:12: spec.models[0]: '$HF_HOME' is not an …"},
      {with_spec("  models: [/m/*]\n"),
       "p.yaml:5:12: spec.models[0]: '/m/*' must name one place, without '*' and '?'"},
      {with_spec("  scratch: [//]\n"), "p.yaml:5:13: spec.scratch[0]: '/' cannot be one place"},
      {with_spec("  scratch: [/tmp/../etc]\n"),
       "p.yaml:5:13: spec.scratch[0]: '/tmp/../etc' holds '..'; write the path it leads to"},
      {with_spec("  scratch: [~bob/x]\n"),
       "p.yaml:5:13: spec.scratch[0]: '~bob/x': '~' is the container's home and is followed by "
       "'/'"},
      {with_spec("  purpose: |\n    two\n    lines\n"), "p.yaml:5:12: spec.purpose: must be one …"},
  });
}

TEST(Parse, RefusesWrongBoundaries) {
  const auto phase = [](const std::string& rule) {
    return with_spec("  phases: {load: {" + rule + "}}\n");
  };
  expect_errors({
      {phase("process: {create: yes}"),
       "p.yaml:5:37: spec.phases.load.process.create: expected true or false, not 'yes'"},
      {phase("process: {create: \"true\"}"),
       "p.yaml:5:37: spec.phases.load.process.create: expected true or false, not \"true\""},
      {phase("process: {create: []}"),
       "p.yaml:5:37: spec.phases.load.process.create: expected true or false, not a list"},
      {phase("process: {exec: false}"),
       "p.yaml:5:35: spec.phases.load.process.exec: expected a list of objects ([] allows "
       "nothing), not 'false'"},
      {phase("process: [exec]"),
       "p.yaml:5:28: spec.phases.load.process: expected a mapping of actions, not a list"},
      {phase("filesystem: {read: [\"@modls\"]}"),
       "p.yaml:5:39: spec.phases.load.filesystem.read[0]: unknown set '@modls'; did you mean "
       "'@models'?"},
      {phase("filesystem: {read: [\"@listen\"]}"),
       "p.yaml:5:39: spec.phases.load.filesystem.read[0]: '@listen' means nothing for "
       "filesystem.read; valid: …"},
      {phase("filesystem: {read: [data/x]}"),
       "p.yaml:5:39: spec.phases.load.filesystem.read[0]: 'data/x' is not an absolute path …"},
      {phase("filesystem: {read: [/a, \"+\"]}"),
       "p.yaml:5:43: spec.phases.load.filesystem.read[1]: '+' adds to the inherited list and …"},
      {phase("filesystem: {read: [\"/usr/**.so\"]}"),
       "p.yaml:5:39: spec.phases.load.filesystem.read[0]: '/usr/**.so': '**' stands for whole …"},
      {phase("filesystem: {read: {alow: []}}"),
       "p.yaml:5:39: spec.phases.load.filesystem.read: unknown key 'alow'; did you mean 'allow'?"},
      {phase("filesystem: {read: {quiet: []}}"),
       "p.yaml:5:38: spec.phases.load.filesystem.read: 'allow' is missing ([] allows nothing)"},
      {phase("device: {access: {allow: [], quiet: [/dev/x]}}"),
       "p.yaml:5:55: spec.phases.load.device.access.quiet: is not supported for this action"},
      {phase("network: {access: [\"@python\"]}"),
       "p.yaml:5:38: spec.phases.load.network.access[0]: '@python' means nothing for "
       "network.access; valid: @listen, @resolver"},
      {phase("network: {access: [\"@resolver\"]}"),
       "p.yaml:5:38: spec.phases.load.network.access[0]: '@resolver' can only be quiet…"},
      {phase("network: {access: {allow: [], quiet: [\"10.0.0.1:53\"]}}"),
       "p.yaml:5:57: spec.phases.load.network.access.quiet[0]: '10.0.0.1:53' cannot be quiet; "
       "unix:/path and @resolver can"},
  });
}

TEST(Parse, RefusesWhatIsNoAddress) {
  for (const char* address :
       {"300.1.1.1", "10.0.0.0/33", "10.0.0.1:70000", "10.0.0.1:", "1.2.3", "[::1", "[::1]x",
        "[10.0.0.1]", "::1", "fd00::/8", "a b", "-x", "unix:", "unix:x", "unix:@", "http://x", ""})
    EXPECT_NE(error_of(with_spec("  phases: {load: {network: {access: ['" + std::string(address) +
                                 "']}}}\n")),
              "no error")
        << address;
  for (const char* address : {"*", "10.0.0.1", "10.0.0.0/8", "10.0.0.0/8:443", "[::1]:80", "[::/0]",
                              "host", "a.b-c.example:443", "unix:/run/*.sock", "unix:@abstract"})
    EXPECT_EQ(error_of(with_spec("  phases: {load: {network: {access: ['" + std::string(address) +
                                 "']}}}\n")),
              "no error");
}

TEST(Parse, RefusesTriggersThatCannotComeTrue) {
  const auto on = [](const std::string& transition) {
    return with_spec("  transitions: {" + transition + "}\n");
  };
  const std::string at = "p.yaml:5:";
  expect_errors({
      {on("init: {on: {open: models}}"),
       at + "23: spec.transitions.init: a container starts in init; nothing leads there"},
      {on("load: {}"), at + "23: spec.transitions.load: 'on' is missing"},
      {on("load: {on: {}}"),
       at + "28: spec.transitions.load.on: says nothing: open, listen, quiet or signal"},
      {on("load: {on: {open: model}}"), at + "35: spec.transitions.load.on.open: 'model' is not …"},
      {on("load: {on: {quiet: 2s}}"), at + "23: spec.transitions.load: init has no end that …"},
      {on("serve: {on: {signal: TERM}}"), at + "24: spec.transitions.serve: a signal cannot …"},
      {on("serve: {on: {listen: true}, window: 2s}"),
       at + "24: spec.transitions.serve: 'window' belongs to reload"},
      {on("reload: {on: {listen: true}}"), at + "25: spec.transitions.reload: only open or a …"},
      {on("shutdown: {on: {listen: true}}"), at + "27: spec.transitions.shutdown: only a signal …"},
      {on("shutdown: {on: {signal: TERM, open: models}}"),
       at + "27: spec.transitions.shutdown: a signal cannot be combined with another trigger"},
      {on("shutdown: {on: {signal: TREM}}"),
       at + "41: spec.transitions.shutdown.on.signal: 'TREM' is not a signal; did you mean "
            "'TERM'?"},
      {on("shutdown: {on: {signal: KILL}}"),
       at + "41: spec.transitions.shutdown.on.signal: KILL …"},
      {on("serve: {on: {listen: 8000}}"),
       at + "38: spec.transitions.serve.on.listen: expected a list of ports, or true for any"},
      {on("serve: {on: {listen: [0]}}"),
       at + "39: spec.transitions.serve.on.listen[0]: expected a port from 1 to 65535, not '0'"},
      {on("serve: {on: {listen: [65536]}}"), at + "39: spec.transitions.serve.on.listen[0]: …"},
      {on("serve: {on: {listen: []}}"), at + "38: spec.transitions.serve.on.listen: no port; …"},
  });
}

TEST(Parse, RefusesDurationsWithoutUnitOrEnd) {
  const auto settle = [](const std::string& value) {
    return error_of(
        with_spec("  transitions: {serve: {on: {listen: true}, settle: " + value + "}}\n"));
  };
  const std::string at = "p.yaml:5:53: spec.transitions.serve.settle: ";
  EXPECT_EQ(settle("2"), at + "'2' has no unit; write 2ms, 2s, 2m or 2h");
  EXPECT_EQ(settle("2 s"), at + "expected a duration such as 500ms, 2s, 30m or 1h, not '2 s'");
  for (const char* value : {"-2s", "2d", "s", "1.5s", "2S", "99999999999999999999s", "{}"})
    EXPECT_TRUE(settle(value).starts_with(at + "expected a duration")) << settle(value);
  EXPECT_EQ(settle("25h"), at + "longer than 24h");
  EXPECT_EQ(settle("24h"), "no error");
}

}  // namespace
}  // namespace moat::policies
