// How long what a client waits for takes.
#include <csignal>
#include <thread>

#include "tests/bench/suite.h"

namespace moat::bench {

namespace {

constexpr std::chrono::milliseconds kApart{60};
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

// As a probe comes: not on the heels of another, whose last locks and caches are still warm.
Result<double> lone_exec(Pod& pod) {
  std::this_thread::sleep_for(kApart);
  return timed([&] { return pod.exec(kTrue); });
}

void compare(const Contest& contest, const Goal& goal, const Action& moat, const Action& stock,
             int rounds) {
  const auto pair = in_turns(moat, stock, contest.rounds(rounds));
  if (pair)
    contest.report.compare(goal, *pair);
  else
    contest.report.failed(goal, pair.error());
}

constexpr const char* kModes[] = {"off", "audit", "enforce"};

// Supervision may cost what the rest of the shim saves, and no more.
Goal goal_of(const std::string& figure, const std::string& mode, double off) {
  return {figure + "." + mode, "us", mode == "off" ? off : 1.0};
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

void ctr_runs(const Contest& contest) {
  for (const char* mode : kModes) {
    const Flavour moat = contest.in_mode(mode);
    compare(
        contest, goal_of("ctr_run", mode, 0.9), [&] { return ctr_run(contest.world, moat); },
        [&] { return ctr_run(contest.world, contest.stock); }, 25);
  }
}

void start_actions(const Contest& contest) {
  for (const char* mode : kModes) {
    const Flavour moat = contest.in_mode(mode);
    compare(
        contest, goal_of("start_action", mode, 0.5),
        [&] { return start_action(contest.world, moat); },
        [&] { return start_action(contest.world, contest.stock); }, 30);
  }
}

void execs(const Contest& contest) {
  for (const char* mode : kModes) {
    const Goal goal = goal_of("exec", mode, 0.9);
    const auto ours = running_pod(contest.world, contest.in_mode(mode), kSleep);
    const auto theirs = running_pod(contest.world, contest.stock, kSleep);
    if (!ours || !theirs) return contest.report.failed(goal, (ours ? theirs : ours).error());
    compare(
        contest, goal, [&] { return lone_exec(**ours); }, [&] { return lone_exec(**theirs); }, 50);
  }
}

void single_calls(const Contest& contest) {
  const auto ours = running_pod(contest.world, contest.in_mode("off"), kSleep);
  const auto theirs = running_pod(contest.world, contest.stock, kSleep);
  if (!ours || !theirs)
    return contest.report.failed({"calls", "us", 1.0}, (ours ? theirs : ours).error());
  for (const Call& call : kCalls) one_call(contest, call, **ours, **theirs);
}

}  // namespace moat::bench
