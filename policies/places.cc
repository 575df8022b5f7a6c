#include "policies/places.h"

#include <fmt/format.h>

#include <algorithm>

#include "policies/objects.h"

namespace moat::policies {
namespace {

bool covers(std::string_view root, std::string_view path) {
  return path == root || (path.starts_with(root) && path.substr(root.size()).starts_with('/'));
}

}  // namespace

Places::Places(const Bindings& bindings)
    : home_(normal_path(bindings.home)), cwd_{normal_path(bindings.cwd)} {
  for (const std::string& root : bindings.environment_roots)
    environment_.push_back(normal_path(root));
}

Result<Places> Places::of(const Document& document, const Bindings& bindings) {
  Places places(bindings);
  for (const auto* declared : {&document.models, &bindings.models})
    if (auto ok = places.add(places.models_, *declared); !ok)
      return fail(std::move(ok.error()).in("models"));
  for (const auto* declared : {&document.scratch, &bindings.scratch})
    if (auto ok = places.add(places.scratch_, *declared); !ok)
      return fail(std::move(ok.error()).in("scratch"));
  return places;
}

std::string Places::absolute(std::string_view path) const {
  if (!path.starts_with('~')) return normal_path(path);
  return normal_path(home_ + "/" + std::string(path.substr(1)));
}

Status Places::add(std::vector<std::string>& into, const std::vector<std::string>& declared) const {
  for (const std::string& place : declared) {
    if (auto ok = check_path(place, false); !ok) return ok;
    std::string path = absolute(place);
    if (path == "/")
      return fail(Code::InvalidArgument, fmt::format("'{}' is the root folder", place));
    if (std::ranges::find(into, path) == into.end()) into.push_back(std::move(path));
  }
  return {};
}

// Hidden files of a home are where keys are kept (~/.ssh, ~/.aws, ~/.netrc). Who is given a tree
// that holds the home (a working directory, /app, /opt) is given the rest of it.
void Places::add_tree(const std::string& root, std::string_view rest, PathSet& into) const {
  into.add(root + std::string(rest));
  for (std::string_view home : {std::string_view(home_), std::string_view("/root")})
    if (home != "/" && covers(root, home)) into.add(fmt::format("!{}/.*/**", home));
  if (root == "/home") into.add("!/home/*/.*/**");
}

void Places::add_line(std::string_view line, PathSet& into) const {
  const std::string mark = line.starts_with('!') ? "!" : "";
  const std::string_view path = line.substr(mark.size());
  const std::string_view rest = path.substr(std::min(path.find('/'), path.size()));
  const std::string_view place = path.substr(0, path.size() - rest.size());
  if (place == "$models" || place == "$scratch") {
    for (const std::string& root : place == "$models" ? models_ : scratch_)
      into.add(mark + root + std::string(rest));
  } else if (place == "$cwd" || place == "$environment") {
    for (const std::string& root : place == "$cwd" ? cwd_ : environment_)
      if (root != "/") add_tree(root, rest, into);  // "/" says nothing about which files are meant
  } else if (mark.empty() && path.ends_with("/**")) {
    add_tree(absolute(path.substr(0, path.size() - 3)), "/**", into);
  } else {
    into.add(mark + absolute(path));
  }
}

}  // namespace moat::policies
