// The node administrator's policy: nothing a pod brings may be looser.
#pragma once

#include <optional>
#include <string>

#include "oci/annotations.h"
#include "policies/document.h"
#include "policies/result.h"

namespace moat::oci {

// How much a mode holds back: off, then audit and learn, then enforce.
policies::Mode stricter(policies::Mode a, policies::Mode b);

struct Floor {
  policies::Mode mode = policies::Mode::Off;  // a minimum
  policies::Sessions sessions = policies::Sessions::Allow;

  // A missing file is no floor. Of a floor document this build applies `mode` and `sessions`; one
  // that states more is an error, so that nobody believes it is in force.
  static Result<Floor> load(const std::string& file);

  // Annotations that loosen need an administrator's leave, which no floor can give yet.
  [[nodiscard]] Status permits(const Annotations& annotations) const;
};

}  // namespace moat::oci
