#include "shim/supervise/event_log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

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

bool EventLog::is_long() const {
  struct stat file {};
  return ::fstat(file_.raw(), &file) == 0 && static_cast<std::uint64_t>(file.st_size) >= kLongFile;
}

void EventLog::go_on() {
  constexpr off_t kTail = 64 << 10;  // longer than any line
  struct stat file {};
  if (::fstat(file_.raw(), &file) != 0) return;
  const off_t from = std::max<off_t>(0, file.st_size - kTail);
  std::string tail(static_cast<std::size_t>(file.st_size - from), '\0');
  const ssize_t n = ::pread(file_.raw(), tail.data(), tail.size(), from);
  tail.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  const std::size_t end = tail.rfind('\n');
  if (end == std::string::npos) return;
  if (end + 1 < tail.size()) (void)!::ftruncate(file_.raw(), from + static_cast<off_t>(end) + 1);
  const std::size_t before = end == 0 ? std::string::npos : tail.rfind('\n', end - 1);
  const std::size_t begin = before == std::string::npos ? 0 : before + 1;
  const auto last = nlohmann::json::parse(tail.substr(begin, end - begin), nullptr, false);
  if (last.is_object() && last.contains("seq") && last["seq"].is_number_unsigned())
    next_ = last["seq"].get<std::uint64_t>() + 1;
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
