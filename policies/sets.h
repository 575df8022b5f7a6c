// The named sets of the policy language, as a table that can be shown: what each is for and what it
// stands for.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policies/action.h"

namespace moat::policies {

struct NamedSet {
  // What the set means in network.access, where no path is spoken of.
  enum class Network { None, Allow, QuietOnly };

  std::string_view name;  // "@python"
  std::string_view help;  // one line
  // Paths and globs. "~": the container's home; a leading "$models", "$scratch", "$cwd" or
  // "$environment" stands for each of the container's places of that kind; "!" takes away from the
  // line it follows. Empty: the set means something to the network only.
  std::span<const std::string_view> content;
  Network network = Network::None;
};

std::span<const NamedSet> named_sets();  // sorted by name
const NamedSet* find_set(std::string_view name);

// The sets that mean something for an action.
std::vector<std::string_view> set_names(Action action);

}  // namespace moat::policies
