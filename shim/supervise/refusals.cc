// The network side of a watched container: what the kernel's own programs refused, or in `audit`
// would have. They have decided; here it is told, with the address as the kernel had it.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <csignal>

#include "oci/sys.h"
#include "shim/cgroups/cgroup.h"
#include "shim/supervise/connections.h"
#include "shim/supervise/watched.h"

namespace moat::shim {

using policies::NetworkRecord;

namespace {

constexpr std::size_t kRecordsATurn = 256;
constexpr std::size_t kMaxCallers = 64;

std::string comm_of(const NetworkRecord& record) {
  return {record.comm.data(), ::strnlen(record.comm.data(), record.comm.size())};
}

std::string listed(const std::vector<std::string>& all) {
  constexpr std::size_t kMostTold = 10;
  std::string text;
  for (std::size_t i = 0; i < all.size() && i < kMostTold; ++i) text += " " + all[i];
  if (all.size() > kMostTold) text += " and " + std::to_string(all.size() - kMostTold) + " more";
  return text;
}

}  // namespace

void Watched::network(const hooks::Network& message, std::vector<UniqueFd> fds) {
  if (!message.problem.empty()) health("warning", message.problem);
  for (const std::string& line : message.devices)
    if (auto node = policies::node_from(line)) devices_.push_back(std::move(*node));
  if (fds.empty()) return;
  const Status reading = read_records(std::move(fds));
  if (!reading) health("warning", "refused addresses are not reported: " + reading.error().what);
  kernel_holds_ = message.holds;
  kernel_names_unix_ = message.names;
  allowed_calls_.forget();
}

Status Watched::read_records(std::vector<UniqueFd> fds) {
  if (fds.size() != 2) return fail(Code::InvalidArgument, "two descriptors were expected");
  auto state = SharedState::of(fds[0].raw(), false);
  if (!state) return fail(std::move(state.error()));
  auto ring = RecordRing::of(std::move(fds[1]));
  if (!ring) return fail(std::move(ring.error()));
  network_state_.emplace(std::move(*state));
  records_.emplace(std::move(*ring));
  return parts_.loop.watch(records_->fd(), EPOLLIN, [this](std::uint32_t) { on_records(); });
}

void Watched::on_records() {
  records_->drain(kRecordsATurn, [this](const NetworkRecord& record) { on_record(record); });
  const std::int64_t second = oci::monotonic_ms() / 1000;
  if (std::exchange(lost_second_, second) != second) tell_lost();
}

void Watched::tell_lost() {
  if (!network_state_) return;
  const std::uint64_t lost = network_state_->lost();
  if (lost == lost_records_) return;
  policies::Event drop = blank(policies::EventKind::Drop);
  drop.severity = "warning";
  drop.message = "more refused addresses than the kernel could note down";
  drop.numbers["lost"] = static_cast<std::int64_t>(lost - std::exchange(lost_records_, lost));
  emit(drop);
}

void Watched::on_record(const NetworkRecord& record) {
  const bool known = record.phase > 0 && record.phase <= policies::kPhases.size();
  const auto phase = known ? policies::kPhases[record.phase - 1] : lifecycle_.phase();
  const policies::Decision decision = decision_on(record, phase);
  const policies::Outcome outcome = policies::outcome(policy_, adopted_.mode, decision);
  if (decision.quiet) ++tally_->quiet;
  if (outcome.report == policies::Report::Nothing) return;
  policies::Event event = blank(policies::EventKind::Violation);
  event.phase.name = phase;
  if (record.hook < policies::network_hooks().size())
    event.syscall = policies::kind_of(static_cast<policies::NetworkHook>(record.hook)).call;
  if (record.pid_tgid == 0 && decision.object.type == policies::ObjectType::Address)
    event.message = "a packet of a socket from an earlier phase";
  const auto tid = static_cast<pid_t>(record.pid_tgid & 0xffffffff);
  const auto pid = static_cast<pid_t>(record.pid_tgid >> 32);
  if (tid != 0) event.process = caller(record, pid, tid);
  report(decision, outcome, tid, std::move(event));
  // Nobody waits for an answer here: the numbers may be somebody else's by now.
  punish(outcome.verdict, tid,
         [&] { return thread_group_of(tid) == pid && membership_.contains(cgroups_of(pid)); });
}

policies::Decision Watched::decision_on(const NetworkRecord& record, policies::Phase phase) const {
  if (record.hook != static_cast<std::uint32_t>(policies::NetworkHook::Device))
    return refused_address(policy_, phase, policies::address_text(record));
  return policies::refused_device(phase, policies::device_text(record, devices_));
}

// Nobody waits for an answer here: the numbers may be somebody else's by now.
policies::ProcessInfo Watched::caller(const NetworkRecord& record, pid_t pid, pid_t tid) const {
  const std::string comm = comm_of(record);
  const auto seen = std::ranges::find_if(callers_, [&](const auto& one) {
    return one.tid == tid && one.host_pid == pid && one.comm == comm;
  });
  if (seen != callers_.end()) return *seen;
  policies::ProcessInfo info = describe(tid);
  if (info.host_pid != pid || !membership_.contains(cgroups_of(tid))) info = {};
  info.host_pid = pid;
  info.tid = tid;
  info.comm = comm;
  return info;
}

// In `audit` what was connected in `init` stays so; in `enforce` the shim has cut it, where it
// could.
void Watched::tell_connections() {
  if (network_state_ && adopted_.mode == policies::Mode::Enforce) return;
  const auto cgroup = Cgroup::of_process(init_);
  if (!cgroup) return;
  const auto left =
      connections_left(init_, cgroup->pids(), policy_.boundary(lifecycle_.phase()).network);
  if (left.empty()) return;
  health("warning", "connections from init stay open:" + listed(left));
}

void Watched::tell_cut(const std::vector<std::string>& cut) {
  if (cut.empty()) return;
  health("warning", "connections from an earlier phase were cut:" + listed(cut));
}

void Watched::remember_caller(pid_t tid) {
  callers_.push_front(describe(tid));
  if (callers_.size() > kMaxCallers) callers_.pop_back();
}

// In `audit` the kernel reports what registers would have, and knows the address, or the device,
// itself; names of Unix sockets only where a program can read them.
bool Watched::told_by_kernel(const policies::Decision& decision, const Asker& asker) const {
  const policies::Object& object = decision.object;
  const bool address =
      object.type == policies::ObjectType::Address && !object.name.starts_with("unix:");
  const bool device = object.type == policies::ObjectType::Device &&
                      std::ranges::any_of(devices_, [&](const policies::DeviceNode& node) {
                        return node.path == object.name;
                      });
  return records_ && asker.exec_id.empty() && asker.mode != policies::Mode::Enforce &&
         (address || device);
}

}  // namespace moat::shim
