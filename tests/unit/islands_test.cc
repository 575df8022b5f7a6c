#include "tests/support/rewritten.h"

namespace moat::oci::test {
namespace {

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
}  // namespace moat::oci::test
