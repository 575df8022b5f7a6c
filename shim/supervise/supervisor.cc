// The supervisor process: messages from the shim in, questions of the kernel answered. It creates
// nothing privileged; it only holds what the shim hands it.
#include <linux/capability.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <map>

#include "oci/memory.h"
#include "oci/socket.h"
#include "shim/supervise/own_calls.h"
#include "shim/supervise/roles.h"
#include "shim/supervise/watched.h"

namespace moat::shim {

namespace {

constexpr int kShimSocket = 3;
constexpr int kJournalFd = 4;

// Reading arguments and links of other users' processes, and killing them, is all that is needed.
Status confine_supervisor() {
  constexpr std::uint64_t kCapabilities =
      (1U << CAP_SYS_PTRACE) | (1U << CAP_DAC_READ_SEARCH) | (1U << CAP_KILL);
  return confine({"moat-supervisor", kCapabilities, supervisor_calls(kShimSocket)});
}

// Each open that waits for an answer is one of ours: a batch of them is more than the usual 1024.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

class Supervisor {
 public:
  Supervisor(oci::Loop& loop, Journal& journal, Reader& reader)
      : loop_(loop),
        settling_(loop),
        parts_{loop, journal, reader, ::getppid(), [](const hooks::Message& message) {
                 (void)oci::send_packet(kShimSocket, hooks::encode(message), {});
               }} {}

  void on_message();

 private:
  void handle(hooks::Message message, std::vector<UniqueFd> fds);
  Watched* find(const std::string& id) {
    const auto found = containers_.find(id);
    return found == containers_.end() ? nullptr : found->second.get();
  }
  void adopt(hooks::Adopt message, std::vector<UniqueFd> fds);
  void tell_status(std::uint64_t ticket);
  void last_rites();

  oci::Loop& loop_;
  oci::Settling settling_;
  SupervisorParts parts_;
  std::map<std::string, std::unique_ptr<Watched>> containers_;
};

void Supervisor::on_message() {
  auto packet = oci::receive_packet(kShimSocket, hooks::kMaxMessage);
  if (!packet && packet.error().code == Code::Unavailable) return;
  if (!packet || packet->closed) {
    last_rites();
    return;
  }
  auto message = hooks::decode(packet->data);
  if (message) handle(std::move(*message), std::move(packet->fds));
}

void Supervisor::last_rites() {
  for (auto& [id, container] : containers_) container->kill_all();
  loop_.stop();
}

void Supervisor::adopt(hooks::Adopt message, std::vector<UniqueFd> fds) {
  if (fds.size() != 1) return;
  const std::string id = message.container.id;
  auto created = Watched::create(parts_, std::move(message), std::move(fds[0]));
  if (created) {
    containers_[id] = std::move(*created);
    settling_.begin();  // the policy was parsed and compiled here
    return;
  }
  // The shim has parsed the same text: this is a broken build. Nothing of it may run.
  parts_.tell_shim(hooks::Freeze{id});
}

void Supervisor::handle(hooks::Message message, std::vector<UniqueFd> fds) {
  if (auto* m = std::get_if<hooks::Adopt>(&message)) {
    adopt(std::move(*m), std::move(fds));
  } else if (const auto* listen = std::get_if<hooks::Listen>(&message)) {
    Watched* container = find(listen->id);
    if (container != nullptr && fds.size() == 1)
      (void)container->listen(*listen, std::move(fds[0]));
  } else if (const auto* watch = std::get_if<hooks::Watch>(&message)) {
    Watched* container = find(watch->id);
    if (container == nullptr || (watch->number != 0 && fds.empty())) return;
    UniqueFd group;
    if (watch->number != 0) {
      group = std::move(fds[0]);
      fds.erase(fds.begin());
    }
    (void)container->watch(*watch, std::move(group), Ending::from(std::move(fds)));
  } else if (const auto* network = std::get_if<hooks::Network>(&message)) {
    if (Watched* container = find(network->id)) container->network(*network, std::move(fds));
  } else if (const auto* session = std::get_if<hooks::SessionStarted>(&message)) {
    if (Watched* container = find(session->id)) container->session_started(*session);
    settling_.begin();
  } else if (const auto* entered = std::get_if<hooks::Entered>(&message)) {
    if (Watched* container = find(entered->id)) container->entered(*entered);
  } else if (const auto* settle = std::get_if<hooks::Settle>(&message)) {
    Watched* container = find(settle->id);
    if (container == nullptr) return;
    container->settle(settle->phase);
    parts_.tell_shim(hooks::Ready{settle->ticket});
  } else if (const auto* notice = std::get_if<hooks::Notice>(&message)) {
    if (Watched* container = find(notice->id)) container->health(notice->severity, notice->message);
  } else if (const auto* mounted = std::get_if<hooks::Mounted>(&message)) {
    if (Watched* container = find(mounted->id)) container->mounted(*mounted);
  } else if (const auto* signal = std::get_if<hooks::Signalling>(&message)) {
    const auto ready = [this, ticket = signal->ticket] { parts_.tell_shim(hooks::Ready{ticket}); };
    if (Watched* container = find(signal->id))
      container->signalling(signal->signal, ready);
    else
      ready();
  } else if (const auto* forget = std::get_if<hooks::Forget>(&message)) {
    containers_.erase(forget->id);
  } else if (const auto* ask = std::get_if<hooks::Ask>(&message)) {
    tell_status(ask->ticket);
  }
}

void Supervisor::tell_status(std::uint64_t ticket) {
  hooks::Told told{ticket, {}};
  for (const auto& [id, container] : containers_) told.containers.push_back(container->status());
  parts_.tell_shim(told);
}

}  // namespace

int supervisor_main(int, char**) {
  oci::keep_heap_small();
  raise_descriptor_limit();
  ::signal(SIGPIPE, SIG_IGN);
  // Ends with its socket, not with the terminal's or the node's signals: they are for the shim.
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::signal(signal, SIG_IGN);
  if (!confine_supervisor()) return 1;
  auto loop = oci::Loop::create();
  auto journal = Journal::attach(UniqueFd(kJournalFd));
  if (!loop || !journal) return 1;
  auto reader = Reader::create(**loop);
  if (!reader) return 1;
  Supervisor supervisor(**loop, *journal, **reader);
  if (!(*loop)->watch(kShimSocket, EPOLLIN, [&](std::uint32_t) { supervisor.on_message(); }))
    return 1;
  (*loop)->run();
  return 0;
}

}  // namespace moat::shim
