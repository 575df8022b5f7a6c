#include "shim/cgroups/sd_bus.h"

#include <dlfcn.h>

namespace moat::shim {

namespace {

template <class Function>
void find(void* library, const char* name, Function& function, std::string& missing) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  if (function == nullptr && missing.empty()) missing = name;
}

}  // namespace

Result<SdBus> SdBus::load() {
  void* const library = ::dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* const why = ::dlerror();
    return fail(Code::Unavailable, why != nullptr ? why : "libsystemd.so.0 cannot be loaded");
  }
  SdBus bus;
  std::string missing;
  find(library, "sd_bus_open_system", bus.open_system, missing);
  find(library, "sd_bus_new", bus.make, missing);
  find(library, "sd_bus_set_address", bus.set_address, missing);
  find(library, "sd_bus_start", bus.start, missing);
  find(library, "sd_bus_close_unref", bus.close_unref, missing);
  find(library, "sd_bus_is_ready", bus.is_ready, missing);
  find(library, "sd_bus_get_fd", bus.get_fd, missing);
  find(library, "sd_bus_get_events", bus.get_events, missing);
  find(library, "sd_bus_get_timeout", bus.get_timeout, missing);
  find(library, "sd_bus_process", bus.process, missing);
  find(library, "sd_bus_call_async", bus.call_async, missing);
  find(library, "sd_bus_add_match_async", bus.add_match_async, missing);
  find(library, "sd_bus_slot_unref", bus.slot_unref, missing);
  find(library, "sd_bus_message_new_method_call", bus.new_method_call, missing);
  find(library, "sd_bus_message_append", bus.append, missing);
  find(library, "sd_bus_message_open_container", bus.open_container, missing);
  find(library, "sd_bus_message_close_container", bus.close_container, missing);
  find(library, "sd_bus_message_unref", bus.message_unref, missing);
  find(library, "sd_bus_message_get_error", bus.get_error, missing);
  if (!missing.empty()) return fail(Code::Unavailable, "libsystemd.so.0 has no " + missing);
  return bus;
}

}  // namespace moat::shim
