// A document bound to one container: sets expanded, paths absolute, ready to decide. Immutable.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/address.h"
#include "policies/document.h"
#include "policies/unix_name.h"

namespace moat::policies {

// What a container's configuration says about its places; where `~`, `@models`, `@app` … point to.
// All paths are absolute and as seen inside the container.
struct Bindings {
  std::string home = "/";
  std::string cwd = "/";
  std::vector<std::string> models;             // from the annotation; the document's own are added
  std::vector<std::string> scratch;            // from annotations (cache-paths, allow-write)
  std::vector<std::string> environment_roots;  // VIRTUAL_ENV, CONDA_PREFIX, PYTHONPATH entries
};

// Path patterns: literal, with `*` and `?` inside a component, `**` as a component for any number
// of them; "/a/**" also covers "/a" itself. "!pattern" takes away from the pattern it follows, and
// from that one only: the order in which sets are joined does not matter. Paths that are relative
// or hold "." or ".." are in no set.
class PathSet {
 public:
  void add(std::string pattern);
  [[nodiscard]] bool contains(std::string_view path) const;
  [[nodiscard]] bool empty() const { return patterns_.empty(); }
  [[nodiscard]] const std::vector<std::string>& patterns() const { return patterns_; }

 private:
  std::vector<std::string> patterns_;
};

struct NetworkRules {
  bool any = false;                    // "*": every address
  bool listen = false;                 // "@listen": make and use a listening TCP socket
  bool any_unix = false;               // "unix:*": every Unix socket
  std::vector<std::string> addresses;  // as stated
  std::vector<AddressRule> reachable;  // those of them that the kernel can tell apart
  std::vector<UnixRule> unix_names;    // likewise
  bool quiet_resolver = false;         // "@resolver" refused without a violation
  PathSet quiet_unix;                  // "unix:/path" refused without a violation
};

// The boundary of one phase.
struct Boundary {
  bool stated = false;  // otherwise the policy has no such phase
  PathSet read, modify, exec_files, devices, programs;
  PathSet quiet_read, quiet_modify, quiet_programs;
  NetworkRules network;
  bool create = false, thread = false, cross = false, context = false;
  bool info = false, control = false;
};

class Policy {
 public:
  // Binds a composed document. Unknown sets and relative paths are errors with the set's or path's
  // name and the nearest valid one.
  static Result<Policy> bind(const Document& composed, const Bindings& bindings);

  [[nodiscard]] const Boundary& boundary(Phase phase) const {
    return boundaries_[static_cast<std::size_t>(phase)];
  }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] Mode mode() const { return mode_; }
  [[nodiscard]] Reaction reaction() const { return reaction_; }
  [[nodiscard]] Sessions sessions() const { return sessions_; }
  // What sessions are held to instead of the phase's; null: they have none of their own.
  [[nodiscard]] const Boundary* session_boundary() const {
    return session_boundary_ ? &*session_boundary_ : nullptr;
  }
  [[nodiscard]] const std::vector<std::string>& models() const { return models_; }
  [[nodiscard]] const std::vector<std::string>& scratch() const { return scratch_; }
  [[nodiscard]] const std::optional<Trigger>& trigger(Phase phase) const {
    return transitions_[static_cast<std::size_t>(phase)];
  }

 private:
  Policy() = default;
  std::string name_;
  Mode mode_ = Mode::Audit;
  Reaction reaction_;
  Sessions sessions_ = Sessions::Allow;
  std::optional<Boundary> session_boundary_;
  std::vector<std::string> models_, scratch_;
  std::array<std::optional<Trigger>, kPhases.size()> transitions_{};
  std::array<Boundary, kPhases.size()> boundaries_{};
};

}  // namespace moat::policies
