#include "oci/spec_check.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace moat::oci {
namespace {

using Json = nlohmann::json;

enum class Kind : std::uint8_t { Object, Array, String, Boolean, Unsigned32 };

// `*` stands for every element of an array and every member of an object.
struct Known {
  std::string_view place;
  Kind kind;
};
constexpr std::array kKnown{
    Known{"annotations", Kind::Object},
    Known{"annotations/*", Kind::String},
    Known{"mounts", Kind::Array},
    Known{"mounts/*", Kind::Object},
    Known{"mounts/*/destination", Kind::String},
    Known{"mounts/*/type", Kind::String},
    Known{"mounts/*/source", Kind::String},
    Known{"mounts/*/options", Kind::Array},
    Known{"mounts/*/options/*", Kind::String},
    Known{"root", Kind::Object},
    Known{"root/path", Kind::String},
    Known{"root/readonly", Kind::Boolean},
    Known{"process", Kind::Object},
    Known{"process/cwd", Kind::String},
    Known{"process/args", Kind::Array},
    Known{"process/args/*", Kind::String},
    Known{"process/env", Kind::Array},
    Known{"process/env/*", Kind::String},
    Known{"process/noNewPrivileges", Kind::Boolean},
    Known{"process/user", Kind::Object},
    Known{"process/user/uid", Kind::Unsigned32},
    Known{"process/user/gid", Kind::Unsigned32},
    Known{"linux", Kind::Object},
    Known{"linux/cgroupsPath", Kind::String},
    Known{"linux/rootfsPropagation", Kind::String},
    Known{"linux/seccomp", Kind::Object},
    Known{"linux/uidMappings", Kind::Array},
    Known{"linux/uidMappings/*", Kind::Object},
    Known{"linux/uidMappings/*/containerID", Kind::Unsigned32},
    Known{"linux/uidMappings/*/hostID", Kind::Unsigned32},
    Known{"linux/uidMappings/*/size", Kind::Unsigned32},
    Known{"linux/gidMappings", Kind::Array},
    Known{"linux/gidMappings/*", Kind::Object},
    Known{"linux/gidMappings/*/containerID", Kind::Unsigned32},
    Known{"linux/gidMappings/*/hostID", Kind::Unsigned32},
    Known{"linux/gidMappings/*/size", Kind::Unsigned32},
    Known{"linux/namespaces", Kind::Array},
    Known{"linux/namespaces/*", Kind::Object},
    Known{"linux/namespaces/*/type", Kind::String},
    Known{"linux/namespaces/*/path", Kind::String},
};

bool is_a(const Json& value, Kind kind) {
  switch (kind) {
    case Kind::Object:
      return value.is_object();
    case Kind::Array:
      return value.is_array();
    case Kind::String:
      return value.is_string();
    case Kind::Boolean:
      return value.is_boolean();
    case Kind::Unsigned32:
      return value.is_number_unsigned() &&
             value.get<std::uint64_t>() <= std::numeric_limits<std::uint32_t>::max();
  }
  return false;
}

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::Object:
      return "an object";
    case Kind::Array:
      return "an array";
    case Kind::String:
      return "a string";
    case Kind::Boolean:
      return "true or false";
    case Kind::Unsigned32:
      return "a whole number from 0 to 4294967295";
  }
  return "?";
}

std::string found_in(const Json& value) {
  if (value.is_number())
    return value.is_number_unsigned() ? "a number" : "the number " + value.dump();
  if (value.is_boolean()) return "a boolean";
  return value.is_string() ? "a string" : value.is_array() ? "an array" : "an object";
}

// `where` is the place in a person's notation: "mounts[2].destination".
Status check(const Json& value, std::string_view place, Kind kind, const std::string& where) {
  if (value.is_null()) return {};
  if (place.empty()) {
    if (is_a(value, kind)) return {};
    return fail(Code::InvalidArgument,
                where + ": expected " + std::string(name_of(kind)) + ", found " + found_in(value));
  }
  const std::size_t slash = std::min(place.find('/'), place.size());
  const std::string key(place.substr(0, slash));
  const std::string_view rest = place.substr(std::min(slash + 1, place.size()));
  if (key != "*") {
    const auto member = value.find(key);
    if (member == value.end()) return {};
    return check(*member, rest, kind, where.empty() ? key : where + "." + key);
  }
  std::size_t index = 0;
  for (const auto& [name, element] : value.items()) {
    const std::string at = value.is_array() ? "[" + std::to_string(index++) + "]" : "." + name;
    if (auto status = check(element, rest, kind, where + at); !status) return status;
  }
  return {};
}

}  // namespace

Status check_spec(const Json& spec) {
  if (!spec.is_object())
    return fail(Code::InvalidArgument, "expected an object, found " + found_in(spec));
  // Parents precede their members in the table, so a member's container has the right type already.
  for (const Known& known : kKnown)
    if (auto status = check(spec, known.place, known.kind, ""); !status) return status;
  std::size_t index = 0;
  if (const auto mounts = spec.find("mounts"); mounts != spec.end() && mounts->is_array())
    for (const Json& mount : *mounts) {
      const std::string where = "mounts[" + std::to_string(index++) + "]";
      const auto destination = mount.is_object() ? mount.find("destination") : mount.end();
      if (destination == mount.end() || !destination->is_string() ||
          destination->get_ref<const std::string&>().empty())
        return fail(Code::InvalidArgument, where + ".destination: is missing");
    }
  return {};
}

}  // namespace moat::oci
