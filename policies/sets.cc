#include "policies/sets.h"

#include <algorithm>
#include <array>

namespace moat::policies {
namespace {

using Lines = std::string_view[];
using enum NamedSet::Network;

constexpr Lines kApp{"$cwd/**", "/app/**", "/srv/**", "/code/**", "/workspace/**", "/usr/src/**"};

constexpr Lines kCpuInfo{"/usr/bin/lscpu", "/bin/lscpu"};

constexpr Lines kFindLibrary{
    "/sbin/ldconfig*",       "/usr/sbin/ldconfig*", "/usr/bin/ldconfig", "/usr/bin/*gcc*",
    "/usr/bin/cc",           "/usr/bin/*ld",        "/usr/bin/*ld.*",    "/usr/bin/*objdump",
    "/usr/lib/gcc/**",       "/usr/libexec/gcc/**",
};

constexpr Lines kGpu{
    "/dev/nvidia*", "/dev/nvidia-caps/**", "/dev/nvidia-caps-imex-channels/**",
    "/dev/kfd",     "/dev/dri/**",         "/dev/dxg",
};

// Programs and code of the image, wherever they lie: "/**" without the places somebody may have
// written to since. A deleted file and a memfd have a path too ("/memfd:x (deleted)").
constexpr Lines kImage{
    "/**",          "!$models/**", "!$scratch/**", "!/tmp/**",       "!/var/tmp/**", "!/dev/**",
    "!/proc/**",    "!/sys/**",    "!/memfd:*",    "!/SYSV*",        "!/anon_*",     "!/**/* (deleted)",
};

constexpr Lines kJitCompilers{
    "/usr/bin/*gcc*",         "/usr/bin/*g++*",          "/usr/bin/cc",
    "/usr/bin/c++",           "/usr/bin/*-as",           "/usr/bin/as",
    "/usr/bin/*ld",           "/usr/bin/*ld.*",          "/usr/bin/clang*",
    "/usr/bin/*objdump",      "/usr/bin/*c++filt",       "/usr/bin/ninja",
    "/usr/bin/cmake",         "/usr/sbin/ldconfig*",     "/sbin/ldconfig*",
    "/usr/lib/gcc/**",        "/usr/libexec/gcc/**",     "/usr/lib/llvm*/bin/*",
    "/usr/local/bin/ninja",   "/usr/local/bin/cmake",    "/usr/local/cuda*/bin/*",
    "/usr/local/cuda*/nvvm/bin/*",
    // Triton brings its own assembler in its wheel.
    "/usr/local/lib/python3*/**/bin/ptxas*", "/opt/**/bin/ptxas*", "$environment/**/bin/ptxas*",
    "$environment/bin/ninja",
};

constexpr Lines kLocale{
    "/usr/lib/locale/**",     "/usr/share/locale/**",   "/usr/share/i18n/**",
    "/usr/share/zoneinfo/**", "/etc/locale.alias",      "/etc/locale.conf",
    "/etc/default/locale",    "/etc/localtime",         "/etc/timezone",
    "/usr/lib/*/gconv/**",
};

constexpr Lines kModels{"$models/**"};

constexpr Lines kPlatform{"/usr/bin/uname", "/bin/uname", "/usr/bin/file", "/usr/bin/arch"};

// What threads and servers write about themselves. The path of an event is /proc/<pid>, that of a
// call /proc/self.
constexpr Lines kProcSelf{
    "/proc/*/comm",          "/proc/*/task/*/comm", "/proc/*/oom_score_adj",
    "/proc/*/coredump_filter", "/proc/*/timerslack_ns",
};

// Narrow where keys live: of /etc only what the interpreter and its libraries read.
constexpr Lines kPython{
    "/usr/lib/**",
    "/usr/lib32/**",
    "/usr/lib64/**",
    "/usr/libexec/**",
    "/lib/**",
    "/lib64/**",
    "/usr/local/lib/**",
    "/usr/local/lib64/**",
    "/usr/local/share/**",
    "/usr/local/cuda*/**",
    "/usr/local/nvidia/**",
    "/usr/share/**",
    "/usr/include/**",
    "/usr/local/include/**",
    "/usr/bin/**",
    "/usr/sbin/**",
    "/bin/**",
    "/sbin/**",
    "/usr/local/bin/**",
    "/usr/pyvenv.cfg",
    "/opt/**",
    "/venv/**",
    "/.venv/**",
    "$environment/**",
    "~/.local/lib/python3*/**",
    "/etc/ld.so.*",
    "/etc/ld.so.conf.d/**",
    "/etc/alternatives/**",
    "/etc/python3*/**",
    "/etc/ssl/openssl.cnf",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs/**",
    "/etc/pki/tls/openssl.cnf",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs/**",
    "/etc/pki/ca-trust/extracted/**",
    "/etc/ca-certificates/**",
    "/etc/mime.types",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/inputrc",
    "/etc/ucx/**",
    "/etc/libnl*/**",
    "/etc/OpenCL/**",
    "/etc/vulkan/**",
    "/etc/openmpi/**",
};

constexpr Lines kResolver{
    "/etc/resolv.conf", "/etc/hosts",    "/etc/hostname", "/etc/nsswitch.conf", "/etc/host.conf",
    "/etc/gai.conf",    "/etc/services", "/etc/protocols", "/etc/passwd",       "/etc/group",
    "/run/systemd/resolve/*resolv.conf",
};

constexpr Lines kScratch{"$scratch/**"};

constexpr Lines kSelf{
    "/usr/bin/python3*",      "/usr/local/bin/python3*", "/opt/**/bin/python3*",
    "/venv/bin/python3*",     "/.venv/bin/python3*",     "$environment/bin/python3*",
};

constexpr Lines kShm{"/dev/shm/**"};

// /dev/fd and /dev/std* are links into /proc/self/fd, whose targets pipes and ptys are.
constexpr Lines kStdio{
    "/dev/null", "/dev/zero",   "/dev/full",  "/dev/random",      "/dev/urandom",
    "/dev/tty",  "/dev/ptmx",   "/dev/pts/**", "/dev/console",    "/dev/std*",
    "/dev/fd/**", "/proc/*/fd/*",
};

// Without environ, mem, root, cwd and the like: those of another process hold its keys.
constexpr Lines kSysInfo{
    "/proc",
    "/proc/*",
    "!/proc/k*",  // kcore, kmsg, key-users, kallsyms
    "/proc/pressure/**",
    "/proc/sys/**",
    "/proc/driver/**",
    "/proc/bus/pci/**",
    "/proc/net/**",
    "/proc/*/net/**",
    "/proc/*/task",
    "/proc/*/fd",
    "/proc/*/fdinfo/**",
    "/proc/*/stat*",
    "/proc/*/maps",
    "/proc/*/smaps*",
    "/proc/*/numa_maps",
    "/proc/*/cmdline",
    "/proc/*/comm",
    "/proc/*/cgroup",
    "/proc/*/cpuset",
    "/proc/*/mounts",
    "/proc/*/mountinfo",
    "/proc/*/limits",
    "/proc/*/io",
    "/proc/*/sched*",
    "/proc/*/oom_score*",
    "/proc/*/task/*",
    "/proc/*/task/*/stat*",
    "/proc/*/task/*/comm",
    "/proc/*/task/*/sched*",
    "/proc/*/task/*/children",
    "/sys/devices/**",
    "/sys/class/**",
    "/sys/bus/**",
    "/sys/block/**",
    "/sys/dev/**",
    "/sys/module/**",
    "/sys/hypervisor/**",
    "/sys/fs/cgroup/**",
    "/sys/kernel/mm/**",
    "/sys/kernel/iommu_groups/**",
    "/sys/firmware/devicetree/base/model",
    "/etc/os-release",
    "/etc/debian_version",
    "/etc/lsb-release",
    "/etc/redhat-release",
    "/etc/machine-id",
};

constexpr std::array kSets{
    NamedSet{"@app", "the server's own files: its working directory (unless that is /), /app, /srv, /code, /workspace",
             kApp, None},
    NamedSet{"@cpuinfo", "the program that describes the processor (joblib, py-cpuinfo)", kCpuInfo,
             None},
    NamedSet{"@find-library", "what Python's ctypes.util.find_library runs", kFindLibrary, None},
    NamedSet{"@gpu", "graphics devices: NVIDIA, AMD, DRI", kGpu, None},
    NamedSet{"@image", "the image's files: everywhere but models, scratch, /tmp, /dev, /proc, memory",
             kImage, None},
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
    NamedSet{"@resolver", "name look-ups: their files; for the network, port 53 and the name daemon",
             kResolver, QuietOnly},
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

std::span<const NamedSet> named_sets() { return kSets; }

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
