#include "shim/cgroups/controllers.h"

#include <fcntl.h>

#include <algorithm>

#include "oci/sys.h"
#include "shim/cgroups/stat_text.h"

namespace moat::shim {

namespace {

constexpr std::string_view kBlank = " \n";

Status enable_below(const std::string& folder, const std::vector<std::string_view>& wanted) {
  const std::string path = folder + "/cgroup.subtree_control";
  const auto text = oci::read_file(path);
  if (!text) return fail(text.error());
  const auto enabled = split_words(*text, kBlank);
  Status last;
  for (const std::string_view name : wanted) {
    if (std::ranges::find(enabled, name) != enabled.end()) continue;
    // Each by itself: one that is refused must not take the others along.
    auto opened = oci::open_file(path, O_WRONLY);
    if (!opened) return fail(std::move(opened.error()));
    auto written = oci::write_all(opened->raw(), "+" + std::string(name));
    if (!written) last = fail(std::move(written.error()).in(path + " +" + std::string(name)));
  }
  return last;
}

}  // namespace

Status enable_controllers(const Cgroup& cgroup) {
  if (!cgroup.unified()) return {};
  const auto text = oci::read_file(cgroup.root() + "/cgroup.controllers");
  if (!text) return fail(text.error());
  const auto wanted = split_words(*text, kBlank);
  Status last;
  const std::string& folder = cgroup.folder();
  for (std::size_t at = cgroup.root().size(); at < folder.size(); at = folder.find('/', at + 1)) {
    auto enabled = enable_below(folder.substr(0, at), wanted);
    if (!enabled) last = std::move(enabled);
  }
  return last;
}

}  // namespace moat::shim
