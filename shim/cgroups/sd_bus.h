// libsystemd's bus, loaded when it is needed: a node without systemd need not have it, and a shim
// that does not talk to systemd does not pay for it.
#pragma once

#include <systemd/sd-bus.h>

#include "policies/result.h"

namespace moat::shim {

// What is used of it, by its own names. All of them are in version 241.
struct SdBus {
  decltype(&::sd_bus_open_system) open_system = nullptr;
  decltype(&::sd_bus_new) make = nullptr;
  decltype(&::sd_bus_set_address) set_address = nullptr;
  decltype(&::sd_bus_start) start = nullptr;
  decltype(&::sd_bus_close_unref) close_unref = nullptr;
  decltype(&::sd_bus_is_ready) is_ready = nullptr;
  decltype(&::sd_bus_get_fd) get_fd = nullptr;
  decltype(&::sd_bus_get_events) get_events = nullptr;
  decltype(&::sd_bus_get_timeout) get_timeout = nullptr;
  decltype(&::sd_bus_process) process = nullptr;
  decltype(&::sd_bus_call_async) call_async = nullptr;
  decltype(&::sd_bus_add_match_async) add_match_async = nullptr;
  decltype(&::sd_bus_slot_unref) slot_unref = nullptr;
  decltype(&::sd_bus_message_new_method_call) new_method_call = nullptr;
  decltype(&::sd_bus_message_append) append = nullptr;
  decltype(&::sd_bus_message_open_container) open_container = nullptr;
  decltype(&::sd_bus_message_close_container) close_container = nullptr;
  decltype(&::sd_bus_message_unref) message_unref = nullptr;
  decltype(&::sd_bus_message_get_error) get_error = nullptr;

  // Loaded libraries stay: what libsystemd registers in a process cannot be taken back.
  static Result<SdBus> load();
};

}  // namespace moat::shim
