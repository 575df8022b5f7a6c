// A rewrite's mounts in and out as lines of text, for tables.
#pragma once

#include <gtest/gtest.h>

#include "oci/islands.h"

namespace moat::oci::test {

using Json = nlohmann::json;
using Texts = std::vector<std::string>;

struct Outcome {
  Texts mounts;  // "destination type source options", in order
  Texts models, islands, notes;
};

inline std::string line(const Json& mount) {
  std::string text = mount["destination"].get<std::string>() + " " + mount.value("type", "") + " " +
                     mount.value("source", "");
  for (const Json& option : mount.value("options", Json::array()))
    text += " " + option.get<std::string>();
  return text;
}

struct Config {
  // Not a Json: compilers disagree whether braces around one make it an array.
  std::vector<Json> mounts{};
  bool readonly = false;
  policies::Mode mode = policies::Mode::Enforce;
  std::vector<Place> models{}, scratch{};
  Texts points{};
};

inline Json volume(const char* destination, const char* source,
                   std::initializer_list<const char*> options) {
  return {{"destination", destination},
          {"type", "bind"},
          {"source", source},
          {"options", Json(options)}};
}

inline Place place(const std::string& path, const std::string& resolved = "") {
  return {path, resolved.empty() ? path.substr(1) : resolved, true, false, ""};
}

inline Place inside(const std::string& path, const std::string& source) {
  Place found = place(path);
  found.source = source;
  return found;
}

inline Result<Outcome> apply(const Config& config) {
  Json json = {{"mounts", config.mounts},
               {"root", {{"path", "rootfs"}, {"readonly", config.readonly}}},
               {"process", {{"user", {{"uid", 1000}, {"gid", 100}}}}}};
  const auto spec = Spec::parse(json.dump());
  if (!spec) return fail(Error(spec.error()));
  RewriteInput input;
  input.mode = config.mode;
  input.rootfs = "/b/rootfs";
  input.models = config.models;
  input.scratch = config.scratch;
  Texts points = config.points;
  if (points.empty())
    for (const Json& mount : config.mounts) points.push_back(mount["destination"]);
  auto mounts = MountList::create(Json(config.mounts), points);
  if (!mounts) return fail(Error(mounts.error()));
  RewriteOutput output;
  if (config.mode == policies::Mode::Enforce)
    if (auto status = add_islands(*mounts, *spec, input, output); !status)
      return fail(Error(status.error()));
  if (auto status = add_models(*mounts, *spec, input, output); !status)
    return fail(Error(status.error()));
  Outcome outcome{{}, output.model_mounts, output.islands, output.notes};
  for (const Json& mount : mounts->to_json()) outcome.mounts.push_back(line(mount));
  return outcome;
}

struct Case {
  const char* sentence;
  Config config;
  Texts mounts, models, islands;
};

inline void check(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    const auto outcome = apply(c.config);
    ASSERT_TRUE(outcome) << c.sentence << ": " << outcome.error().what;
    EXPECT_EQ(outcome->mounts, c.mounts) << c.sentence;
    EXPECT_EQ(outcome->models, c.models) << c.sentence;
    EXPECT_EQ(outcome->islands, c.islands) << c.sentence;
  }
}

}  // namespace moat::oci::test
