// What tells one event from another: its time as text and its id.
#pragma once

#include <string>
#include <string_view>

#include "policies/event.h"

namespace moat::policies {

// RFC 3339 in UTC with nanoseconds: "2026-08-22T10:00:00.123456789Z".
std::string event_time(const Stamp& stamp);

// 26 characters in the shape of a ULID: milliseconds first, so that ids sort by time; the rest is a
// hash of the container's id and the sequence number instead of chance.
std::string event_id(std::string_view container, const Stamp& stamp);

}  // namespace moat::policies
