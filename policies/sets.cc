#include "policies/sets.h"

#include <algorithm>
#include <array>

#include "policies/set_contents.h"

namespace moat::policies {
namespace {

using namespace contents;
using enum NamedSet::Network;

constexpr std::array kSets{
    NamedSet{"@app",
             "the server's own files: its working directory (unless that is /), /app, /srv, /code, "
             "/workspace",
             kApp, None},
    NamedSet{"@cpuinfo", "the program that describes the processor (joblib, py-cpuinfo)", kCpuInfo,
             None},
    NamedSet{"@find-library", "what Python's ctypes.util.find_library runs", kFindLibrary, None},
    NamedSet{"@gpu", "graphics devices: NVIDIA, AMD, DRI", kGpu, None},
    NamedSet{"@image",
             "the image's programs and libraries; nothing from a model or a scratch place", kImage,
             None},
    NamedSet{
        "@jit",
        "memory that is written and then run, as oneDNN, libffi and every JIT compiler need it",
        kJit, None},
    NamedSet{"@jit-compilers", "compilers and linkers that torch, Triton and FlashInfer run",
             kJitCompilers, None},
    NamedSet{"@listen", "make a listening TCP socket and answer on it", {}, Allow},
    NamedSet{"@locale", "locales, time zones and character tables", kLocale, None},
    NamedSet{"@models", "the declared model paths", kModels, None},
    NamedSet{"@platform", "what Python's platform module runs", kPlatform, None},
    NamedSet{"@proc-self", "what a process says about itself: thread names, OOM score", kProcSelf,
             None},
    NamedSet{"@python", "interpreter, libraries and packages; not the keys beside them", kPython,
             None},
    NamedSet{"@resolver",
             "name look-ups: their files; for the network, port 53 and the name daemon", kResolver,
             QuietOnly},
    NamedSet{"@scratch", "the declared writable places", kScratch, None},
    NamedSet{"@self", "the Python interpreter as a program", kSelf, None},
    NamedSet{"@shm", "POSIX shared memory and semaphores", kShm, None},
    NamedSet{"@stdio", "null, zero, random, terminals, the process's own descriptors", kStdio,
             None},
    NamedSet{"@sysinfo", "what /proc and /sys tell about the machine and its processes", kSysInfo,
             None},
};
static_assert(std::ranges::is_sorted(kSets, {}, &NamedSet::name));

}  // namespace

std::span<const NamedSet> named_sets() {
  return kSets;
}

const NamedSet* find_set(std::string_view name) {
  const auto* set = std::ranges::find(kSets, name, &NamedSet::name);
  return set == kSets.end() ? nullptr : set;
}

std::vector<std::string_view> set_names(Action action) {
  std::vector<std::string_view> names;
  for (const NamedSet& set : kSets) {
    const bool network = set.network != None;
    if (action == Action::NetworkAccess ? network : !set.content.empty()) names.push_back(set.name);
  }
  return names;
}

}  // namespace moat::policies
