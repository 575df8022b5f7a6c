// The shipped JSON Schema against the parser: what the parser takes the schema must take, and what
// editors can know to be wrong it must refuse.
#include <gtest/gtest.h>
#include <rapidjson/document.h>
#include <rapidjson/schema.h>
#include <rapidjson/stringbuffer.h>

#include <fstream>
#include <sstream>

#include "policies/builtin.h"
#include "policies/document.h"

namespace moat::policies {
namespace {

const rapidjson::SchemaDocument& schema() {
  static const rapidjson::SchemaDocument* const loaded = [] {
    std::ifstream file(MOAT_TEST_SOURCE "/policies/schema/policy.schema.json");
    std::stringstream text;
    text << file.rdbuf();
    rapidjson::Document json;
    json.Parse(text.str().c_str());
    EXPECT_FALSE(json.HasParseError());
    return new rapidjson::SchemaDocument(json);
  }();
  return *loaded;
}

bool takes(const std::string& text) {
  rapidjson::Document json;
  json.Parse(text.c_str());
  EXPECT_FALSE(json.HasParseError()) << text;
  rapidjson::SchemaValidator validator(schema());
  return json.Accept(validator);
}

std::string with_spec(const std::string& spec) {
  return R"({"apiVersion":"moat.dev/v1alpha1","kind":"LifecyclePolicy","metadata":{"name":"t"},)"
         R"("spec":)" +
         spec + "}";
}

TEST(Schema, TakesEveryBuiltinProfile) {
  for (const BuiltinProfile& profile : builtin_profiles()) {
    const auto document = parse_document(profile.yaml, profile.name);
    ASSERT_TRUE(document) << document.error().what;
    EXPECT_TRUE(takes(to_json(*document))) << profile.name;
  }
}

constexpr const char* kGood[] = {
    R"({})",
    R"({"mode":"off","onViolation":"kill","sessions":"deny","extends":["builtin/python"]})",
    R"({"onViolation":"terminate","sessions":{"boundary":{"process":{"exec":["/bin/cat"]}}}})",
    R"({"sessions":{"verdict":"audit","boundary":{}}})",
    R"({"onViolation":{"errno":"EPERM"},"models":["+","~/m","/a"],"scratch":["~"]})",
    R"({"transitions":{"serve":{"on":{"listen":[80],"quiet":"2s"},"settle":"1m","timeout":"1h"}}})",
    R"({"transitions":{"load":{"on":{"open":"models"}},"shutdown":{"on":{"signal":"SIGTERM"}}}})",
    R"({"transitions":{"serve":{"on":{"listen":true}}}})",
    R"({"phases":{"load":{"filesystem":{"read":["/a"],"exec":[]},"process":{"create":true}}}})",
    R"({"phases":{"init":{"device":{"access":{"allow":["/dev/x"]}}}}})",
    R"({"phases":{"init":{"network":{"access":{"allow":["*"],"quiet":["unix:/x"]}}}}})",
};

constexpr const char* kBad[] = {
    R"([])",
    R"({"mod":"off"})",
    R"({"mode":"enforced"})",
    R"({"mode":true})",
    R"({"onViolation":"ignore"})",
    R"({"onViolation":{}})",
    R"({"onViolation":{"errno":"eacces"}})",
    R"({"extends":"builtin/python"})",
    R"({"models":["m"]})",
    R"({"scratch":["$HOME"]})",
    R"({"sessions":"allowed"})",
    R"({"sessions":{"verdict":"deny"}})",
    R"({"sessions":{"verdict":"allow","boundary":{}}})",
    R"({"sessions":{"boundary":{"proces":{}}}})",
    R"({"transitions":{"init":{"on":{"open":"models"}}}})",
    R"({"transitions":{"load":{}}})",
    R"({"transitions":{"load":{"on":{}}}})",
    R"({"transitions":{"load":{"on":{"open":"model"}}}})",
    R"({"transitions":{"serve":{"on":{"listen":false}}}})",
    R"({"transitions":{"serve":{"on":{"listen":[0]}}}})",
    R"({"transitions":{"serve":{"on":{"listen":true},"settle":"2"}}})",
    R"({"transitions":{"serve":{"on":{"listen":true},"settle":2}}})",
    R"({"phases":{"import":{}}})",
    R"({"phases":{"load":{"memory":{}}}})",
    R"({"phases":{"load":{"process":{"create":"yes"}}}})",
    R"({"phases":{"load":{"process":{"exec":false}}}})",
    R"({"phases":{"load":{"device":{"access":{"allow":[],"quiet":[]}}}}})",
    R"({"phases":{"load":{"network":{"access":{"quiet":[]}}}}})",
    R"({"phases":{"load":{"system":{"info":[]}}}})",
};

TEST(Schema, AgreesWithTheParser) {
  for (const char* spec : kGood) {
    const auto document = parse_document(with_spec(spec), "t");
    EXPECT_TRUE(document) << spec << " " << (document ? "" : document.error().what);
    EXPECT_TRUE(takes(with_spec(spec))) << spec;
  }
  for (const char* spec : kBad) {
    EXPECT_FALSE(parse_document(with_spec(spec), "t")) << spec;
    EXPECT_FALSE(takes(with_spec(spec))) << spec;
  }
  EXPECT_FALSE(takes(R"({"apiVersion":"v1","kind":"LifecyclePolicy","metadata":{},"spec":{}})"));
}

}  // namespace
}  // namespace moat::policies
