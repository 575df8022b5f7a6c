// The objects of an action: paths, sets, addresses. Their grammar, for documents and annotations
// alike; the error is a sentence without a place.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "policies/action.h"
#include "policies/result.h"

namespace moat::policies {

inline constexpr std::size_t kMaxObject = 4096;  // PATH_MAX

// Every Unix socket: as a class they can be told from the rest of the world, one by one they
// cannot.
inline constexpr std::string_view kAnyUnix = "unix:*";

// Switch actions say true or false; the others list objects.
bool takes_objects(Action action);

// "/a/b", "~/c", with `*`, `?` and `**` unless it names one place. No "." or "..".
Status check_path(std::string_view path, bool globs);

// "10.0.0.0/8:443", "[fd00::/8]:443", "[::1]", "host.name:80", "unix:/run/x.sock", kAnyUnix.
Status check_address(std::string_view address);

// One object of an action's list, or of its `quiet` list.
Status check_object(Action action, std::string_view object, bool quiet);

// Without repeated and trailing slashes: "/a//b/" is "/a/b".
std::string normal_path(std::string_view path);

}  // namespace moat::policies
