// Policies for tests: as text, bound to an ordinary container.
#pragma once

#include <string>

#include "policies/policy.h"

namespace moat::test {

// Ends the test program with the error's text when the document is not a good one.
policies::Policy policy_from(const std::string& yaml);
policies::Policy builtin_policy(const std::string& name);

// `spec`: lines below "spec:", without the phases; no phase says anything of its own.
policies::Policy policy_with(const std::string& spec);

// Everything is allowed in every phase, as far as a policy can allow it.
policies::Policy open_policy();
// Nothing is allowed in any phase.
policies::Policy closed_policy();

}  // namespace moat::test
