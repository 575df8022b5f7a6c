#include "shim/supervise/event_log.h"

#include <sys/stat.h>
#include <unistd.h>

#include "oci/sys.h"

namespace moat::shim {

bool EventLog::put(const policies::Event& event) {
  const auto [seconds, nanoseconds] = oci::utc_now();
  policies::Stamp stamp;
  stamp.time = std::chrono::sys_time<std::chrono::nanoseconds>(
      std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanoseconds));
  stamp.seq = next_++;
  const std::string line = policies::to_json_line(event, stamp) + "\n";
  struct stat before {};
  const bool known = ::fstat(file_.raw(), &before) == 0;
  if (oci::write_all(file_.raw(), line)) return true;
  // A full disk takes half a line: take it back, so that the next one stands alone.
  if (known) (void)!::ftruncate(file_.raw(), before.st_size);
  return false;
}

void EventLog::write(const policies::Event& event) {
  if (lost_ > 0) {
    policies::Event drop;
    drop.kind = policies::EventKind::Drop;
    drop.severity = "warning";
    drop.mode = event.mode;
    drop.phase = event.phase;
    drop.container = event.container;
    drop.message = "events could not be written to this file";
    drop.numbers["lost"] = static_cast<std::int64_t>(lost_);
    if (!put(drop)) {
      ++lost_;
      return;
    }
    lost_ = 0;
  }
  if (!put(event)) ++lost_;
}

}  // namespace moat::shim
