#include "shim/ctl/doctor.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "oci/floor.h"
#include "oci/node_config.h"
#include "oci/spawn.h"
#include "oci/sys.h"
#include "shim/ctl/table.h"
#include "shim/supervise/probes.h"

namespace moat::shim::ctl {

namespace {

constexpr std::chrono::milliseconds kRuntimeDeadline{5000};

Checkup kernel() {
  auto version = oci::read_file("/proc/sys/kernel/osrelease", 256);
  if (!version) return {"kernel", false, true, version.error().what};
  version->erase(version->find_last_not_of('\n') + 1);
  return {"kernel", true, true, *version};
}

Checkup tried(const Probe& probe) {
  const Status status = probe.attempt();
  std::string text(probe.promise);
  if (!status) text = "lost: " + text + " (" + status.error().what + ")";
  return {std::string(probe.name), status.has_value(), probe.needed, std::move(text)};
}

// The first line of `PROGRAM --version`.
Result<std::string> version_of(const std::string& program) {
  auto loop = oci::Loop::create();
  if (!loop) return fail(std::move(loop.error()));
  Result<std::string> version = fail(Code::Unavailable, "does not say its version");
  oci::Command command;
  command.argv = {program, "--version"};
  oci::run(**loop, std::move(command), "", kRuntimeDeadline, [&](Result<oci::RunResult> result) {
    if (!result)
      version = fail(std::move(result.error()));
    else if (result->exit.status == 0)
      version = result->output.substr(0, result->output.find('\n'));
    (*loop)->stop();
  });
  (*loop)->run();
  return version;
}

Checkup runtime(const oci::NodeConfig& node) {
  const auto version = version_of(node.runtime);
  if (version) return {"runtime", true, true, *version};
  return {"runtime", false, true,
          version.error().what + "; install it, or name another as `runtime` in moat.yaml"};
}

// A folder may still be to be made: then the one above must take it.
Checkup folder(const char* check, std::string path) {
  const std::string wanted = path;
  struct stat status {};
  while (path.size() > 1 && ::stat(path.c_str(), &status) != 0)
    path.erase(std::max<std::size_t>(path.rfind('/'), 1));
  if (::access(path.c_str(), W_OK) == 0) return {check, true, true, wanted};
  return {check, false, true,
          wanted + ": " + std::strerror(errno) + "; set another folder in moat.yaml"};
}

Checkup floor_of(const oci::NodeConfig& node) {
  const auto floor = oci::Floor::load(node.floor);
  if (!floor) return {"floor", false, true, floor.error().what};
  return {"floor", true, true, "at least " + std::string(policies::to_string(floor->mode))};
}

void look_at_node(std::vector<Checkup>& checkups) {
  const auto node = oci::NodeConfig::load();
  if (!node) {
    checkups.push_back({"node configuration", false, true, node.error().what});
    return;
  }
  checkups.push_back(
      {"node configuration", true, true,
       "mode " + std::string(policies::to_string(node->mode)) + ", profile " + node->profile});
  checkups.push_back(floor_of(*node));
  checkups.push_back(runtime(*node));
  checkups.push_back(folder("events", node->log_dir));
  checkups.push_back(folder("state", node->state_dir));
}

}  // namespace

std::string to_text(const std::vector<Checkup>& checkups) {
  Table table({"CHECK", "RESULT", "DETAIL"});
  for (const Checkup& checkup : checkups)
    table.add({checkup.check,
               checkup.ok       ? "ok"
               : checkup.needed ? "FAILED"
                                : "missing",
               checkup.text});
  return table.text();
}

std::string to_json(const std::vector<Checkup>& checkups) {
  auto list = nlohmann::json::array();
  for (const Checkup& checkup : checkups)
    list.push_back({{"check", checkup.check},
                    {"ok", checkup.ok},
                    {"needed", checkup.needed},
                    {"detail", checkup.text}});
  return list.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Exit doctor(Format format) {
  if (::geteuid() != 0) {
    warn("doctor tries what shims do, and shims are root's: run it as root");
    return Exit::Failure;
  }
  std::vector<Checkup> checkups{kernel()};
  for (const Probe& probe : probes()) checkups.push_back(tried(probe));
  look_at_node(checkups);
  if (!print(format == Format::Json ? to_json(checkups) : to_text(checkups))) return Exit::Failure;
  return std::ranges::all_of(checkups, &Checkup::ok) ? Exit::Fine : Exit::Findings;
}

}  // namespace moat::shim::ctl
