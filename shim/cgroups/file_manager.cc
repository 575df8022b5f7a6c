#include <algorithm>
#include <array>

#include "oci/sys.h"
#include "shim/cgroups/file_watch.h"
#include "shim/cgroups/manager.h"
#include "shim/cgroups/stat_text.h"

namespace moat::shim {

namespace {

using std::chrono::milliseconds;

// A process in the kernel stops when it comes out of it. Clients give a call ten seconds and more.
constexpr milliseconds kPatience{5000};
constexpr milliseconds kFirstLook{1}, kLongestLook{20};
// A version 1 freezer can miss a process that forks in the wrong moment and then waits for it for
// ever; begun anew it does not.
constexpr std::int64_t kAnewMs = 500;

// Where and how one kind of freezer is written and read. A hybrid without the version 1 freezer has
// the unified one.
struct Freezer {
  std::string_view controller, file, freeze, thaw;
};
constexpr Freezer kFirst{"freezer", "freezer.state", "FROZEN", "THAWED"};
constexpr Freezer kSecond{"", "cgroup.freeze", "1", "0"};

enum class Frozen { No, Begun, Yes, Gone };

class FileManager : public CgroupManager {
 public:
  FileManager(oci::Loop& loop, Cgroup cgroup, const Freezer& freezer)
      : loop_(loop), cgroup_(std::move(cgroup)), freezer_(freezer) {}
  ~FileManager() override { loop_.cancel(timer_); }
  FileManager(const FileManager&) = delete;
  FileManager& operator=(const FileManager&) = delete;

  void freeze(Done done) override { begin(true, std::move(done)); }
  void thaw(Done done) override { begin(false, std::move(done)); }

  void set(const Limits& limits, Done done) override {
    Status status;
    const auto put = [&](std::string_view controller, std::string_view file,
                         const std::string& text) {
      if (status) status = cgroup_.write(controller, file, text);
    };
    const bool unified = cgroup_.unified();
    const auto number = [&](std::uint64_t value) {
      return value == kNoLimit ? std::string(unified ? "max" : "-1") : std::to_string(value);
    };
    if (limits.memory_bytes)
      put("memory", unified ? "memory.max" : "memory.limit_in_bytes", number(*limits.memory_bytes));
    if (limits.tasks)
      put("pids", "pids.max", *limits.tasks == kNoLimit ? "max" : std::to_string(*limits.tasks));
    if (limits.cpu_weight) {
      const std::uint64_t weight = std::clamp<std::uint64_t>(*limits.cpu_weight, 1, 10000);
      put("cpu", unified ? "cpu.weight" : "cpu.shares",
          std::to_string(unified ? weight : std::max<std::uint64_t>(2, weight * 1024 / 100)));
    }
    loop_.post([status = std::move(status), done = std::move(done)] { done(status); });
  }

  void on_removed(std::function<void()> removed) override {
    const std::array folder{cgroup_.folder()};
    auto watch = FileWatch::place(loop_, folder, [this, removed = std::move(removed)] {
      if (oci::read_file(cgroup_.folder() + "/cgroup.procs")) return;
      removal_.reset();
      removed();
    });
    if (watch) removal_ = std::move(*watch);
  }

 private:
  void begin(bool freezing, Done done) {
    done_ = std::move(done);
    freezing_ = freezing;
    begun_ms_ = anew_ms_ = oci::monotonic_ms();
    look_ = is_first() ? kFirstLook : kPatience;
    auto written = write(freezing);
    if (!written) return finish(std::move(written));
    if (!is_first()) watch_events();
    timer_ = loop_.after(milliseconds(0), [this] { look(); });
  }

  Status write(bool freezing) {
    return cgroup_.write(freezer_.controller, freezer_.file,
                         freezing ? freezer_.freeze : freezer_.thaw);
  }

  [[nodiscard]] Frozen state() const {
    const auto text = cgroup_.read(freezer_.controller, freezer_.file);
    if (!text) return Frozen::Gone;
    if (is_first()) {
      if (text->starts_with("FROZEN")) return Frozen::Yes;
      return text->starts_with("FREEZING") ? Frozen::Begun : Frozen::No;
    }
    const auto events = cgroup_.read(freezer_.controller, "cgroup.events");
    if (events && value_of(*events, "frozen") == 1) return Frozen::Yes;
    return text->starts_with('1') ? Frozen::Begun : Frozen::No;
  }

  // Version 2 tells when it is done, version 1 has to be asked.
  void watch_events() {
    const std::array events{cgroup_.folder("") + "/cgroup.events"};
    if (auto watch = FileWatch::place(loop_, events, [this] { look(); }))
      events_ = std::move(*watch);
  }

  [[nodiscard]] bool is_first() const { return freezer_.controller == kFirst.controller; }

  void look() {
    loop_.cancel(std::exchange(timer_, 0));
    const Frozen now = state();
    if (now == (freezing_ ? Frozen::Yes : Frozen::No)) return finish({});
    if (now == Frozen::Gone) return finish(fail(Code::NotFound, "the cgroup is gone"));
    // A kill has thawed it: it must not be frozen again.
    if (freezing_ && now == Frozen::No) return finish(fail(Code::Canceled, "thawed meanwhile"));
    const std::int64_t now_ms = oci::monotonic_ms();
    if (now_ms - begun_ms_ >= kPatience.count()) return give_up();
    if (freezing_ && is_first() && now_ms - anew_ms_ > kAnewMs) {
      anew_ms_ = now_ms;
      (void)write(false);
      (void)write(true);
    }
    timer_ = loop_.after(look_, [this] { look(); });
    look_ = std::min(2 * look_, is_first() ? kLongestLook : kPatience);
  }

  void give_up() {
    if (freezing_) (void)write(false);
    finish(fail(Code::DeadlineExceeded, freezing_ ? "unable to freeze" : "unable to thaw"));
  }

  // Not from inside freeze(): who asks may not be ready for the answer.
  void finish(Status status) {
    loop_.cancel(std::exchange(timer_, 0));
    events_.reset();
    auto done = std::exchange(done_, {});
    if (!done) return;
    loop_.post([status = std::move(status), done = std::move(done)] { done(status); });
  }

  oci::Loop& loop_;
  Cgroup cgroup_;
  const Freezer& freezer_;
  Done done_;
  bool freezing_ = false;
  std::int64_t begun_ms_ = 0, anew_ms_ = 0;
  milliseconds look_{0};
  oci::Loop::TimerId timer_ = 0;
  std::unique_ptr<FileWatch> events_, removal_;
};

}  // namespace

std::unique_ptr<CgroupManager> manage_files(oci::Loop& loop, const Cgroup& cgroup) {
  for (const Freezer* freezer : {&kFirst, &kSecond}) {
    if (cgroup.unified() && freezer == &kFirst) continue;
    if (cgroup.read(freezer->controller, freezer->file))
      return std::make_unique<FileManager>(loop, cgroup, *freezer);
  }
  return nullptr;
}

}  // namespace moat::shim
