// Which handler serves which (service, method).
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "shim/ttrpc/call.h"

namespace moat::shim::ttrpc {

// `payload` is the method's request message and valid during the call only. `timeout` is zero
// when the client set none; the server itself answers DeadlineExceeded when it passes.
using Handler =
    std::function<void(Call call, std::string_view payload, std::chrono::nanoseconds timeout)>;

class Registry {
 public:
  void add(std::string service, std::string method, Handler handler);

  // Unimplemented with the texts clients' version downgrade relies on: "service X", "method X".
  [[nodiscard]] Result<const Handler*> find(std::string_view service,
                                            std::string_view method) const;

 private:
  std::map<std::string, std::map<std::string, Handler, std::less<>>, std::less<>> services_;
};

}  // namespace moat::shim::ttrpc
