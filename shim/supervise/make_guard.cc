#include "shim/supervise/make_guard.h"

#include <optional>

#include "shim/control.h"
#include "shim/log.h"
#include "shim/supervise/state_dir.h"
#include "shim/supervise/supervised_guard.h"

namespace moat::shim {

namespace {

// A node whose configuration cannot be read runs nothing: guessing a mode would be worse.
class BrokenNode : public Guard {
 public:
  explicit BrokenNode(Error error) : error_(std::move(error)) {}
  Result<std::unique_ptr<Guarded>> prepare(const NewContainer&) override {
    return fail(Error(error_).in("node configuration"));
  }
  void use(GuardActions) override {}

 private:
  Error error_;
};

// Supervision with what belongs to it: the control service, and the record that tools find it by
// once there is something to find.
class ConfiguredNode : public Guard {
 public:
  ConfiguredNode(const GuardParts& parts, ShimIdentity identity, const oci::NodeConfig& config)
      : identity_(std::move(identity)),
        state_dir_(config.state_dir),
        guard_(parts.loop, parts.reaper, config),
        control_(guard_, identity_.ns) {
    control_.register_in(parts.registry);
  }

  Result<std::unique_ptr<Guarded>> prepare(const NewContainer& container) override {
    auto guarded = guard_.prepare(container);
    if (guarded && *guarded && !record_) make_record();
    return guarded;
  }
  void use(GuardActions actions) override { guard_.use(std::move(actions)); }

 private:
  void make_record() {
    auto record = ShimRecord::write(state_dir_, {identity_.ns, identity_.id, identity_.socket});
    if (record)
      record_.emplace(std::move(*record));
    else  // tools miss this shim; its containers do not
      log_warning("tools will not find this shim", {{"error", record.error().what}});
  }

  ShimIdentity identity_;
  std::string state_dir_;
  SupervisedGuard guard_;
  Control control_;
  std::optional<ShimRecord> record_;
};

}  // namespace

std::unique_ptr<Guard> make_guard(const GuardParts& parts, const ShimIdentity& identity,
                                  const Result<oci::NodeConfig>& node) {
  if (!node) return std::make_unique<BrokenNode>(node.error());
  return std::make_unique<ConfiguredNode>(parts, identity, *node);
}

}  // namespace moat::shim
