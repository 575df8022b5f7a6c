#include "shim/cgroups/systemd_bus.h"

#include <cerrno>
#include <ctime>

#include "shim/log.h"

namespace moat::shim {

namespace {

constexpr const char* kService = "org.freedesktop.systemd1";
constexpr const char* kPath = "/org/freedesktop/systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";
constexpr const char* kPrivate = "unix:path=/run/systemd/private";

// systemd answers a freeze when it is done; clients give a pause ten seconds and more.
constexpr std::chrono::milliseconds kPatience{5000};

Status as_status(int result, const char* what) {
  if (result >= 0) return {};
  return fail_errno(-result, what);
}

}  // namespace

struct SystemdBus::Pending {
  SystemdBus& bus;
  std::uint64_t id;
  Done done;
  sd_bus_slot* slot = nullptr;
  oci::Loop::TimerId timer = 0;
};

struct SystemdBus::Watch {
  SystemdBus& bus;
  std::uint64_t id;
  std::string unit;
  std::function<void()> removed;
  sd_bus_slot* slot = nullptr;
};

Result<std::shared_ptr<SystemdBus>> SystemdBus::open(oci::Loop& loop) {
  auto functions = SdBus::load();
  if (!functions) return fail(std::move(functions.error()));
  std::shared_ptr<SystemdBus> bus(new SystemdBus(loop, *functions));
  auto connected = bus->connect();
  if (!connected) return fail(std::move(connected.error()));
  return bus;
}

SystemdBus::SystemdBus(oci::Loop& loop, const SdBus& functions) : loop_(loop), sd_(functions) {}

SystemdBus::~SystemdBus() {
  disconnect();
}

// The bus first: it sends us nothing but what we asked for, while systemd by itself tells of every
// unit of the machine.
Status SystemdBus::connect() {
  direct_ = false;
  int result = sd_.open_system(&bus_);
  if (result < 0) {
    direct_ = true;
    result = sd_.make(&bus_);
    if (result >= 0) result = sd_.set_address(bus_, kPrivate);
    if (result >= 0) result = sd_.start(bus_);
  }
  if (result >= 0) result = fd_ = sd_.get_fd(bus_);
  auto status = as_status(result, "systemd's bus");
  if (status)
    status = loop_.watch(fd_, static_cast<std::uint32_t>(sd_.get_events(bus_)),
                         [this](std::uint32_t) { pump(); });
  if (!status) {
    fd_ = -1;
    disconnect();
  }
  return status;
}

void SystemdBus::disconnect() {
  loop_.cancel(std::exchange(timer_, 0));
  if (fd_ >= 0) loop_.forget(std::exchange(fd_, -1));
  for (auto& [id, pending] : pending_) {
    loop_.cancel(std::exchange(pending->timer, 0));
    sd_.slot_unref(std::exchange(pending->slot, nullptr));
  }
  for (auto& [id, watch] : watches_) sd_.slot_unref(std::exchange(watch->slot, nullptr));
  if (bus_ != nullptr) sd_.close_unref(std::exchange(bus_, nullptr));
}

// systemd drops its connections when it executes itself anew, and can be had again.
void SystemdBus::lost(int error) {
  log_warning("the connection to systemd is lost", {{"error", strerrordesc_np(-error)}});
  disconnect();
  while (!pending_.empty())
    settle(pending_.begin()->first, fail(Code::Unavailable, "the connection to systemd is lost"));
  for (const auto& [id, watch] : watches_) tell_removal(id);
}

void SystemdBus::pump() {
  const auto self = shared_from_this();
  loop_.cancel(std::exchange(timer_, 0));
  int result = 0;
  do {
    result = sd_.process(bus_, nullptr);
  } while (result > 0);
  if (result < 0) return lost(result);
  (void)loop_.change(fd_, static_cast<std::uint32_t>(sd_.get_events(bus_)));
  std::uint64_t until = 0;  // microseconds of the monotonic clock
  if (sd_.get_timeout(bus_, &until) < 0 || until == UINT64_MAX) return;
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const std::uint64_t now_usec = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
                                 static_cast<std::uint64_t>(now.tv_nsec) / 1000;
  const std::uint64_t left = until > now_usec ? until - now_usec : 0;
  timer_ = loop_.after(std::chrono::milliseconds(left / 1000 + 1), [this] {
    timer_ = 0;
    pump();
  });
}

Result<sd_bus_message*> SystemdBus::message(const char* method) {
  if (bus_ == nullptr) {
    auto connected = connect();
    if (!connected) return fail(std::move(connected.error()));
    if (!watches_.empty()) subscribe();
    for (auto& [id, watch] : watches_) match(*watch);
  }
  sd_bus_message* made = nullptr;
  const int result = sd_.new_method_call(bus_, &made, kService, kPath, kManager, method);
  if (result < 0) return fail_errno(-result, method);
  return made;
}

void SystemdBus::send(sd_bus_message* message, Done done) {
  const std::uint64_t id = next_++;
  auto& pending = *(pending_[id] = std::make_unique<Pending>(Pending{*this, id, std::move(done)}));
  const int result = sd_.call_async(bus_, &pending.slot, message, &answered, &pending, UINT64_MAX);
  sd_.message_unref(message);
  if (result < 0) return settle(id, as_status(result, "systemd"));
  pending.timer = loop_.after(kPatience, [this, id] { timed_out(id); });
  loop_.post([weak = weak_from_this()] {
    if (const auto self = weak.lock(); self && self->bus_ != nullptr) self->pump();
  });
}

// From the loop: whoever is told may let go of us.
void SystemdBus::settle(std::uint64_t id, Status status) {
  const auto found = pending_.find(id);
  if (found == pending_.end()) return;
  Pending& pending = *found->second;
  loop_.cancel(pending.timer);
  loop_.post([done = std::move(pending.done), status = std::move(status)] { done(status); });
  sd_.slot_unref(pending.slot);
  pending_.erase(found);
}

// A bus that takes connections and never greets is one that cannot be reached.
void SystemdBus::timed_out(std::uint64_t id) {
  const bool ready = bus_ != nullptr && sd_.is_ready(bus_) > 0;
  settle(id, fail(ready ? Code::DeadlineExceeded : Code::Unavailable,
                  "systemd does not answer within " + std::to_string(kPatience.count()) + " ms"));
}

int SystemdBus::answered(sd_bus_message* message, void* data, sd_bus_error*) {
  auto& pending = *static_cast<Pending*>(data);
  SystemdBus& bus = pending.bus;
  Status status;
  if (const sd_bus_error* error = bus.sd_.get_error(message)) {
    const std::string_view name = error->name != nullptr ? error->name : "";
    // Not refused: the connection ended before an answer came.
    const bool cut = name.ends_with(".NoReply") || name.ends_with(".Disconnected");
    status = fail(cut ? Code::Unavailable : Code::FailedPrecondition,
                  std::string(name) + ": " + (error->message != nullptr ? error->message : ""));
  }
  bus.settle(pending.id, std::move(status));
  return 0;
}

int SystemdBus::signalled(sd_bus_message*, void* data, sd_bus_error*) {
  auto& watch = *static_cast<Watch*>(data);
  watch.bus.tell_removal(watch.id);
  return 0;
}

// Whoever wanted to know may be gone by then.
void SystemdBus::tell_removal(std::uint64_t id) {
  loop_.post([weak = weak_from_this(), id] {
    const auto self = weak.lock();
    if (!self) return;
    const auto found = self->watches_.find(id);
    if (found == self->watches_.end()) return;
    const auto removed = found->second->removed;
    removed();
  });
}

void SystemdBus::ask(const char* method, const std::string& unit, Done done) {
  auto made = message(method);
  int result = made ? sd_.append(*made, "s", unit.c_str()) : 0;
  if (made && result >= 0) return send(*made, std::move(done));
  if (made) sd_.message_unref(*made);
  loop_.post([done = std::move(done), status = made
                                                   ? as_status(result, method)
                                                   : Status(fail(made.error()))] { done(status); });
}

void SystemdBus::set_properties(const std::string& unit, const Properties& properties, Done done) {
  constexpr int kRuntime = 1;
  auto made = message("SetUnitProperties");
  if (!made)
    return loop_.post([done = std::move(done), error = made.error()] { done(fail(error)); });
  int result = sd_.append(*made, "sb", unit.c_str(), kRuntime);
  if (result >= 0) result = sd_.open_container(*made, 'a', "(sv)");
  for (const auto& [name, value] : properties)
    if (result >= 0) result = sd_.append(*made, "(sv)", name.c_str(), "t", value);
  if (result >= 0) result = sd_.close_container(*made);
  if (result >= 0) return send(*made, std::move(done));
  sd_.message_unref(*made);
  loop_.post([done = std::move(done), result] { done(as_status(result, "SetUnitProperties")); });
}

// systemd says nothing on the bus unless somebody there wants to know.
void SystemdBus::subscribe() {
  if (direct_) return;
  sd_bus_message* made = nullptr;
  if (sd_.new_method_call(bus_, &made, kService, kPath, kManager, "Subscribe") < 0) return;
  send(made, [](const Status& status) {
    if (!status) log_warning("systemd tells no removals", {{"error", status.error().what}});
  });
}

void SystemdBus::match(Watch& watch) {
  std::string rule = "type='signal',interface='" + std::string(kManager) +
                     "',member='UnitRemoved',arg0='" + watch.unit + "'";
  // On the bus anybody may send a signal; without one nobody else can, and it has no sender.
  if (!direct_) rule += ",sender='" + std::string(kService) + "'";
  (void)sd_.add_match_async(bus_, &watch.slot, rule.c_str(), &signalled, nullptr, &watch);
}

SystemdBus::Ticket SystemdBus::on_removed(const std::string& unit, std::function<void()> removed) {
  const std::uint64_t id = next_++;
  if (bus_ != nullptr && watches_.empty()) subscribe();
  auto& watch =
      *(watches_[id] = std::make_unique<Watch>(Watch{*this, id, unit, std::move(removed)}));
  if (bus_ != nullptr) match(watch);
  return {this, [self = shared_from_this(), id](void*) {
            const auto found = self->watches_.find(id);
            self->sd_.slot_unref(found->second->slot);
            self->watches_.erase(found);
          }};
}

std::string unit_of(const std::string& folder) {
  // What systemd allows in a name; it goes into a rule between quotes.
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@";
  std::string name = folder.substr(folder.rfind('/') + 1);
  const bool is_unit = name.ends_with(".scope") || name.ends_with(".service");
  if (!is_unit || name.find_first_not_of(kAllowed) != std::string::npos) return {};
  return name;
}

}  // namespace moat::shim
