#include "oci/islands.h"

#include <gtest/gtest.h>

#include "oci/places.h"

namespace moat::oci {
namespace {

using Json = nlohmann::json;
using policies::Mode;
using Texts = std::vector<std::string>;

struct Outcome {
  Texts mounts;  // "destination type source options", in order
  Texts models, islands, notes;
};

std::string line(const Json& mount) {
  std::string text = mount["destination"].get<std::string>() + " " + mount.value("type", "") + " " +
                     mount.value("source", "");
  for (const Json& option : mount.value("options", Json::array()))
    text += " " + option.get<std::string>();
  return text;
}

struct Config {
  Json mounts = Json::array();
  bool readonly = false;
  Mode mode = Mode::Enforce;
  std::vector<Place> models{}, scratch{};
  Texts points{};
};

Json volume(const char* destination, const char* source,
            std::initializer_list<const char*> options) {
  return {{"destination", destination},
          {"type", "bind"},
          {"source", source},
          {"options", Json(options)}};
}

Place place(const std::string& path, const std::string& resolved = "") {
  return {path, resolved.empty() ? path.substr(1) : resolved, true, false, ""};
}

Place inside(const std::string& path, const std::string& source) {
  Place found = place(path);
  found.source = source;
  return found;
}

Result<Outcome> apply(const Config& config) {
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
  auto mounts = MountList::create(config.mounts, points);
  if (!mounts) return fail(Error(mounts.error()));
  RewriteOutput output;
  if (config.mode == Mode::Enforce)
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

void check(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    const auto outcome = apply(c.config);
    ASSERT_TRUE(outcome) << c.sentence << ": " << outcome.error().what;
    EXPECT_EQ(outcome->mounts, c.mounts) << c.sentence;
    EXPECT_EQ(outcome->models, c.models) << c.sentence;
    EXPECT_EQ(outcome->islands, c.islands) << c.sentence;
  }
}

TEST(Models, BecomeReadOnlyMountsOfTheirOwnInEnforce) {
  check({
      {"in the image: a bind of the image's folder",
       {.models = {place("/srv/models")}},
       {"/srv/models bind /b/rootfs/srv/models bind ro rprivate nosuid nodev noexec"},
       {"/srv/models"},
       {}},
      {"through a symlink of the image: where it leads",
       {.models = {place("/models", "opt/m/v1")}},
       {"/opt/m/v1 bind /b/rootfs/opt/m/v1 bind ro rprivate nosuid nodev noexec"},
       {"/opt/m/v1"},
       {}},
      {"on a volume: hardened in place, opposites go",
       {.mounts = {volume("/models", "/v", {"rbind", "rw", "exec", "rprivate"})},
        .models = {place("/models")}},
       {"/models bind /v rbind rprivate ro nosuid nodev noexec"},
       {"/models"},
       {}},
      {"already hard: nothing is said twice",
       {.mounts = {volume("/models", "/v", {"rbind", "ro", "nosuid", "nodev", "noexec"})},
        .models = {place("/models")}},
       {"/models bind /v rbind ro nosuid nodev noexec"},
       {"/models"},
       {}},
      {"below a volume: a mount of its own from what was found there",
       {.mounts = {volume("/data", "/v", {"rbind", "rw", "rprivate"})},
        .models = {inside("/data/m", "/proc/1/fd/9")}},
       {"/data bind /v rbind rw rprivate",
        "/data/m bind /proc/1/fd/9 rbind rprivate ro nosuid nodev noexec"},
       {"/data/m"},
       {}},
      {"on a volume whose mount point is a symlink of the image",
       {.mounts = {volume("/var/run/m", "/v", {"bind", "ro"})},
        .models = {place("/var/run/m", "run/m")},
        .points = {"/run/m"}},
       {"/var/run/m bind /v bind ro nosuid nodev noexec"},
       {"/run/m"},
       {}},
      {"in a tmpfs: watched with it, as nothing is there yet",
       {.mounts = {{{"destination", "/run"}, {"type", "tmpfs"}, {"source", "tmpfs"}}},
        .models = {place("/run/m")}},
       {"/run tmpfs tmpfs"},
       {"/run"},
       {}},
      {"with a volume in it: that stays on top and is a model, too",
       {.mounts = {volume("/proc", "x", {}), volume("/models/lora", "/v", {"rbind", "rw"})},
        .models = {place("/models")}},
       {"/proc bind x", "/models bind /b/rootfs/models bind ro rprivate nosuid nodev noexec",
        "/models/lora bind /v rbind ro nosuid nodev noexec"},
       {"/models", "/models/lora"},
       {}},
      {"two names for one place: one mount",
       {.models = {place("/m", "opt/m"), place("/opt/m")}},
       {"/opt/m bind /b/rootfs/opt/m bind ro rprivate nosuid nodev noexec"},
       {"/opt/m"},
       {}},
      {"one in another, given child first: parents come first",
       {.models = {place("/m/a"), place("/m")}},
       {"/m bind /b/rootfs/m bind ro rprivate nosuid nodev noexec",
        "/m/a bind /b/rootfs/m/a bind ro rprivate nosuid nodev noexec"},
       {"/m", "/m/a"},
       {}},
  });
}

TEST(Models, KeepTheirFlagsInAudit) {
  check({
      {"in the image: as writable as the image is",
       {.mode = Mode::Audit, .models = {place("/m")}},
       {"/m bind /b/rootfs/m bind rw rprivate"},
       {"/m"},
       {}},
      {"in a read-only image: read-only",
       {.readonly = true, .mode = Mode::Audit, .models = {place("/m")}},
       {"/m bind /b/rootfs/m bind ro rprivate"},
       {"/m"},
       {}},
      {"on a volume: untouched",
       {.mounts = {volume("/m", "/v", {"rbind", "rw", "rshared"})},
        .mode = Mode::Audit,
        .models = {place("/m")}},
       {"/m bind /v rbind rw rshared"},
       {"/m"},
       {}},
      {"below a volume: its flags again",
       {.mounts = {volume("/d", "/v", {"rbind", "rw", "nodev"})},
        .mode = Mode::Audit,
        .models = {inside("/d/m", "/proc/1/fd/9")}},
       {"/d bind /v rbind rw nodev", "/d/m bind /proc/1/fd/9 rbind rw nodev"},
       {"/d/m"},
       {}},
      {"with a volume in it: watched, too, and untouched",
       {.mounts = {volume("/m/a", "/v", {"bind", "rw"})},
        .mode = Mode::Audit,
        .models = {place("/m")}},
       {"/m bind /b/rootfs/m bind rw rprivate", "/m/a bind /v bind rw"},
       {"/m", "/m/a"},
       {}},
      {"learn is as quiet as audit",
       {.mode = Mode::Learn, .models = {place("/m")}},
       {"/m bind /b/rootfs/m bind rw rprivate"},
       {"/m"},
       {}},
  });
}

TEST(Islands, AreMountsOfTheirOwn) {
  check({
      {"in the image",
       {.scratch = {place("/tmp")}},
       {"/tmp bind /b/rootfs/tmp bind rw rprivate nosuid nodev noexec"},
       {},
       {"/tmp"}},
      {"an existing mount is kept and hardened",
       {.mounts = {{{"destination", "/dev/shm"},
                    {"type", "tmpfs"},
                    {"source", "shm"},
                    {"options", {"nosuid", "mode=1777", "size=64k"}}}},
        .scratch = {place("/dev/shm")}},
       {"/dev/shm tmpfs shm nosuid mode=1777 size=64k nodev noexec"},
       {},
       {"/dev/shm"}},
      {"below a writable volume",
       {.mounts = {volume("/data", "/v", {"rbind", "rw"})},
        .scratch = {inside("/data/c", "/proc/1/fd/9")}},
       {"/data bind /v rbind rw", "/data/c bind /proc/1/fd/9 rbind rw nosuid nodev noexec"},
       {},
       {"/data/c"}},
      {"in a tmpfs: an empty one of its own, owned by the process",
       {.mounts = {{{"destination", "/run"}, {"type", "tmpfs"}, {"source", "tmpfs"}}},
        .scratch = {place("/run/app")}},
       {"/run tmpfs tmpfs",
        "/run/app tmpfs tmpfs rw mode=0755 uid=1000 gid=100 nosuid nodev noexec"},
       {},
       {"/run/app"}},
      {"with a volume in it: that stays on top and is an island, too",
       {.mounts = {volume("/root/.cache/hub", "/v", {"rbind", "rw"})},
        .scratch = {place("/root/.cache")}},
       {"/root/.cache bind /b/rootfs/root/.cache bind rw rprivate nosuid nodev noexec",
        "/root/.cache/hub bind /v rbind rw nosuid nodev noexec"},
       {},
       {"/root/.cache", "/root/.cache/hub"}},
      {"with a read-only volume in it: that stays as it is",
       {.mounts = {volume("/tmp/ca", "/v", {"rbind", "ro"})}, .scratch = {place("/tmp")}},
       {"/tmp bind /b/rootfs/tmp bind rw rprivate nosuid nodev noexec", "/tmp/ca bind /v rbind ro"},
       {},
       {"/tmp"}},
      {"one in another: already writable",
       {.scratch = {place("/tmp/x"), place("/tmp")}},
       {"/tmp bind /b/rootfs/tmp bind rw rprivate nosuid nodev noexec"},
       {},
       {"/tmp"}},
  });
}

TEST(Islands, NeverMakeWritableWhatWasNot) {
  check({
      {"a read-only image", {.readonly = true, .scratch = {place("/tmp")}}, {}, {}, {}},
      {"a read-only volume",
       {.mounts = {volume("/data", "/v", {"rbind", "ro"})}, .scratch = {place("/data")}},
       {"/data bind /v rbind ro"},
       {},
       {}},
      {"below a read-only volume",
       {.mounts = {volume("/data", "/v", {"rbind", "rro"})},
        .scratch = {inside("/data/c", "/proc/1/fd/9")}},
       {"/data bind /v rbind rro"},
       {},
       {}},
      {"no mount at all: nothing to bind",
       {.mounts = {{{"destination", "/x"}, {"type", "nfs"}, {"source", "h:/x"}}},
        .scratch = {place("/x/c")}},
       {"/x nfs h:/x"},
       {},
       {}},
  });
}

TEST(Islands, AndModelsMayLieInEachOther) {
  check({
      {"a model in scratch",
       {.models = {place("/data/m")}, .scratch = {place("/data")}},
       {"/data bind /b/rootfs/data bind rw rprivate nosuid nodev noexec",
        "/data/m bind /b/rootfs/data/m bind ro rprivate nosuid nodev noexec"},
       {"/data/m"},
       {"/data"}},
      {"scratch in a model",
       {.models = {place("/m")}, .scratch = {place("/m/cache")}},
       {"/m bind /b/rootfs/m bind ro rprivate nosuid nodev noexec",
        "/m/cache bind /b/rootfs/m/cache bind rw rprivate nosuid nodev noexec"},
       {"/m"},
       {"/m/cache"}},
      {"scratch in a model in scratch",
       {.models = {place("/d/m")}, .scratch = {place("/d"), place("/d/m/c")}},
       {"/d bind /b/rootfs/d bind rw rprivate nosuid nodev noexec",
        "/d/m bind /b/rootfs/d/m bind ro rprivate nosuid nodev noexec",
        "/d/m/c bind /b/rootfs/d/m/c bind rw rprivate nosuid nodev noexec"},
       {"/d/m"},
       {"/d", "/d/m/c"}},
      {"a volume belongs to the deepest place it is in",
       {.mounts = {volume("/m/v", "/v", {"bind"}),
                   volume("/m/c/v", "/w", {"bind"}),
                   {{"destination", "/m/proc"}, {"type", "proc"}, {"source", "proc"}}},
        .models = {place("/m")},
        .scratch = {place("/m/c")}},
       {"/m bind /b/rootfs/m bind ro rprivate nosuid nodev noexec",
        "/m/v bind /v bind ro nosuid nodev noexec",
        "/m/c bind /b/rootfs/m/c bind rw rprivate nosuid nodev noexec",
        "/m/c/v bind /w bind nosuid nodev noexec", "/m/proc proc proc"},
       {"/m", "/m/v"},
       {"/m/c", "/m/c/v"}},
      {"a volume that is declared itself counts once",
       {.mounts = {volume("/m/a", "/v", {"bind"})}, .models = {place("/m"), place("/m/a")}},
       {"/m bind /b/rootfs/m bind ro rprivate nosuid nodev noexec",
        "/m/a bind /v bind ro nosuid nodev noexec"},
       {"/m", "/m/a"},
       {}},
      {"both at once: servers that download stay writable",
       {.models = {place("/m")}, .scratch = {place("/m")}},
       {"/m bind /b/rootfs/m bind rw rprivate nosuid nodev noexec"},
       {"/m"},
       {"/m"}},
      {"both at once on a volume",
       {.mounts = {volume("/m", "/v", {"rbind", "rw"})},
        .models = {place("/m")},
        .scratch = {place("/m")}},
       {"/m bind /v rbind rw nosuid nodev noexec"},
       {"/m"},
       {"/m"}},
  });
}

TEST(Islands, LetFilesRunWhereThePolicySaysSo) {
  Place jit = place("/tmp/jit");
  jit.exec = true;
  check({{"of its own within one that does not",
          {.scratch = {place("/tmp"), jit}},
          {"/tmp bind /b/rootfs/tmp bind rw rprivate nosuid nodev noexec",
           "/tmp/jit bind /b/rootfs/tmp/jit bind rw rprivate nosuid nodev"},
          {},
          {"/tmp", "/tmp/jit"}}});
}

TEST(Islands, KeepTheIdMappingsOfTheirVolume) {
  Json mapped = volume("/data", "/v", {"rbind", "rw"});
  mapped["uidMappings"] = {{{"containerID", 0}, {"hostID", 1}, {"size", 2}}};
  auto mounts = MountList::create(Json::array({mapped}), {"/data"});
  RewriteInput input;
  input.scratch = {inside("/data/c", "/proc/1/fd/9")};
  RewriteOutput output;
  ASSERT_TRUE(mounts && add_islands(*mounts, *Spec::parse("{}"), input, output));
  EXPECT_EQ(mounts->to_json()[1]["uidMappings"], mapped["uidMappings"]);
}

struct Bad {
  Config config;
  std::string error;
};

TEST(Places, OfTheSystemOrOfEverythingAreRefused) {
  const Bad cases[] = {
      {{.models = {{"/all", "", true, false, ""}}},
       "model '/all': leads to '/', the whole container: name a folder"},
      {{.scratch = {{"/", "", true, false, ""}}},
       "scratch '/': leads to '/', the whole container: name a folder"},
      {{.models = {place("/x", "proc/self")}},
       "model '/x': lies in /proc, which belongs to the container runtime"},
      {{.models = {place("/sys")}},
       "model '/sys': lies in /sys, which belongs to the container runtime"},
      {{.models = {place("/dev/shm")}},
       "model '/dev/shm': lies in /dev, which belongs to the container runtime"},
      {{.scratch = {place("/dev")}},
       "scratch '/dev': lies in /dev, which belongs to the container runtime"},
      {{.models = {place("/x", "m/\xff")}}, "model '/x': not UTF-8"},
  };
  for (const Bad& bad : cases) {
    const auto outcome = apply(bad.config);
    ASSERT_FALSE(outcome) << bad.error;
    EXPECT_EQ(outcome.error().what, bad.error);
  }
}

}  // namespace
}  // namespace moat::oci
