// The keeper: holds what the shim and the supervisor hold, and does nothing while one of them is
// there to do it. When the shim is gone and the supervisor has not ended the containers, it does.
#include <linux/capability.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <list>

#include "oci/loop.h"
#include "oci/memory.h"
#include "oci/socket.h"
#include "shim/supervise/ending.h"
#include "shim/supervise/keeper_order.h"
#include "shim/supervise/own_calls.h"
#include "shim/supervise/refusal.h"
#include "shim/supervise/roles.h"

namespace moat::shim {

namespace {

using Kind = KeeperOrder::Kind;

constexpr int kShimSocket = 3;
constexpr int kJournalFd = 4;
constexpr int kShimPidfd = 5;
constexpr int kSupervisorPidfd = 6;
constexpr std::chrono::milliseconds kSettles{1000};
// A supervisor that lives ends the containers itself; one that is stuck is not waited for.
constexpr std::chrono::milliseconds kGrace{400};
constexpr std::chrono::milliseconds kRound{20};
constexpr int kRounds = 250;  // not for ever: what survives so many kills is the kernel's

// It signals what it kills, and opens nothing.
Status confine_keeper() {
  return confine({"moat-keeper", 1U << CAP_KILL, keeper_calls(kShimSocket)});
}

class Keeper {
 public:
  Keeper(oci::Loop& loop, Journal& journal) : loop_(loop), page_(journal.page()) {}

  Status begin();

 private:
  struct Held {
    KeeperOrder order;
    UniqueFd fd;
  };
  struct Container {
    std::uint32_t number;
    Ending ending;
  };
  bool on_order();  // false: there was none
  void handle(const KeeperOrder& order, std::vector<UniqueFd> fds);
  void hold(const KeeperOrder& order, UniqueFd fd);
  void forget(std::uint32_t container);
  void watch_supervisor(UniqueFd pidfd);
  void shim_gone();
  void end_all(int rounds);
  [[nodiscard]] bool anybody_left() const;

  oci::Loop& loop_;
  JournalPage& page_;
  std::list<Held> held_;
  std::list<Container> containers_;
  UniqueFd supervisor_;
  bool shim_gone_ = false, supervisor_gone_ = false, ending_ = false;
};

Status Keeper::begin() {
  watch_supervisor(UniqueFd(kSupervisorPidfd));
  if (auto s = loop_.watch(kShimPidfd, EPOLLIN, [this](std::uint32_t) { shim_gone(); }); !s)
    return s;
  return loop_.watch(kShimSocket, EPOLLIN, [this](std::uint32_t) { on_order(); });
}

bool Keeper::on_order() {
  auto packet = oci::receive_packet(kShimSocket, sizeof(KeeperOrder));
  if (!packet && packet.error().code == Code::Unavailable) return false;
  if (!packet || packet->closed) {
    loop_.forget(kShimSocket);
    // Closed on purpose, after the last container; otherwise its pidfd will tell.
    if (containers_.empty() && held_.empty()) loop_.stop();
    return false;
  }
  KeeperOrder order;
  if (packet->data.size() != sizeof order) return true;
  std::memcpy(&order, packet->data.data(), sizeof order);
  handle(order, std::move(packet->fds));
  return true;
}

void Keeper::handle(const KeeperOrder& order, std::vector<UniqueFd> fds) {
  switch (order.kind) {
    case Kind::Container:
      containers_.push_back({order.container, Ending::from(std::move(fds))});
      return;
    case Kind::Listener:
    case Kind::Group:
      if (fds.size() == 1) hold(order, std::move(fds[0]));
      return;
    case Kind::Forget:
      forget(order.container);
      return;
    case Kind::Supervisor:
      if (fds.size() == 1) watch_supervisor(std::move(fds[0]));
      return;
  }
}

void Keeper::hold(const KeeperOrder& order, UniqueFd fd) {
  const auto at = held_.insert(held_.end(), Held{order, std::move(fd)});
  if (order.kind != Kind::Listener) return;
  // No task uses the filter any more. Any other event is somebody else's to see.
  (void)loop_.watch(at->fd.raw(), 0, [this, at](std::uint32_t) {
    loop_.forget(at->fd.raw());
    held_.erase(at);
  });
}

void Keeper::forget(std::uint32_t container) {
  containers_.remove_if([&](const Container& known) { return known.number == container; });
  held_.remove_if([&](const Held& held) {
    if (held.order.container != container) return false;
    loop_.forget(held.fd.raw());
    return true;
  });
}

void Keeper::watch_supervisor(UniqueFd pidfd) {
  if (supervisor_.valid()) loop_.forget(supervisor_.raw());
  supervisor_ = std::move(pidfd);
  supervisor_gone_ = false;
  (void)loop_.watch(supervisor_.raw(), EPOLLIN, [this](std::uint32_t) {
    loop_.forget(supervisor_.raw());
    supervisor_gone_ = true;
    if (shim_gone_) end_all(kRounds);
  });
}

void Keeper::shim_gone() {
  loop_.forget(kShimPidfd);
  while (on_order()) {  // its last words
  }
  shim_gone_ = true;
  if (supervisor_gone_)
    end_all(kRounds);
  else
    loop_.after(kGrace, [this] { end_all(kRounds); });
}

// Again and again until nobody is left who could ask: as long as the groups are held here no open
// is let through, and who waits in one dies waiting.
void Keeper::end_all(int rounds) {
  if (rounds == kRounds && std::exchange(ending_, true)) return;
  for (const Container& container : containers_) container.ending.now();
  for (const Held& held : held_) {
    if (held.order.kind == Kind::Listener)
      settle_calls(page_, held.order.number, held.fd.raw(), held.order.err);
    else
      settle_opens(page_, held.order.number, held.fd.raw(), held.order.err == 0);
  }
  if (rounds > 1 && anybody_left())
    loop_.after(kRound, [this, rounds] { end_all(rounds - 1); });
  else
    loop_.stop();
}

bool Keeper::anybody_left() const {
  for (const Held& held : held_) {
    pollfd state{held.fd.raw(), 0, 0};
    if (held.order.kind == Kind::Listener && ::poll(&state, 1, 0) == 0) return true;
  }
  return false;
}

}  // namespace

int keeper_main(int, char**) {
  oci::keep_heap_small();
  ::signal(SIGPIPE, SIG_IGN);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::signal(signal, SIG_IGN);
  if (!confine_keeper()) return 1;
  auto loop = oci::Loop::create();
  auto journal = Journal::attach(UniqueFd(kJournalFd));
  if (!loop || !journal) return 1;
  Keeper keeper(**loop, *journal);
  if (!keeper.begin()) return 1;
  (*loop)->after(kSettles, oci::let_go_of_memory);
  (*loop)->run();
  (*loop)->drop_all();
  return 0;
}

}  // namespace moat::shim
