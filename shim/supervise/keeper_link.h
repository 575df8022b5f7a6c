// The shim's end of the keeper: there while there are containers, told what to hold.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "oci/loop.h"
#include "oci/spawn.h"
#include "shim/reaper.h"
#include "shim/supervise/keeper_order.h"
#include "shim/supervise/supervisor_link.h"

namespace moat::shim {

class KeeperLink {
 public:
  // `on_lost`: it was killed; a new one knows nothing.
  KeeperLink(oci::Loop& loop, Reaper& reaper, std::function<void()> on_lost)
      : loop_(loop), reaper_(reaper), on_lost_(std::move(on_lost)) {}
  ~KeeperLink() { stop(); }

  Status start(const SupervisorLink& supervisor);
  void stop();  // it ends when it holds nothing
  void send(const KeeperOrder& order, const std::vector<int>& fds);
  [[nodiscard]] bool running() const { return child_.has_value(); }

 private:
  void lost();
  void let_go();

  oci::Loop& loop_;
  Reaper& reaper_;
  std::function<void()> on_lost_;
  std::optional<oci::Child> child_;
  UniqueFd socket_;
};

}  // namespace moat::shim
