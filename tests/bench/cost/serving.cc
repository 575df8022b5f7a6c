// What a torch server costs that is supervised: until it answers, while it answers, and what the
// supervisor hears of that.
#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "oci/sys.h"
#include "tests/bench/cost/suite.h"
#include "tests/bench/load/client.h"
#include "tests/bench/processes.h"

namespace moat::bench {

namespace {

constexpr std::uint16_t kPort = 8080, kOtherPort = 8081;
constexpr int kRounds = 15;  // two pairs each
constexpr int kStartRounds = 8;
constexpr int kConnections = 4;
constexpr long kRequests = 1500;
constexpr long kCounted = 10000;
constexpr std::int64_t kPatienceMs = 120000;
constexpr std::chrono::milliseconds kLook{2};
constexpr std::chrono::seconds kSettles{3};

std::string netns(const Contest& contest) {
  return contest.world.dir + "/net";
}

Load predictions(std::uint16_t port, bool keep_alive, long requests) {
  return {port, "/predict", R"({"x": [5.1, 3.5, 1.4, 0.2]})", requests, kConnections, keep_alive};
}

Status wait_for_answer(const Contest& contest, std::uint16_t port) {
  Load one = predictions(port, false, 1);
  one.connections = 1;
  const std::int64_t end = oci::monotonic_ms() + kPatienceMs;
  while (oci::monotonic_ms() < end) {
    const auto answers = ask_in(netns(contest), one);
    if (!answers) return fail(Error(answers.error()));
    if (answers->failed == 0) return {};
    std::this_thread::sleep_for(kLook);
  }
  return fail(Code::DeadlineExceeded, "the server does not answer");
}

Result<std::unique_ptr<Pod>> make_server(const Contest& contest, const Flavour& flavour,
                                         std::uint16_t port) {
  return Pod::make(
      contest.world, flavour,
      {"/usr/bin/python3", "/app/server.py", "/models/honest.pt", std::to_string(port)});
}

Status start(const Contest& contest, Pod& pod, std::uint16_t port) {
  auto done = pod.start_shim();
  if (done) done = pod.connect();
  if (done) done = pod.create();
  if (done) done = pod.call("Start");
  if (done) done = wait_for_answer(contest, port);
  return done;
}

Result<double> one_start(const Contest& contest, const Flavour& flavour) {
  auto pod = make_server(contest, flavour, kPort);
  if (!pod) return fail(std::move(pod.error()));
  auto took = timed([&] { return start(contest, **pod, kPort); });
  if (took) *took /= 1000;
  return took;
}

Result<std::unique_ptr<Pod>> server(const Contest& contest, const Flavour& flavour,
                                    std::uint16_t port) {
  auto pod = make_server(contest, flavour, port);
  if (!pod) return pod;
  auto done = start(contest, **pod, port);
  if (done && !flavour.mode.empty()) done = wait_for_serve(contest, (*pod)->id());
  if (!done) return fail(std::move(done.error()));
  return pod;
}

struct Served {
  Pair rate, p99;
};

Status serve_once(const Contest& contest, bool ours, bool keep_alive, Served* into) {
  const long requests = contest.world.quick ? kRequests / 5 : kRequests;
  const auto answers =
      ask_in(netns(contest), predictions(ours ? kPort : kOtherPort, keep_alive, requests));
  if (!answers) return fail(Error(answers.error()));
  if (answers->failed > 0)
    return fail(Code::Unknown,
                fmt::format("{} of {} requests were not answered", answers->failed, requests));
  if (into == nullptr) return {};
  (ours ? into->rate.moat : into->rate.stock).add(static_cast<double>(requests) / answers->seconds);
  (ours ? into->p99.moat : into->p99.stock).add(answers->took.percentile(99));
  return {};
}

// Both run all the time, and are asked in turns.
Result<Served> serve_in_turns(const Contest& contest, bool keep_alive) {
  Served served;
  for (int round = -1; round < contest.rounds(kRounds); ++round)
    for (const bool ours : {true, false, false, true})
      if (auto done = serve_once(contest, ours, keep_alive, round < 0 ? nullptr : &served); !done)
        return fail(std::move(done.error()));
  return served;
}

}  // namespace

void starts(const Contest& contest) {
  const Goal goal{"start", "ms", 1.05};
  const auto pair = in_turns([&] { return one_start(contest, contest.moat); },
                             [&] { return one_start(contest, contest.stock); },
                             contest.world.quick ? 1 : kStartRounds, contest.world.quick ? 0 : 1);
  if (pair)
    contest.report.paired(goal, *pair);
  else
    contest.report.failed(goal, pair.error());
}

void requests(const Contest& contest) {
  const auto ours = server(contest, contest.moat, kPort);
  const auto theirs = server(contest, contest.stock, kOtherPort);
  for (const bool keep_alive : {true, false}) {
    const std::string kind = keep_alive ? "kept" : "closed";
    const Goal rate{"rate." + kind, "1/s", 0.98, Better::Higher};
    const Goal p99{"p99." + kind, "us", 1.03};
    if (!ours || !theirs) return contest.report.failed(rate, (ours ? theirs : ours).error());
    const auto served = serve_in_turns(contest, keep_alive);
    if (!served) return contest.report.failed(rate, served.error());
    contest.report.paired(rate, served->rate);
    contest.report.paired(p99, served->p99);
  }
}

void counts(const Contest& contest) {
  const Goal goal{"counted.notifications", fmt::format("/{}", kCounted), 0};
  const auto pod = server(contest, contest.moat, kPort);
  if (!pod) return contest.report.failed(goal, pod.error());
  Load load = predictions(kPort, false, kCounted / 2);
  Load kept = predictions(kPort, true, kCounted / 2);
  const auto before = tallies_of(contest, (*pod)->id());
  std::this_thread::sleep_for(kSettles);  // what it was just asked is not what is counted
  const long slept = before ? switches({before->supervisor}) : 0;
  const auto closing = ask_in(netns(contest), load), keeping = ask_in(netns(contest), kept);
  const long woken = before ? switches({before->supervisor}) - slept : 0;
  const auto after = tallies_of(contest, (*pod)->id());
  if (!before || !after) return contest.report.failed(goal, (before ? after : before).error());
  const long failed = (closing ? closing->failed : kCounted) + (keeping ? keeping->failed : 0);
  if (failed > 0 || slept == 0 || before->supervisor != after->supervisor)
    return contest.report.failed(
        goal, Error{Code::Unknown, 0, fmt::format("{} requests were not answered", failed)});
  const auto tell = [&](const char* what, long count) {
    contest.report.limit({what, goal.unit, 0}, static_cast<double>(count), std::nullopt);
  };
  tell("counted.notifications", after->notifications - before->notifications);
  tell("counted.open_events", after->open_events - before->open_events);
  tell("counted.wakeups", woken);
}

}  // namespace moat::bench
