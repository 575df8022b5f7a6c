// Matches paths against globs. Paths come from workloads: no recursion, no allocation, and at most
// pattern length times path length steps.
#include <cstddef>

#include "policies/policy.h"

namespace moat::policies {
namespace {

// The components of a path, one after the other. Empty ones ("//", a trailing "/") are skipped.
class Components {
 public:
  explicit Components(std::string_view path) : path_(path) { next(); }

  [[nodiscard]] bool done() const { return part_.empty(); }
  [[nodiscard]] std::string_view part() const { return part_; }
  void next() {
    while (at_ < path_.size() && path_[at_] == '/') ++at_;
    const std::size_t end = std::min(path_.find('/', at_), path_.size());
    part_ = path_.substr(at_, end - at_);
    at_ = end;
  }

 private:
  std::string_view path_;
  std::size_t at_ = 0;
  std::string_view part_;
};

// Of several `*` only the last one seen can need another try: the leftmost match of what stands
// before it leaves the most for what comes after.
bool matches_part(std::string_view glob, std::string_view part) {
  std::size_t g = 0, p = 0, star = std::string_view::npos, resume = 0;
  while (p < part.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      resume = p;
    } else if (g < glob.size() && (glob[g] == '?' || glob[g] == part[p])) {
      ++g;
      ++p;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      p = ++resume;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

// The same argument one level up, with `**` in the place of `*` and components as characters.
bool matches(std::string_view pattern, std::string_view path) {
  Components glob(pattern), part(path);
  std::optional<Components> star, resume;
  while (!part.done()) {
    if (!glob.done() && glob.part() == "**") {
      glob.next();
      star = glob;
      resume = part;
    } else if (!glob.done() && matches_part(glob.part(), part.part())) {
      glob.next();
      part.next();
    } else if (star) {
      resume->next();
      glob = *star;
      part = *resume;
    } else {
      return false;
    }
  }
  while (!glob.done() && glob.part() == "**") glob.next();
  return glob.done();
}

// A path with "." or ".." says nothing about where it leads, so no set contains it.
bool is_normal(std::string_view path) {
  if (!path.starts_with('/')) return false;
  for (Components part(path); !part.done(); part.next())
    if (part.part() == "." || part.part() == "..") return false;
  return true;
}

}  // namespace

void PathSet::add(std::string pattern) {
  patterns_.push_back(std::move(pattern));
}

bool PathSet::contains(std::string_view path) const {
  if (!is_normal(path)) return false;
  bool inside = false;
  for (std::string_view pattern : patterns_) {
    if (pattern.starts_with('!')) {
      inside = inside && !matches(pattern.substr(1), path);
    } else {
      if (inside) return true;
      inside = matches(pattern, path);
    }
  }
  return inside;
}

}  // namespace moat::policies
