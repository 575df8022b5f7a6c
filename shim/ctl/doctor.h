// `moatctl doctor`: whether this node can do what moat promises, and what is lost where it cannot.
#pragma once

#include <string>
#include <vector>

#include "shim/ctl/exit.h"

namespace moat::shim::ctl {

struct Checkup {
  std::string check;
  bool ok = false;
  bool needed = true;  // nothing is supervised without it
  std::string text;    // what was found, or what is missing and what to do
};

// As a table, respectively as a JSON array.
std::string to_text(const std::vector<Checkup>& checkups);
std::string to_json(const std::vector<Checkup>& checkups);

Exit doctor(Format format);

}  // namespace moat::shim::ctl
