#include "shim/supervise/in_flight.h"

#include <dirent.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "oci/sys.h"

namespace moat::shim {

namespace {

// What a thread must have computed to be out of a call it was in: a thousand times what such a call
// takes when it does not sleep.
constexpr std::uint64_t kLongEnough = 1'000'000;  // nanoseconds

std::string proc(pid_t tid, const char* file) {
  return "/proc/" + std::to_string(tid) + "/" + file;
}

std::optional<std::uint64_t> number(std::string_view& text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  const bool hex = text.starts_with("0x");
  if (hex) text.remove_prefix(2);
  std::uint64_t value = 0;
  const auto [end, problem] =
      std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
  if (problem != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::uint64_t time_on_processor(pid_t tid) {
  const std::string text = oci::read_file(proc(tid, "schedstat"), 256).value_or("");
  std::string_view left(text);
  return number(left).value_or(0);
}

std::vector<pid_t> threads_of(pid_t pid) {
  std::vector<pid_t> tids;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(proc(pid, "task").c_str()), &::closedir);
  if (!dir) return tids;
  while (const dirent* entry = ::readdir(dir.get())) {
    std::string_view name(entry->d_name);
    if (const auto tid = number(name)) tids.push_back(static_cast<pid_t>(*tid));
  }
  return tids;
}

}  // namespace

std::optional<Doing> parse_doing(std::string_view text) {
  Doing doing;
  if (text.starts_with("running")) {
    doing.running = true;
    return doing;
  }
  if (text.starts_with("-1 ")) return doing;
  const auto call = number(text);
  if (!call) return std::nullopt;
  doing.number = static_cast<std::int32_t>(*call);
  for (std::uint64_t& arg : doing.args) {
    const auto value = number(text);
    if (!value) return std::nullopt;
    arg = *value;
  }
  return doing;
}

void InFlight::add(const std::vector<pid_t>& processes) {
  for (const pid_t pid : processes)
    for (const pid_t tid : threads_of(pid)) threads_.try_emplace(tid, Thread{pid, {}, {}, {}});
}

void InFlight::look_at(pid_t tid, Thread& thread) const {
  const auto text = oci::read_file(proc(tid, "syscall"), 512);
  // Gone; what is there and cannot be read is not out of anything.
  if (!text && (text.error().code == Code::NotFound || text.error().err == ESRCH)) {
    thread.out = true;
    return;
  }
  const auto doing = text ? parse_doing(*text) : std::nullopt;
  if (!doing) return;
  if (doing->running) {
    thread.call = nullptr;
    const std::uint64_t ran = time_on_processor(tid);
    if (!thread.ran) thread.ran = ran;
    thread.out = ran >= *thread.ran + kLongEnough;
    return;
  }
  const auto inside = std::ranges::find_if(calls_, [&](const policies::SyscallRow* row) {
    return row->number(arch_) == doing->number && doing->number >= 0 &&
           row->interest->holds(doing->args);
  });
  thread.call = inside == calls_.end() ? nullptr : *inside;
  thread.out = thread.call == nullptr;
}

bool InFlight::look() {
  bool all = true;
  for (auto& [tid, thread] : threads_) {
    if (thread.out) continue;
    look_at(tid, thread);
    all = all && thread.out;
  }
  return all;
}

std::vector<std::string> InFlight::inside() const {
  std::vector<std::string> said;
  for (const auto& [tid, thread] : threads_) {
    if (thread.out || thread.call == nullptr) continue;
    std::string comm = oci::read_file(proc(tid, "comm"), 64).value_or("?");
    if (comm.ends_with('\n')) comm.pop_back();
    said.push_back(std::string(thread.call->name) + " in " + comm + " (pid " +
                   std::to_string(thread.pid) + ", thread " + std::to_string(tid) + ")");
  }
  return said;
}

std::size_t InFlight::starved() const {
  return static_cast<std::size_t>(std::ranges::count_if(threads_, [](const auto& entry) {
    return !entry.second.out && entry.second.call == nullptr;
  }));
}

}  // namespace moat::shim
