#include "oci/annotations.h"

#include <gtest/gtest.h>

namespace moat::oci {
namespace {

using policies::Mode;
using policies::Sessions;
using Texts = std::vector<std::string>;

TEST(Annotations, ReadEveryKey) {
  const auto parsed =
      Annotations::parse({{"moat.dev/mode", "enforce"},
                          {"moat.dev/profile", "vllm"},
                          {"moat.dev/policy", "/etc/moat//policy.yaml"},
                          {"moat.dev/policy-sha256", std::string(63, 'A') + "f"},
                          {"moat.dev/model-paths", "/models/a/, /models/b,/models/a"},
                          {"moat.dev/cache-paths", "/cache"},
                          {"moat.dev/serve-on", "8000, 8001"},
                          {"moat.dev/reload", "window=60s"},
                          {"moat.dev/sessions", "deny"},
                          {"moat.dev/containers", "server,side-car"},
                          {"moat.dev/failure-policy", "closed"},
                          {"moat.dev/event-rate", "50/s"},
                          {"moat.dev/allow-connect", "10.0.0.0/8:443, unix:/run/log.sock"},
                          {"moat.dev/allow-write", "/out"},
                          {"moat.dev/allow-exec", "/usr/bin/gcc"},
                          {"example.com/mode", "whatever\n"},
                          {"notmoat.dev/mode", "whatever"}},
                         "server");
  ASSERT_TRUE(parsed) << parsed.error().what;
  EXPECT_EQ(parsed->mode, Mode::Enforce);
  EXPECT_EQ(parsed->profile, "builtin/vllm");
  EXPECT_EQ(parsed->policy, "/etc/moat/policy.yaml");
  EXPECT_EQ(parsed->policy_sha256, std::string(63, 'a') + "f");
  EXPECT_EQ(parsed->model_paths, (Texts{"/models/a", "/models/b"}));
  EXPECT_EQ(parsed->cache_paths, Texts{"/cache"});
  EXPECT_EQ(parsed->serve_on, (std::vector<std::uint16_t>{8000, 8001}));
  EXPECT_EQ(parsed->sessions, Sessions::Deny);
  EXPECT_EQ(parsed->containers, (Texts{"server", "side-car"}));
  EXPECT_EQ(parsed->allow_connect, (Texts{"10.0.0.0/8:443", "unix:/run/log.sock"}));
  EXPECT_EQ(parsed->allow_write, Texts{"/out"});
  EXPECT_EQ(parsed->allow_exec, Texts{"/usr/bin/gcc"});
  EXPECT_EQ(parsed->other,
            (std::map<std::string, std::string>{
                {"event-rate", "50/s"}, {"failure-policy", "closed"}, {"reload", "window=60s"}}));
}

TEST(Annotations, UnderstandTheModeNamesOfOtherTools) {
  const std::pair<const char*, Mode> cases[] = {
      {"off", Mode::Off},          {"audit", Mode::Audit},    {"learn", Mode::Learn},
      {"enforce", Mode::Enforce},  {"complain", Mode::Audit}, {"dryrun", Mode::Audit},
      {"permissive", Mode::Audit}, {"monitor", Mode::Audit},
  };
  for (const auto& [name, mode] : cases)
    EXPECT_EQ(Annotations::parse({{"moat.dev/mode", name}}, "")->mode, mode) << name;
}

TEST(Annotations, LetTheFormForOneContainerWin) {
  const std::map<std::string, std::string> all{
      {"moat.dev/mode", "enforce"},          {"mode.moat.dev/warm", "audit"},
      {"moat.dev/model-paths", "/a,/b"},     {"model-paths.moat.dev/warm", "/c"},
      {"moat.dev/profile", "builtin/torch"}, {"profile.moat.dev/other", "node/own"},
  };
  const auto warm = Annotations::parse(all, "warm"), server = Annotations::parse(all, "server");
  ASSERT_TRUE(warm && server);
  EXPECT_EQ(warm->mode, Mode::Audit);
  EXPECT_EQ(warm->model_paths, Texts{"/c"}) << "replaces, does not add";
  EXPECT_EQ(warm->profile, "builtin/torch");
  EXPECT_EQ(server->mode, Mode::Enforce);
  EXPECT_EQ(server->model_paths, (Texts{"/a", "/b"}));
  EXPECT_EQ(Annotations::parse({{"mode.moat.dev/", "audit"}}, "")->mode, std::nullopt)
      << "no container has an empty name";
}

TEST(Annotations, JudgeAnotherContainersValueThere) {
  const std::map<std::string, std::string> all{{"mode.moat.dev/other", "nonsense"}};
  EXPECT_TRUE(Annotations::parse(all, "server"));
  EXPECT_FALSE(Annotations::parse(all, "other"));
}

struct Bad {
  std::string key, value, error;
};

TEST(Annotations, SayWhatIsWrongAndWhatWasMeant) {
  const std::string digest(64, 'a');
  const Bad cases[] = {
      {"moat.dev/mode", "enforced",
       "annotation moat.dev/mode: 'enforced' is not one of off, audit, learn, enforce; did you "
       "mean 'enforce'?"},
      {"moat.dev/mdoe", "audit", "annotation moat.dev/mdoe: no such key; did you mean 'mode'?"},
      {"mdoe.moat.dev/server", "audit",
       "annotation mdoe.moat.dev/server: no such key; did you mean 'mode'?"},
      {"moat.dev/", "audit", "annotation moat.dev/: no such key"},
      {"containers.moat.dev/server", "a",
       "annotation containers.moat.dev/server: names the containers of a whole pod"},
      {"moat.dev/mode", "", "annotation moat.dev/mode: is empty: leave the annotation out"},
      {"moat.dev/mode", "audit\n", "annotation moat.dev/mode: has control characters"},
      {"moat.dev/mode", "au\xff", "annotation moat.dev/mode: has control characters"},
      {"moat.dev/model-paths", "/" + std::string(4096, 'a'),
       "annotation moat.dev/model-paths: is 4097 bytes long, the limit is 4096"},
      {"moat.dev/model-paths", "models",
       "annotation moat.dev/model-paths: 'models' is not absolute"},
      {"moat.dev/model-paths", "/a,~/b", "annotation moat.dev/model-paths: '~/b' is not absolute"},
      {"moat.dev/model-paths", "/a/../etc",
       "annotation moat.dev/model-paths: '/a/../etc' has a '..' in it"},
      {"moat.dev/model-paths", "/a,,/b", "annotation moat.dev/model-paths: has an empty item"},
      {"moat.dev/model-paths", "/a,", "annotation moat.dev/model-paths: has an empty item"},
      {"moat.dev/model-paths", "/", "annotation moat.dev/model-paths: '/' is the whole container"},
      {"moat.dev/cache-paths", "/a/*", "annotation moat.dev/cache-paths: '/a/*' has a wildcard"},
      {"moat.dev/cache-paths", "/a\xe2\x80\xae/b", "annotation moat.dev/cache-paths: has control"},
      {"moat.dev/profile", "../../etc/passwd", "annotation moat.dev/profile: "},
      {"moat.dev/profile", "node/../x", "annotation moat.dev/profile: "},
      {"moat.dev/profile", "node/.hidden", "annotation moat.dev/profile: "},
      {"moat.dev/policy", "policy.yaml",
       "annotation moat.dev/policy: 'policy.yaml' is not absolute"},
      {"moat.dev/policy-sha256", digest.substr(1), "annotation moat.dev/policy-sha256: "},
      {"moat.dev/policy-sha256", "g" + digest.substr(1), "annotation moat.dev/policy-sha256: "},
      {"moat.dev/serve-on", "0", "annotation moat.dev/serve-on: '0' is not a port"},
      {"moat.dev/serve-on", "65536", "annotation moat.dev/serve-on: '65536' is not a port"},
      {"moat.dev/serve-on", "80x", "annotation moat.dev/serve-on: '80x' is not a port"},
      {"moat.dev/serve-on", "-80", "annotation moat.dev/serve-on: '-80' is not a port"},
      {"moat.dev/reload", "window=", "annotation moat.dev/reload: 'window=' is not"},
      {"moat.dev/reload", "sometimes", "annotation moat.dev/reload: 'sometimes' is not"},
      {"moat.dev/sessions", "alow",
       "annotation moat.dev/sessions: 'alow' is not one of allow, audit, deny; did you mean "
       "'allow'?"},
      {"moat.dev/containers", "Server", "annotation moat.dev/containers: 'Server' is not"},
      {"moat.dev/failure-policy", "shut",
       "annotation moat.dev/failure-policy: 'shut' is not one of"},
      {"moat.dev/event-rate", "50", "annotation moat.dev/event-rate: '50' is not a rate"},
      {"moat.dev/allow-connect", "10.0.0.1:70000", "annotation moat.dev/allow-connect: "},
      {"moat.dev/allow-connect", "unix:run.sock", "annotation moat.dev/allow-connect: "},
  };
  for (const Bad& bad : cases) {
    const auto parsed = Annotations::parse({{bad.key, bad.value}}, "server");
    ASSERT_FALSE(parsed) << bad.key << "=" << bad.value;
    EXPECT_TRUE(parsed.error().what.starts_with(bad.error)) << parsed.error().what;
    EXPECT_EQ(parsed.error().code, Code::InvalidArgument);
  }
}

TEST(Annotations, KeepTheNumberOfPathsBounded) {
  std::string many = "/0";
  for (int i = 1; i < 64; ++i) many += ",/" + std::to_string(i);
  EXPECT_TRUE(Annotations::parse({{"moat.dev/model-paths", many}}, ""));
  EXPECT_FALSE(Annotations::parse({{"moat.dev/model-paths", many + ",/64"}}, ""));
}

TEST(Annotations, AcceptAnyPort) {
  EXPECT_EQ(Annotations::parse({{"moat.dev/serve-on", "listen"}}, "")->serve_on,
            std::vector<std::uint16_t>{});
  EXPECT_EQ(Annotations::parse({{"moat.dev/serve-on", "listen:8000"}}, "")->serve_on,
            std::vector<std::uint16_t>{8000});
}

TEST(Annotations, PrintNoControlCharactersOfAHostileKey) {
  const auto parsed = Annotations::parse({{"moat.dev/\x1b[31m" + std::string(9999, 'x'), "1"}}, "");
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().what.find('\x1b'), std::string::npos);
  EXPECT_LT(parsed.error().what.size(), 500U);
}

}  // namespace
}  // namespace moat::oci
