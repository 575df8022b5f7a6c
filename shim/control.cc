#include "shim/control.h"

#include <unistd.h>

#include <memory>

#include "shim/proto/control.pb.h"

namespace moat::shim {

void Control::register_in(ttrpc::Registry& registry) {
  registry.add("moat.control.v1.Control", "List",
               [this](ttrpc::Call call, std::string_view, std::chrono::nanoseconds) {
                 list(std::move(call));
               });
}

void Control::list(ttrpc::Call call) {
  auto waiting = std::make_shared<ttrpc::Call>(std::move(call));
  guard_.ask_status([this, waiting](const std::vector<hooks::ContainerStatus>& containers) {
    control::v1::ListResponse response;
    for (const hooks::ContainerStatus& status : containers) {
      auto* container = response.add_containers();
      container->set_namespace_(namespace_);
      container->set_id(status.id);
      container->set_pid(static_cast<std::uint32_t>(guard_.init_of(status.id)));
      container->set_mode(std::string(to_string(status.mode)));
      container->set_profile(status.profile);
      container->set_phase(std::string(to_string(status.phase)));
      container->set_phase_since_ms(status.phase_since_ms);
      container->set_violations(status.violations);
      container->set_would_denies(status.would_denies);
      container->set_notifications(status.notifications);
      container->set_open_events(status.open_events);
      container->set_supervisor_pid(static_cast<std::uint32_t>(guard_.supervisor_pid()));
      container->set_shim_pid(static_cast<std::uint32_t>(::getpid()));
    }
    waiting->ok(response.SerializeAsString());
  });
}

}  // namespace moat::shim
