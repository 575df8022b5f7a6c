#include "shim/ctl/exit.h"

#include <unistd.h>

#include "oci/sys.h"
#include "policies/text.h"

namespace moat::shim::ctl {

Status print(std::string_view text) {
  auto written = oci::write_all(STDOUT_FILENO, text);
  if (!written) return fail(std::move(written.error()).in("standard output"));
  return {};
}

void warn(std::string_view what) {
  constexpr std::size_t kMaxWarning = 1000;  // a path and a sentence
  (void)oci::write_all(STDERR_FILENO, "moatctl: " + policies::printable(what, kMaxWarning) + "\n");
}

}  // namespace moat::shim::ctl
