// A conversation with the machine's systemd, on the loop: nothing here waits for it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "oci/loop.h"
#include "shim/cgroups/sd_bus.h"

namespace moat::shim {

class SystemdBus : public std::enable_shared_from_this<SystemdBus> {
 public:
  using Done = std::function<void(Status)>;
  using Properties = std::vector<std::pair<std::string, std::uint64_t>>;

  // Over the system bus, or where there is none directly. Fails at once when systemd cannot be
  // reached; that it does not answer shows in the calls.
  static Result<std::shared_ptr<SystemdBus>> open(oci::Loop& loop);
  ~SystemdBus();
  SystemdBus(const SystemdBus&) = delete;
  SystemdBus& operator=(const SystemdBus&) = delete;

  // A method of the manager about one unit: FreezeUnit, ThawUnit. `done` is called once, from the
  // loop, with DeadlineExceeded after some seconds.
  void ask(const char* method, const std::string& unit, Done done);

  // Until the next boot.
  void set_properties(const std::string& unit, const Properties& properties, Done done);

  // `removed` is called when systemd has dropped the unit, or when it cannot tell any more; until
  // the returned ticket goes.
  using Ticket = std::shared_ptr<void>;
  Ticket on_removed(const std::string& unit, std::function<void()> removed);

 private:
  struct Pending;
  struct Watch;
  SystemdBus(oci::Loop& loop, const SdBus& functions);

  Status connect();
  void disconnect();
  Result<sd_bus_message*> message(const char* method);
  void send(sd_bus_message* message, Done done);
  void settle(std::uint64_t id, Status status);
  void timed_out(std::uint64_t id);
  void subscribe();
  void match(Watch& watch);
  void tell_removal(std::uint64_t id);
  void pump();
  void lost(int error);
  static int answered(sd_bus_message* message, void* data, sd_bus_error* error);
  static int signalled(sd_bus_message* message, void* data, sd_bus_error* error);

  oci::Loop& loop_;
  SdBus sd_;
  sd_bus* bus_ = nullptr;
  int fd_ = -1;
  bool direct_ = false;  // no bus in between
  oci::Loop::TimerId timer_ = 0;
  std::uint64_t next_ = 0;
  std::map<std::uint64_t, std::unique_ptr<Pending>> pending_;
  std::map<std::uint64_t, std::unique_ptr<Watch>> watches_;
};

// The unit a container's group is of, when its folder is named for one; empty otherwise.
std::string unit_of(const std::string& folder);

}  // namespace moat::shim
