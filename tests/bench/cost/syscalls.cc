// What a call costs that moat decides on.
#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "oci/sys.h"
#include "tests/bench/cost/floor.h"
#include "tests/bench/cost/suite.h"
#include "tests/bench/processes.h"

namespace moat::bench {

namespace {

using Order = std::function<Result<std::string>(const std::string&)>;

constexpr int kRounds = 20;
constexpr std::chrono::milliseconds kApart{1200};  // fewer losses than make an end of a container
constexpr std::chrono::milliseconds kWatched{400};

Result<std::unique_ptr<Pod>> worker_pod(const Contest& contest, const Flavour& flavour) {
  auto pod = Pod::make(contest.world, flavour, {"/bin/bench_worker"});
  if (!pod) return pod;
  auto done = (*pod)->open_streams();
  if (done) done = (*pod)->start_shim();
  if (done) done = (*pod)->connect();
  if (done) done = (*pod)->create();
  if (done) done = (*pod)->call("Start");
  if (!done) return fail(std::move(done.error()));
  const auto loaded = (*pod)->order("load");
  if (!loaded || *loaded != "ok")
    return fail(Code::Unknown,
                "the worker does not load: " + (loaded ? *loaded : loaded.error().what));
  return pod;
}

Result<std::unique_ptr<Pod>> serving_pod(const Contest& contest) {
  auto pod = worker_pod(contest, contest.moat);
  if (!pod) return pod;
  if (auto serves = wait_for_serve(contest, (*pod)->id()); !serves)
    return fail(std::move(serves.error()));
  return pod;
}

// Microseconds a call, of `count` in a row.
Result<double> each(const Order& order, const std::string& what, long count) {
  const auto answer = order(what + " " + std::to_string(count));
  if (!answer) return fail(Error(answer.error()));
  const long total = std::atol(answer->c_str());
  if (total <= 0) return fail(Code::Unknown, what + ": the worker says " + *answer);
  return static_cast<double>(total) / static_cast<double>(count) / 1000;
}

struct Figure {
  Goal goal;
  const char* order;
  long count;
  long before = 0;  // calls that are not counted, ahead of each series
  bool absolute = false;
};

void compare(const Contest& contest, const Figure& figure, const Order& ours, const Order& theirs) {
  const auto action = [&](const Order& order) -> Result<double> {
    if (figure.before > 0)
      if (auto done = each(order, figure.order, figure.before); !done) return done;
    return each(order, figure.order, figure.count);
  };
  const auto pair = in_turns([&] { return action(ours); }, [&] { return action(theirs); },
                             contest.rounds(kRounds));
  if (!pair)
    contest.report.failed(figure.goal, pair.error());
  else if (figure.absolute)
    contest.report.limit(figure.goal, pair->moat.median(), pair->stock.median());
  else
    contest.report.paired(figure.goal, *pair);
}

template <class Worker>
Order orders_of(Worker& worker) {
  return [&worker](const std::string& line) { return worker.order(line); };
}

void against_floor(const Contest& contest, FloorKind kind, const std::vector<Figure>& figures) {
  const auto pod = serving_pod(contest);
  const auto floor = Floor::start(kind, contest.world.dir);
  if (!pod || !floor)
    return contest.report.failed(figures[0].goal, pod ? floor.error() : pod.error());
  for (const Figure& figure : figures)
    compare(contest, figure, orders_of(**pod), orders_of(**floor));
}

// From the loss to the first answer of the next supervisor, in milliseconds.
Result<double> restart(const Contest& contest, Pod& pod) {
  const auto told = tallies_of(contest, pod.id());
  if (!told) return fail(Error(told.error()));
  double killed = 0;
  std::thread killer([&] {
    std::this_thread::sleep_for(kWatched / 4);
    killed = now_us();
    ::kill(told->supervisor, SIGKILL);
  });
  const auto answer = pod.order(fmt::format("waits {} 2", kWatched.count()));
  killer.join();
  if (!answer) return fail(Error(answer.error()));
  std::istringstream words(answer->substr(answer->find(' ') + 1));
  for (double nanoseconds = 0; words >> nanoseconds;)
    if (nanoseconds / 1000 > killed) return (nanoseconds / 1000 - killed) / 1000;
  return fail(Code::Unknown, "no call waited: " + *answer);
}

}  // namespace

void notifications(const Contest& contest) {
  const std::string against = "bare seccomp loop";
  // Of refusals as many are reported in a second as are written: those come first. A path is read
  // by a thread that a stalled page may hold up, and followed, which no bare loop does: its figure
  // has a limit of its own.
  against_floor(
      contest, FloorKind::Seccomp,
      {{{"notification.allowed", "us", 1.5, Better::Lower, against}, "signal", 2000},
       {{"notification.refused", "us", 1.5, Better::Lower, against}, "refused", 2000, 520},
       {{"claimed_path", "us", 250, Better::Lower, against}, "write", 1000, 0, true}});
}

void opens(const Contest& contest) {
  against_floor(contest, FloorKind::Fanotify,
                {{{"open", "us", 1.5, Better::Lower, "bare fanotify loop"}, "read", 1000}});
}

void connects(const Contest& contest) {
  const Figure figure{{"connect", "us", 1.1, Better::Lower, "runc"}, "connect", 1000};
  const auto ours = serving_pod(contest);
  const auto theirs = worker_pod(contest, contest.stock);
  if (!ours || !theirs) return contest.report.failed(figure.goal, (ours ? theirs : ours).error());
  compare(contest, figure, orders_of(**ours), orders_of(**theirs));
}

void restarts(const Contest& contest) {
  const Goal goal{"supervisor_restart", "ms", 100};
  const auto pod = serving_pod(contest);
  if (!pod) return contest.report.failed(goal, pod.error());
  Samples samples;
  for (int i = 0; i < contest.rounds(kRounds); ++i) {
    const auto took = restart(contest, **pod);
    if (!took) return contest.report.failed(goal, took.error());
    samples.add(*took);
    std::this_thread::sleep_for(kApart);
  }
  contest.report.measured(goal, samples, fmt::format(", at worst {:.1f}", samples.percentile(100)));
}

}  // namespace moat::bench
