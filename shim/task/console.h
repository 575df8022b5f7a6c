// A terminal made by the runtime: it hands the master over a socket in the bundle.
#pragma once

#include <cstdint>
#include <string>

#include "oci/fd.h"
#include "policies/result.h"

namespace moat::shim {

class Console {
 public:
  // Listens in `bundle` under a name of its own. A bundle's path does not fit into a socket's
  // address: the runtime is started in the bundle and given the name alone.
  static Result<Console> listen(const std::string& bundle);
  Console(Console&&) noexcept = default;
  Console& operator=(Console&&) noexcept = default;
  ~Console();

  [[nodiscard]] const std::string& socket_name() const { return name_; }

  // The master, once the runtime has succeeded: it has sent it by then. Non-blocking.
  Result<UniqueFd> take();

 private:
  Console(UniqueFd bundle, UniqueFd listener, std::string name)
      : bundle_(std::move(bundle)), listener_(std::move(listener)), name_(std::move(name)) {}

  UniqueFd bundle_, listener_;
  std::string name_;
};

struct WindowSize {
  std::uint16_t columns = 0, rows = 0;
};
Status set_window_size(int master, WindowSize size);

}  // namespace moat::shim
