#include "shim/cgroups/oom_watch.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>

#include "oci/sys.h"
#include "shim/cgroups/file_watch.h"
#include "shim/cgroups/stat_text.h"
#include "shim/cgroups/stats_v2.h"
#include "shim/log.h"

namespace moat::shim {

namespace {

// Counts of the group and all below it. The kernel holds a file's notification back for 10 ms after
// the one before: cgroup.events, which changes when the last process ends, may well be the first to
// be told of, and a group of systemd's is removed in that moment.
class OomV2 : public OomWatch {
 public:
  OomV2(Cgroup cgroup, std::function<void()> told)
      : cgroup_(std::move(cgroup)), told_(std::move(told)) {
    if (const auto text = cgroup_.read("memory", "memory.events")) remember(*text);
  }

  Status place(oci::Loop& loop) {
    const std::array files{cgroup_.folder() + "/memory.events",
                           cgroup_.folder() + "/cgroup.events"};
    auto watch = FileWatch::place(loop, files, [this] { look(false); });
    if (!watch) return fail(std::move(watch.error()));
    watch_ = std::move(*watch);
    return {};
  }

  void check(bool killed) override { look(killed); }
  [[nodiscard]] std::uint64_t kills() const override { return kills_; }

 private:
  void look(bool killed) {
    const std::uint64_t before = kills_;
    const auto text = cgroup_.read("memory", "memory.events");
    // The group went, with a kill begun and not yet counted when it was last read.
    if (text) {
      remember(*text);
    } else if (killed && begun_ > kills_) {
      kills_ = begun_;
    }
    if (kills_ > before) told_();
  }

  void remember(const std::string& text) {
    const auto events = parse_memory_events(text);
    kills_ = events.oom_kill();
    begun_ = events.oom();
  }

  Cgroup cgroup_;
  std::function<void()> told_;
  std::unique_ptr<FileWatch> watch_;
  std::uint64_t kills_ = 0, begun_ = 0;
};

// The kernel tells that it is about to kill, and counts a kill only in the group of the process it
// chose, which may be one below ours: so each notification is told, and besides what the count grew
// by without one (the whole machine was out of memory).
class OomV1 : public OomWatch {
 public:
  OomV1(oci::Loop& loop, Cgroup cgroup, std::function<void()> told)
      : loop_(loop), cgroup_(std::move(cgroup)), told_(std::move(told)) {
    kills_ = count();
  }
  ~OomV1() override {
    if (event_.valid()) loop_.forget(event_.raw());
  }

  Status place() {
    UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event.valid()) return fail_errno(errno, "eventfd");
    const auto control = oci::open_file(cgroup_.folder("memory") + "/memory.oom_control", O_RDONLY);
    if (!control) return fail(control.error());
    auto asked = cgroup_.write("memory", "cgroup.event_control",
                               std::to_string(event.raw()) + " " + std::to_string(control->raw()));
    if (!asked) return asked;
    auto watched = loop_.watch(event.raw(), EPOLLIN, [this](std::uint32_t) { take_event(); });
    if (!watched) return watched;
    event_ = std::move(event);
    return {};
  }

  void check(bool) override {
    take_event();
    if (count() <= kills_) return;
    kills_ = count();
    told_();
  }
  [[nodiscard]] std::uint64_t kills() const override { return kills_; }

 private:
  void take_event() {
    std::uint64_t events = 0;
    if (!event_.valid() || ::read(event_.raw(), &events, sizeof events) != sizeof events) return;
    // The group's removal is an event as well.
    if (!cgroup_.read("memory", "memory.oom_control")) return;
    kills_ = std::max(kills_ + 1, count());
    told_();
  }

  [[nodiscard]] std::uint64_t count() const {
    return value_of(cgroup_.read("memory", "memory.oom_control").value_or(""), "oom_kill");
  }

  oci::Loop& loop_;
  Cgroup cgroup_;
  std::function<void()> told_;
  UniqueFd event_;
  std::uint64_t kills_ = 0;
};

// No instance of inotify is left, say: check() still looks.
void say(const Error& error) {
  log_warning("kills for want of memory are noticed at a process's end only",
              {{"error", error.what}});
}

}  // namespace

Result<std::unique_ptr<OomWatch>> watch_oom(oci::Loop& loop, const Cgroup& cgroup,
                                            std::function<void()> told) {
  if (cgroup.unified()) {
    auto watch = std::make_unique<OomV2>(cgroup, std::move(told));
    auto placed = watch->place(loop);
    if (!placed && placed.error().err == ENOENT) return fail(std::move(placed.error()));
    if (!placed) say(placed.error());
    return watch;
  }
  auto watch = std::make_unique<OomV1>(loop, cgroup, std::move(told));
  auto placed = watch->place();
  if (!placed) say(placed.error());
  return watch;
}

}  // namespace moat::shim
