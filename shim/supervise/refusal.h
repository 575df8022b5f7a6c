// What is done about the questions of a supervisor that is gone, by whoever else holds the
// descriptors. Allocates nothing: the last holder has no memory to spare.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shim/supervise/journal.h"

namespace moat::shim {

// Answers each of a listener's questions in flight with `err` (0: they go on); returns how many of
// them somebody still waited for.
std::size_t settle_calls(JournalPage& page, std::uint32_t number, int listener, int err);

// The same for the opens of a fanotify group. An answer names the descriptor that the dead reader
// was given; the kernel compares the number and nothing else.
std::size_t settle_opens(JournalPage& page, std::uint32_t number, int group, bool allow);

}  // namespace moat::shim
