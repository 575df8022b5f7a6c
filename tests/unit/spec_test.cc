#include "oci/spec.h"

#include <gtest/gtest.h>

#include <random>

namespace moat::oci {
namespace {

using Json = nlohmann::json;

TEST(Spec, KeepsWhatItDoesNotKnowAndEvery64BitNumber) {
  const char* texts[] = {
      R"({})",
      R"({"linux":{"resources":{"memory":{"limit":18446744073709551615}}}})",
      R"({"a":-9223372036854775808,"b":9223372036854775807,"c":18446744073709551614})",
      R"({"linux":{"seccomp":{"syscalls":[{"args":[{"value":18446744069414584320}]}]}}})",
      R"({"x-vendor":{"deep":[[[{"k":null}]]],"e":"","u":"ünïcode \" \\ \u0001"}})",
      R"({"n":[0,-1,1.5,0.1,1e300,true,false,null]})",
  };
  for (const char* text : texts) {
    auto spec = Spec::parse(text);
    ASSERT_TRUE(spec) << text << ": " << spec.error().what;
    EXPECT_EQ(Json::parse(spec->dump()), Json::parse(text)) << text;
  }
  EXPECT_EQ(Spec::parse(R"({"a":18446744073709551615})")->dump(), R"({"a":18446744073709551615})");
  EXPECT_EQ(Spec::parse(R"({"a":-9223372036854775808})")->dump(), R"({"a":-9223372036854775808})");
}

Json random_value(std::mt19937_64& random, int depth) {
  switch (random() % (depth > 0 ? 9 : 7)) {
    case 0:
      return nullptr;
    case 1:
      return random() % 2 == 0;
    case 2:
      return random();
    case 3:
      return static_cast<std::int64_t>(random());
    case 4:
      return std::uint64_t{0} - random() % 4;
    case 5:
      return std::ldexp(static_cast<double>(random() >> 11), static_cast<int>(random() % 40) - 60);
    case 6: {
      std::string text;
      for (std::uint64_t n = random() % 6; n > 0; --n) text += "a\"\\\n\x7f/é€"[random() % 6];
      return text;
    }
    case 7: {
      Json array = Json::array();
      for (std::uint64_t n = random() % 4; n > 0; --n)
        array.push_back(random_value(random, depth - 1));
      return array;
    }
    default: {
      Json object = Json::object();
      for (std::uint64_t n = random() % 4; n > 0; --n)
        object["x" + std::to_string(random() % 9)] = random_value(random, depth - 1);
      return object;
    }
  }
}

TEST(Spec, GivesBackAnyDocumentAsItCame) {
  std::mt19937_64 random(20240229);
  for (int i = 0; i < 2000; ++i) {
    const Json document = {{"vendor", random_value(random, 5)}};
    auto spec = Spec::parse(document.dump());
    ASSERT_TRUE(spec) << document.dump() << ": " << spec.error().what;
    ASSERT_EQ(Json::parse(spec->dump()), document) << document.dump();
    ASSERT_EQ(spec->dump(), document.dump());
  }
}

struct Bad {
  std::string text;
  std::string error;
};

TEST(Spec, SaysWhereTheTextIsWrong) {
  const Bad cases[] = {
      {"", "config.json: byte 1: "},
      {"{", "config.json: byte 2: "},
      {"not json", "config.json: byte 2: "},
      {R"({"a":1} x)", "config.json: byte 9: "},
      {"{\"a\":\"\xff\"}", "config.json: byte 7: "},
      {"[]", "config.json: expected an object, found an array"},
      {"7", "config.json: expected an object, found a number"},
      {R"({"a":18446744073709551616})",
       "config.json: the number 18446744073709551616 does not fit into 64 bits"},
      {R"({"mounts":[{"destination":"/a"},{"destination":"/b"},{"destination":5}]})",
       "config.json: mounts[2].destination: expected a string, found a number"},
      {R"({"mounts":[{"source":"/a"}]})", "config.json: mounts[0].destination: is missing"},
      {R"({"mounts":[null]})", "config.json: mounts[0].destination: is missing"},
      {R"({"mounts":{}})", "config.json: mounts: expected an array, found an object"},
      {R"({"mounts":[{"destination":"/a","options":["ro",1]}]})",
       "config.json: mounts[0].options[1]: expected a string, found a number"},
      {R"({"annotations":{"moat.dev/mode":true}})",
       "config.json: annotations.moat.dev/mode: expected a string, found a boolean"},
      {R"({"process":{"user":{"uid":-1}}})",
       "config.json: process.user.uid: expected a whole number from 0 to 4294967295, found the "
       "number -1"},
      {R"({"process":{"user":{"uid":1.5}}})",
       "config.json: process.user.uid: expected a whole number from 0 to 4294967295, found the "
       "number 1.5"},
      {R"({"process":{"noNewPrivileges":"yes"}})",
       "config.json: process.noNewPrivileges: expected true or false, found a string"},
      {R"({"root":"rootfs"})", "config.json: root: expected an object, found a string"},
      {R"({"linux":{"namespaces":[{"type":7}]}})",
       "config.json: linux.namespaces[0].type: expected a string, found a number"},
      {std::string(500, '['), "config.json: nested deeper than 200 levels"},
  };
  for (const Bad& bad : cases) {
    auto spec = Spec::parse(bad.text);
    ASSERT_FALSE(spec) << bad.text;
    EXPECT_EQ(spec.error().code, Code::InvalidArgument);
    EXPECT_TRUE(spec.error().what.starts_with(bad.error)) << spec.error().what;
  }
}

