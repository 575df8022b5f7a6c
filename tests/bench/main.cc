// Compares moat's shim with the stock one, in a world that tests/bench/run.sh has made.
//
//   shim_bench DIR NAMESPACE MOAT STOCK CTR [quick] [PART...]
//
// DIR: of a private containerd; bundles are made in DIR/b from DIR/spec.json. MOAT, STOCK, CTR:
// programs. PART: one of kParts. The table goes to standard output, the
// JSON to DIR/rows.json. Exit 0 when every goal is reached, 1 when not.
#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "oci/sys.h"
#include "tests/bench/suite.h"

namespace moat::bench {

namespace {

struct Part {
  const char* name;
  void (*run)(const Contest&);
};
constexpr std::array kParts{
    Part{"run", ctr_runs},       Part{"start", start_actions},   Part{"exec", execs},
    Part{"calls", single_calls}, Part{"throughput", throughput}, Part{"footprint", footprint},
};

// The stock shim serves version 3 alone from containerd 2.1 on.
std::string version_served(const std::string& stock) {
  oci::Command command;
  command.argv = {stock, "-v"};
  const auto text = output_of(command);
  const bool third = text && text->find("Version:  2.") != std::string::npos;
  return third ? "containerd.task.v3.Task" : "containerd.task.v2.Task";
}

int compare(const std::vector<std::string>& arguments) {
  World world{arguments[0], arguments[1], arguments[4], {}, false};
  const std::vector<std::string> words(arguments.begin() + 5, arguments.end());
  world.quick = std::ranges::count(words, "quick") > 0;
  const auto spec = oci::read_file(world.dir + "/spec.json");
  if (spec) world.spec = nlohmann::json::parse(*spec, nullptr, false);
  if (!world.spec.is_object()) {
    std::fprintf(stderr, "shim_bench: %s/spec.json is not a configuration\n", world.dir.c_str());
    return 2;
  }
  Report report("containerd-shim-runc-v2");
  const Contest contest{world,
                        {"io.containerd.moat.v2", arguments[2], "containerd.task.v2.Task", ""},
                        {"io.containerd.runc.v2", arguments[3], version_served(arguments[3]), ""},
                        report};
  const auto wanted = [&](const Part& part) {
    const bool named = std::ranges::count(words, part.name) > 0;
    return named || words.size() == (world.quick ? 1 : 0);
  };
  for (const Part& part : kParts)
    if (wanted(part)) part.run(contest);
  const auto written = oci::write_file_atomic(world.dir + "/rows.json", report.json(), 0644);
  if (!written) {
    std::fprintf(stderr, "shim_bench: %s\n", written.error().what.c_str());
    return 2;
  }
  return report.all_ok() ? 0 : 1;
}

}  // namespace

}  // namespace moat::bench

int main(int argc, char** argv) {
  if (argc >= 6) return moat::bench::compare({argv + 1, argv + argc});
  std::fputs("usage: shim_bench DIR NAMESPACE MOAT STOCK CTR [quick] [PART...]\n", stderr);
  return 2;
}
