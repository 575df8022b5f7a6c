// Whole lives of pods, as many as some workers manage: what containerd-stress does, without it.
#include <atomic>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "tests/bench/suite.h"

namespace moat::bench {

namespace {

Status one_life(const World& world, const Flavour& flavour) {
  auto pod = running_pod(world, flavour, {"/bin/true"});
  if (!pod) return fail(std::move(pod.error()));
  auto done = (*pod)->call("Wait");
  if (done) done = (*pod)->call("Delete");
  if (done) done = (*pod)->shut_down();
  if (done) done = (*pod)->delete_shim();
  return done;
}

// Containers a second.
Result<double> rate(const World& world, const Flavour& flavour, int workers, int lives) {
  std::atomic<int> left = lives;
  std::mutex mutex;
  Status failed;
  std::vector<std::jthread> threads;
  const double before = now_us();
  for (int worker = 0; worker < workers; ++worker)
    threads.emplace_back([&] {
      while (left-- > 0) {
        auto done = one_life(world, flavour);
        if (done) continue;
        const std::lock_guard lock(mutex);
        failed = std::move(done);
        left = 0;
      }
    });
  threads.clear();
  if (!failed) return fail(std::move(failed.error()));
  return lives * 1e6 / (now_us() - before);
}

}  // namespace

void throughput(const Contest& contest) {
  for (const int workers : {1, 4}) {
    const Goal goal{fmt::format("lives.{}_workers", workers), "1/s", 1.15, Better::Higher};
    const int lives = contest.world.quick ? workers : 5 * workers;
    const auto pair = in_turns(
        [&] { return rate(contest.world, contest.in_mode("off"), workers, lives); },
        [&] { return rate(contest.world, contest.stock, workers, lives); }, contest.rounds(5));
    if (pair)
      contest.report.compare(goal, *pair);
    else
      contest.report.failed(goal, pair.error());
  }
}

}  // namespace moat::bench