TEST(Spec, ReadsWhatIsThere) {
  auto spec = Spec::parse(R"({
    "annotations": {"a": "1", "b": ""},
    "root": {"path": "fs", "readonly": true},
    "process": {"cwd": "/srv", "args": ["python3", "-m", "x"], "user": {"uid": 1000, "gid": 100},
                "env": ["A=1", "HOME=/x", "HOMER=no", "HOME=/home/u", "B"]},
    "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
               {"destination": "/m", "options": ["rbind", "ro"]}],
    "linux": {"cgroupsPath": "/k8s/x", "namespaces": [{"type": "ipc"}, {"type": "pid"}],
              "uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}]}})");
  ASSERT_TRUE(spec) << spec.error().what;
  EXPECT_EQ(spec->annotations(), (std::map<std::string, std::string>{{"a", "1"}, {"b", ""}}));
  EXPECT_EQ(spec->root_path(), "fs");
  EXPECT_TRUE(spec->root_readonly());
  EXPECT_EQ(spec->cwd(), "/srv");
  EXPECT_EQ(spec->args(), (std::vector<std::string>{"python3", "-m", "x"}));
  EXPECT_EQ(spec->env("HOME"), "/home/u") << "the runtime lets the last one win";
  EXPECT_EQ(spec->env("B"), std::nullopt);
  EXPECT_EQ(spec->uid(), 1000U);
  EXPECT_EQ(spec->gid(), 100U);
  EXPECT_EQ(spec->host_uid(), 101000U);
  EXPECT_EQ(spec->host_gid(), 100U) << "no mapping, no change";
  EXPECT_EQ(spec->cgroups_path(), "/k8s/x");
  EXPECT_TRUE(spec->private_pid_namespace());
  ASSERT_EQ(spec->mounts().size(), 2U);
  EXPECT_EQ(spec->mounts()[1].destination, "/m");
  EXPECT_EQ(spec->mounts()[1].options, (std::vector<std::string>{"rbind", "ro"}));
}

TEST(Spec, TakesNullForAbsentAsTheRuntimeDoes) {
  for (const char* text :
       {R"({})", R"({"annotations":null,"root":null,"process":null,"mounts":null,"linux":null})",
        R"({"root":{"path":null,"readonly":null},"process":{"user":null,"env":null,"args":null},
            "linux":{"namespaces":null,"cgroupsPath":null,"uidMappings":[{"size":null}]}})"}) {
    auto spec = Spec::parse(text);
    ASSERT_TRUE(spec) << spec.error().what;
    EXPECT_TRUE(spec->annotations().empty());
    EXPECT_EQ(spec->root_path(), "rootfs");
    EXPECT_FALSE(spec->root_readonly());
    EXPECT_EQ(spec->cwd(), "/");
    EXPECT_TRUE(spec->args().empty());
    EXPECT_TRUE(spec->mounts().empty());
    EXPECT_EQ(spec->uid(), 0U);
    EXPECT_EQ(spec->host_uid(), 0U);
    EXPECT_FALSE(spec->private_pid_namespace());
  }
}

TEST(Spec, KnowsASharedPidNamespaceByItsPath) {
  auto spec = Spec::parse(R"({"linux":{"namespaces":[{"type":"pid","path":"/proc/7/ns/pid"}]}})");
  ASSERT_TRUE(spec);
  EXPECT_FALSE(spec->private_pid_namespace());
}

}  // namespace
}  // namespace moat::oci
