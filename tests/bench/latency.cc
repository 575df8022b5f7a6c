// How long what a client waits for takes.
#include <csignal>

#include "tests/bench/suite.h"

namespace moat::bench {

namespace {

const std::vector<std::string> kTrue{"/bin/true"};
const std::vector<std::string> kSleep{"/bin/sleep", "100000"};

// What a person types; everything between is containerd's, and the same for both.
Result<double> ctr_run(const World& world, const Flavour& flavour) {
  oci::Command command;
  command.argv = {world.ctr,  "-a",        world.dir + "/c", "-n",       world.ns,    "run",
                  "--rm",     "--runtime", flavour.runtime,  "--rootfs", "--null-io", "--env",
                  "PATH=/bin"};
  if (!flavour.mode.empty()) {
    command.argv.emplace_back("--annotation");
    command.argv.push_back("moat.dev/mode=" + flavour.mode);
  }
  for (const std::string& word : {world.dir + "/rootfs", new_id(world), kTrue[0]})
    command.argv.push_back(word);
  return timed([&]() -> Status {
    auto output = output_of(command);
    if (!output) return fail(std::move(output.error()));
    return {};
  });
}

Result<double> start_action(const World& world, const Flavour& flavour) {
  auto pod = Pod::make(world, flavour, kSleep);
  if (!pod) return fail(std::move(pod.error()));
  return timed([&] { return (*pod)->start_shim(); });
}

void compare(const Contest& contest, const Goal& goal, const Action& moat, const Action& stock,
             int rounds) {
  const auto pair = in_turns(moat, stock, contest.rounds(rounds));
  if (pair)
    contest.report.compare(goal, *pair);
  else
    contest.report.failed(goal, pair.error());
}

void in_mode(const Contest& contest, const std::string& mode) {
  const Flavour moat = contest.in_mode(mode);
  const auto name = [&](const char* figure) { return std::string(figure) + "." + mode; };
  const bool off = mode == "off";
  compare(
      contest, {name("ctr_run"), "us", off ? 0.9 : 1.0},
      [&] { return ctr_run(contest.world, moat); },
      [&] { return ctr_run(contest.world, contest.stock); }, 20);
  compare(
      contest, {name("start_action"), "us", off ? 0.5 : 1.0},
      [&] { return start_action(contest.world, moat); },
      [&] { return start_action(contest.world, contest.stock); }, 30);

  const Goal exec{name("exec"), "us", off ? 0.9 : 1.0};
  auto ours = running_pod(contest.world, moat, kSleep);
  auto theirs = running_pod(contest.world, contest.stock, kSleep);
  if (!ours || !theirs) return contest.report.failed(exec, (ours ? theirs : ours).error());
  compare(
      contest, exec, [&] { return timed([&] { return (*ours)->exec(kTrue); }); },
      [&] { return timed([&] { return (*theirs)->exec(kTrue); }); }, 30);
}

struct Call {
  const char* name;
  double goal;
  int rounds;
  Status (*done)(Pod&);
  Status (*after)(Pod&);  // what puts things back; not measured
};

const Call kCalls[] = {
    // Signal 0 asks whether one could be sent: the whole way, and nobody dies of it.
    {"kill", 0.3, 40, [](Pod& pod) { return pod.kill(0); }, nullptr},
    {"pids", 0.3, 100, [](Pod& pod) { return pod.call("Pids"); }, nullptr},
    {"pause", 0.3, 30, [](Pod& pod) { return pod.call("Pause"); },
     [](Pod& pod) { return pod.call("Resume"); }},
    {"state", 1.0, 1000, [](Pod& pod) { return pod.call("State"); }, nullptr},
    {"stats", 1.0, 500, [](Pod& pod) { return pod.call("Stats"); }, nullptr},
};

void one_call(const Contest& contest, const Call& call, Pod& ours, Pod& theirs) {
  const auto action = [&call](Pod& pod) -> Result<double> {
    auto took = timed([&] { return call.done(pod); });
    if (!took || call.after == nullptr) return took;
    auto back = call.after(pod);
    if (!back) return fail(std::move(back.error()));
    return took;
  };
  const Goal goal{call.name, "us", call.goal};
  const auto pair = in_turns([&] { return action(ours); }, [&] { return action(theirs); },
                             contest.rounds(call.rounds));
  if (!pair) return contest.report.failed(goal, pair.error());
  contest.report.compare(goal, *pair);
  if (call.goal < 1.0) return;
  contest.report.compare({std::string(call.name) + ".p99", "us", call.goal},
                         pair->moat.percentile(99), pair->stock.percentile(99));
}

}  // namespace

void whole_containers(const Contest& contest) {
  for (const char* mode : {"off", "audit", "enforce"}) in_mode(contest, mode);
}

void single_calls(const Contest& contest) {
  const auto ours = running_pod(contest.world, contest.in_mode("off"), kSleep);
  const auto theirs = running_pod(contest.world, contest.stock, kSleep);
  if (!ours || !theirs)
    return contest.report.failed({"calls", "us", 1.0}, (ours ? theirs : ours).error());
  for (const Call& call : kCalls) one_call(contest, call, **ours, **theirs);
}

}  // namespace moat::bench
