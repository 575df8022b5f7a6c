#include "shim/cgroups/manager.h"
#include "shim/cgroups/systemd_bus.h"
#include "shim/log.h"

namespace moat::shim {

namespace {

// What systemd refuses or cannot do (a freeze before version 246, or under version 1) is done in
// the files; what was frozen there is thawed there.
class SystemdManager : public CgroupManager {
 public:
  SystemdManager(std::shared_ptr<SystemdBus> bus, std::string unit,
                 std::unique_ptr<CgroupManager> files)
      : bus_(std::move(bus)), unit_(std::move(unit)), files_(std::move(files)) {}

  void freeze(Done done) override {
    bus_->ask("FreezeUnit", unit_, alive([this, done = std::move(done)](const Status& status) {
                frozen(status, done);
              }));
  }

  void thaw(Done done) override {
    if (in_files_) {
      in_files_ = false;
      return files_->thaw(std::move(done));
    }
    bus_->ask("ThawUnit", unit_, alive([this, done = std::move(done)](const Status& status) {
                if (status || !files_) return done(status);
                say("ThawUnit", status.error());
                files_->thaw(done);
              }));
  }

  void set(const Limits& limits, Done done) override {
    SystemdBus::Properties properties;
    if (limits.memory_bytes) properties.emplace_back("MemoryMax", *limits.memory_bytes);
    if (limits.tasks) properties.emplace_back("TasksMax", *limits.tasks);
    if (limits.cpu_weight) properties.emplace_back("CPUWeight", *limits.cpu_weight);
    bus_->set_properties(unit_, properties, std::move(done));
  }

  void on_removed(std::function<void()> removed) override {
    removal_ = bus_->on_removed(unit_, std::move(removed));
  }

 private:
  void frozen(const Status& status, const Done& done) {
    if (status) return done(status);
    if (status.error().code == Code::DeadlineExceeded || !files_) {
      // systemd may still freeze it: the last word must be that it runs.
      bus_->ask("ThawUnit", unit_, [](const Status&) {});
      return done(status);
    }
    say("FreezeUnit", status.error());
    in_files_ = true;
    files_->freeze(alive([this, done](const Status& frozen) {
      in_files_ = frozen.has_value();
      done(frozen);
    }));
  }

  void say(std::string_view method, const Error& error) const {
    log_info("systemd does not do it, the cgroup's files do",
             {{"method", method}, {"unit", unit_}, {"error", error.what}});
  }

  // The bus outlives us.
  Done alive(Done done) const {
    return [weak = std::weak_ptr<int>(alive_), done = std::move(done)](const Status& status) {
      if (!weak.expired()) done(status);
    };
  }

  std::shared_ptr<SystemdBus> bus_;
  std::string unit_;
  std::unique_ptr<CgroupManager> files_;
  bool in_files_ = false;
  SystemdBus::Ticket removal_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace

std::unique_ptr<CgroupManager> manage_unit(std::shared_ptr<SystemdBus> bus, const std::string& unit,
                                           std::unique_ptr<CgroupManager> files) {
  return std::make_unique<SystemdManager>(std::move(bus), unit, std::move(files));
}

}  // namespace moat::shim
