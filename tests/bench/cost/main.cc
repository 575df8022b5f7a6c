// What enforcement costs, against a bare loop or the same container under the stock shim, in a
// world that tests/bench/run.sh has made.
//
//   cost_bench DIR NAMESPACE MOAT STOCK syscall|serve [quick] [PART...]
//
// DIR: of a private containerd; bundles are made in DIR/b from DIR/spec.json. MOAT, STOCK:
// programs. PART: one of kParts. The table goes to standard output, the JSON to DIR/rows.json.
// Exit 0 when every goal is reached, 1 when not.
#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "oci/sys.h"
#include "tests/bench/cost/suite.h"

namespace moat::bench {

namespace {

struct Part {
  const char* bench;
  const char* name;
  void (*run)(const Contest&);
};
constexpr std::array kParts{
    Part{"syscall", "notification", notifications},
    Part{"syscall", "open", opens},
    Part{"syscall", "connect", connects},
    Part{"syscall", "restart", restarts},
    Part{"serve", "start", starts},
    Part{"serve", "requests", requests},
    Part{"serve", "counts", counts},
};

int measure(const std::vector<std::string>& arguments) {
  World world{arguments[0], arguments[1], {}, {}, false};
  const std::vector<std::string> words(arguments.begin() + 5, arguments.end());
  world.quick = std::ranges::count(words, "quick") > 0;
  const auto spec = oci::read_file(world.dir + "/spec.json");
  if (spec) world.spec = nlohmann::json::parse(*spec, nullptr, false);
  if (!world.spec.is_object()) {
    std::fprintf(stderr, "cost_bench: %s/spec.json is not a configuration\n", world.dir.c_str());
    return 2;
  }
  Report report("runc");
  const Contest contest{
      world,
      {"io.containerd.moat.v2", arguments[2], "containerd.task.v2.Task", "enforce"},
      {"io.containerd.runc.v2", arguments[3], "containerd.task.v2.Task", ""},
      report};
  const bool all = words.size() == (world.quick ? 1 : 0);
  for (const Part& part : kParts)
    if (part.bench == arguments[4] && (all || std::ranges::count(words, part.name) > 0))
      part.run(contest);
  const auto written = oci::write_file_atomic(world.dir + "/rows.json", report.json(), 0644);
  if (!written) {
    std::fprintf(stderr, "cost_bench: %s\n", written.error().what.c_str());
    return 2;
  }
  return report.all_ok() ? 0 : 1;
}

}  // namespace

}  // namespace moat::bench

int main(int argc, char** argv) {
  if (argc >= 6) return moat::bench::measure({argv + 1, argv + argc});
  std::fputs("usage: cost_bench DIR NAMESPACE MOAT STOCK syscall|serve [quick] [PART...]\n",
             stderr);
  return 2;
}
