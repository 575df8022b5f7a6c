// What `moatctl ps` shows, from the answers of the shims. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shim/proto/control.pb.h"

namespace moat::shim::ctl {

using Containers = std::vector<moat::control::v1::Container>;

// "850ms", "12s", "3m04s", "2h05m", "4d03h".
std::string readable_age(std::int64_t ms);

// By namespace and id, whichever shim answered first.
void sort_containers(Containers& containers);

std::string ps_table(const Containers& containers);
std::string ps_json(const Containers& containers);

}  // namespace moat::shim::ctl
