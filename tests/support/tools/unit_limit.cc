// Limits a unit's tasks as the shim would, through systemd.
//
//   unit_limit UNIT TASKS
#include <cstdio>
#include <cstdlib>

#include "shim/cgroups/manager.h"
#include "shim/cgroups/systemd_bus.h"

namespace {

int limit(const char* unit, const char* tasks) {
  const auto loop = moat::oci::Loop::create();
  auto bus = moat::shim::SystemdBus::open(**loop);
  if (!bus) {
    std::printf("%s\n", bus.error().what.c_str());
    return 1;
  }
  const auto manager = moat::shim::manage_unit(std::move(*bus), unit, nullptr);
  int exit = 1;
  moat::shim::Limits limits;
  limits.tasks = std::strtoull(tasks, nullptr, 10);
  manager->set(limits, [&](const moat::Status& status) {
    if (!status) std::printf("%s\n", status.error().what.c_str());
    exit = status ? 0 : 1;
    (*loop)->stop();
  });
  (*loop)->run();
  (*loop)->drop_all();
  return exit;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3) return limit(argv[1], argv[2]);
  std::puts("usage: unit_limit UNIT TASKS");
  return 2;
}
