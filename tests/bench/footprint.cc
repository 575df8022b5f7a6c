// What pods cost while they do nothing: memory, and wake-ups.
#include <fmt/format.h>

#include <memory>
#include <optional>
#include <thread>

#include "tests/bench/processes.h"
#include "tests/bench/suite.h"

namespace moat::bench {

namespace {

using std::chrono::seconds;

constexpr int kPods = 20;
constexpr seconds kSettles{2};
constexpr double kKilobyte = 1024;

struct Memory {
  Samples shim_rss, helper_rss, pod_pss;  // MB
};

Status add(Memory& memory, Pod& pod) {
  const auto shim = pod.shim_pid();
  if (!shim) return fail(Error(shim.error()));
  const auto megabytes = [](pid_t pid, const char* key) {
    return static_cast<double>(sum_of(proc(pid, "smaps_rollup"), key)) / kKilobyte;
  };
  memory.shim_rss.add(megabytes(*shim, "Rss:"));
  double pss = megabytes(*shim, "Pss:"), helpers = 0;
  for (const pid_t helper : helpers_of(*shim)) {
    pss += megabytes(helper, "Pss:");
    helpers += megabytes(helper, "Rss:");
  }
  memory.helper_rss.add(helpers);
  memory.pod_pss.add(pss);
  return {};
}

struct Pods {
  std::vector<std::unique_ptr<Pod>> pods;
  Memory in_use;  // just after the last call
};

// Each has settled, and has served what a kubelet asks.
Result<Pods> used_pods(const Contest& contest, const Flavour& flavour, int count) {
  Pods used;
  for (int i = 0; i < count; ++i) {
    auto pod = running_pod(contest.world, flavour, {"/bin/sleep", "100000"});
    if (!pod) return fail(std::move(pod.error()));
    used.pods.push_back(std::move(*pod));
  }
  std::this_thread::sleep_for(kSettles);
  for (const auto& pod : used.pods) {
    auto done = pod->exec({"/bin/true"});
    for (const char* method : {"State", "Stats", "Pids"})
      if (done) done = pod->call(method);
    if (done) done = add(used.in_use, *pod);
    if (!done) return fail(std::move(done.error()));
  }
  return used;
}

struct Measured {
  Memory in_use, at_rest;
};

Result<Measured> memory_with(const Contest& contest, const Flavour& flavour) {
  const auto used = used_pods(contest, flavour, contest.world.quick ? 3 : kPods);
  if (!used) return fail(Error(used.error()));
  Measured measured{used->in_use, {}};
  std::this_thread::sleep_for(kSettles);
  for (const auto& pod : used->pods)
    if (auto added = add(measured.at_rest, *pod); !added) return fail(std::move(added.error()));
  return measured;
}

// The goals are for pods at rest, which is what nodes are full of; what they need while they are
// asked something stands beside it.
void report(const Contest& contest, const Goal& goal, const Measured& ours, const Measured* stock,
            Samples Memory::*figure) {
  std::optional<double> reference;
  if (stock != nullptr) reference = (stock->at_rest.*figure).median();
  contest.report.limit(goal, (ours.at_rest.*figure).median(), reference,
                       fmt::format("in use {:.2f}", (ours.in_use.*figure).median()));
}

void memory(const Contest& contest) {
  const auto stock = memory_with(contest, contest.stock);
  const auto off = memory_with(contest, contest.in_mode("off"));
  const auto audit = memory_with(contest, contest.in_mode("audit"));
  for (const auto* measured : {&stock, &off, &audit})
    if (!*measured) return contest.report.failed({"memory", "MB", 0}, measured->error());
  report(contest, {"rss.shim.off", "MB", 4}, *off, &*stock, &Memory::shim_rss);
  report(contest, {"rss.shim.audit", "MB", 4}, *audit, &*stock, &Memory::shim_rss);
  report(contest, {"rss.supervisor.audit", "MB", 3}, *audit, nullptr, &Memory::helper_rss);
  report(contest, {"pss.pod.off", "MB", 1.2}, *off, &*stock, &Memory::pod_pss);
  report(contest, {"pss.pod.audit", "MB", 2.5}, *audit, &*stock, &Memory::pod_pss);
}

void wake_ups(const Contest& contest) {
  const Goal goal{"idle.wakeups", "1/30s", 0};
  const auto ours = used_pods(contest, contest.in_mode("audit"), 1);
  const auto theirs = used_pods(contest, contest.stock, 1);
  if (!ours || !theirs) return contest.report.failed(goal, (ours ? theirs : ours).error());
  const auto shim = ours->pods[0]->shim_pid(), stock = theirs->pods[0]->shim_pid();
  if (!shim || !stock) return contest.report.failed(goal, (shim ? stock : shim).error());
  std::vector<pid_t> moat = helpers_of(*shim);
  moat.push_back(*shim);
  std::this_thread::sleep_for(kSettles);
  const long moat_before = switches(moat), stock_before = switches({*stock});
  std::this_thread::sleep_for(seconds(contest.world.quick ? 3 : 30));
  contest.report.limit(goal, static_cast<double>(switches(moat) - moat_before),
                       static_cast<double>(switches({*stock}) - stock_before));
}

}  // namespace

void footprint(const Contest& contest) {
  memory(contest);
  wake_ups(contest);
}

}  // namespace moat::bench
