#include "shim/ttrpc/service.h"

namespace moat::shim::ttrpc {

void Registry::add(std::string service, std::string method, Handler handler) {
  services_[std::move(service)][std::move(method)] = std::move(handler);
}

Result<const Handler*> Registry::find(std::string_view service, std::string_view method) const {
  const auto methods = services_.find(service);
  if (methods == services_.end())
    return moat::fail(Code::Unimplemented, "service " + std::string(service));
  const auto handler = methods->second.find(method);
  if (handler == methods->second.end())
    return moat::fail(Code::Unimplemented, "method " + std::string(method));
  return &handler->second;
}

}  // namespace moat::shim::ttrpc
