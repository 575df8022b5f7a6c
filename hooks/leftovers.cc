#include "hooks/leftovers.h"

#include <nlohmann/json.hpp>

#include "oci/sha256.h"

namespace moat::hooks {

namespace {

std::string text_of(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

Result<Stopped> parse_stopped(std::string_view state_json) {
  const auto state = nlohmann::json::parse(state_json, nullptr, false);
  if (!state.is_object()) return fail(Code::InvalidArgument, "the state is not a JSON object");
  std::string bundle = text_of(state, "bundle");
  while (bundle.ends_with('/')) bundle.pop_back();
  const std::size_t last = bundle.rfind('/');
  if (last == std::string::npos || last == 0)
    return fail(Code::InvalidArgument, "the state's 'bundle' is missing or not a path");
  const std::size_t before = bundle.rfind('/', last - 1);
  Stopped stopped;
  stopped.namespace_ = bundle.substr(before + 1, last - before - 1);
  stopped.id = text_of(state, "id");
  if (stopped.id.empty()) return fail(Code::InvalidArgument, "the state's 'id' is missing");
  return stopped;
}

std::string listener_path(std::string_view state_dir, std::string_view namespace_,
                          std::string_view id) {
  constexpr std::size_t kDigits = 16;  // 64 bits: no two containers of a node meet
  const std::string name = std::string(namespace_) + "/" + std::string(id);
  return std::string(state_dir) + "/" + oci::sha256_hex(name).substr(0, kDigits) + ".sock";
}

}  // namespace moat::hooks
