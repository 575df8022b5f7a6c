// From a question and what its pointers claimed to facts the core can decide on. Pure.
#pragma once

#include <linux/seccomp.h>

#include <string>
#include <string_view>

#include "policies/decide.h"
#include "shim/supervise/tracee.h"

namespace moat::shim {

// "10.0.0.1:443", "[::1]:80", "unix:/run/x.sock", "unix:@abstract", or the family's number.
std::string address_text(std::string_view sockaddr);

// Null when the call is not of the native architecture or not in the table.
const policies::SyscallRow* row_of(const seccomp_notif& question);

policies::CallFacts facts_of(const policies::SyscallRow& row, const seccomp_notif& question,
                             const Claims* claims);

// Whether the row has pointers worth reading.
bool has_claims(const policies::SyscallRow& row);

}  // namespace moat::shim
