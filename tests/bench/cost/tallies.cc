#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "oci/sys.h"
#include "tests/bench/cost/suite.h"

namespace moat::bench {

namespace {
constexpr std::chrono::milliseconds kPause{50};
constexpr std::int64_t kPatienceMs = 60000;
}  // namespace

Result<Tallies> tallies_of(const Contest& contest, const std::string& id) {
  const std::string& shim = contest.moat.program;
  oci::Command command;
  command.argv = {shim.substr(0, shim.rfind('/') + 1) + "moatctl", "ps", "-o", "json"};
  const auto text = output_of(std::move(command));
  if (!text) return fail(Error(text.error()));
  const auto all = nlohmann::json::parse(*text, nullptr, false);
  if (!all.is_array()) return fail(Code::Internal, "moatctl says " + *text);
  for (const auto& one : all) {
    if (one.value("id", "") != id) continue;
    return Tallies{one.value("phase", ""), one.value("notifications", 0L),
                   one.value("open_events", 0L), one.value("shim_pid", 0),
                   one.value("supervisor_pid", 0)};
  }
  return fail(Code::NotFound, "moatctl does not list " + id);
}

Status wait_for_serve(const Contest& contest, const std::string& id) {
  const std::int64_t end = oci::monotonic_ms() + kPatienceMs;
  for (;;) {
    const auto told = tallies_of(contest, id);
    if (!told) return fail(Error(told.error()));
    if (told->phase == "serve") return {};
    if (oci::monotonic_ms() > end)
      return fail(Code::DeadlineExceeded, id + " does not serve; it is in " + told->phase);
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace moat::bench
