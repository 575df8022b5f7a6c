// What each named set stands for, in the language of sets.h. Included by sets.cc only.
#pragma once

#include <string_view>

namespace moat::policies::contents {

using Lines = std::string_view[];

inline constexpr Lines kApp{"$cwd/**",  "/app/**",       "/srv/**",
                            "/code/**", "/workspace/**", "/usr/src/**"};

inline constexpr Lines kCpuInfo{"/usr/bin/lscpu", "/bin/lscpu"};

inline constexpr Lines kFindLibrary{
    "/sbin/ldconfig*", "/usr/sbin/ldconfig*", "/usr/bin/ldconfig", "/usr/bin/*gcc*",
    "/usr/bin/cc",     "/usr/bin/*ld",        "/usr/bin/*ld.*",    "/usr/bin/*objdump",
    "/usr/lib/gcc/**", "/usr/libexec/gcc/**"};

inline constexpr Lines kGpu{
    "/dev/nvidia*", "/dev/nvidia-caps/**", "/dev/nvidia-caps-imex-channels/**",
    "/dev/kfd",     "/dev/dri/**",         "/dev/dxg"};

// Programs and libraries where images keep them. Whoever may execute a file may read it, so this is
// no place for "/**"; and what lies in a model or a scratch place is not the image's.
inline constexpr Lines kImage{"/bin/**",
                              "/sbin/**",
                              "/lib/**",
                              "/lib32/**",
                              "/lib64/**",
                              "/usr/bin/**",
                              "/usr/sbin/**",
                              "/usr/lib/**",
                              "/usr/lib32/**",
                              "/usr/lib64/**",
                              "/usr/libexec/**",
                              "/usr/games/**",
                              "/usr/local/bin/**",
                              "/usr/local/sbin/**",
                              "/usr/local/lib/**",
                              "/usr/local/lib64/**",
                              "/usr/local/libexec/**",
                              "/usr/local/cuda*/**",
                              "/usr/local/nvidia/**",
                              "/usr/share/**",
                              "/*.sh",
                              "/*entrypoint*",
                              "/*init",
                              "/tini*",
                              "/opt/**",
                              "!$models/**",
                              "!$scratch/**",
                              "/venv/**",
                              "/.venv/**",
                              "$environment/**",
                              "~/.venv*/**",
                              "~/.pyenv/**",
                              "~/.local/bin/*",
                              "~/.local/lib/python3*/**",
                              "!$models/**",
                              "!$scratch/**",
                              "/app/**",
                              "!$models/**",
                              "!$scratch/**",
                              "$cwd/**",
                              "!$models/**",
                              "!$scratch/**"};

// How /proc/PID/maps would name memory without a file.
inline constexpr Lines kJit{"/anon:*"};

inline constexpr Lines kJitCompilers{
    "/usr/bin/*gcc*", "/usr/bin/*g++*", "/usr/bin/cc", "/usr/bin/c++", "/usr/bin/*-as",
    "/usr/bin/as", "/usr/bin/*ld", "/usr/bin/*ld.*", "/usr/bin/clang*", "/usr/bin/*objdump",
    "/usr/bin/*c++filt", "/usr/bin/ninja", "/usr/bin/cmake", "/usr/sbin/ldconfig*",
    "/sbin/ldconfig*", "/usr/lib/gcc/**", "/usr/libexec/gcc/**", "/usr/lib/llvm*/bin/*",
    "/usr/local/bin/ninja", "/usr/local/bin/cmake", "/usr/local/cuda*/bin/*",
    "/usr/local/cuda*/nvvm/bin/*",
    // Triton brings its own assembler in its wheel.
    "/usr/local/lib/python3*/**/bin/ptxas*", "/opt/**/bin/ptxas*", "$environment/**/bin/ptxas*",
    "$environment/bin/ninja"};

inline constexpr Lines kLocale{
    "/usr/lib/locale/**", "/usr/share/locale/**", "/usr/share/i18n/**",  "/usr/share/zoneinfo/**",
    "/etc/locale.alias",  "/etc/locale.conf",     "/etc/default/locale", "/etc/localtime",
    "/etc/timezone",      "/usr/lib/*/gconv/**"};

inline constexpr Lines kModels{"$models/**"};

inline constexpr Lines kPlatform{"/usr/bin/uname", "/bin/uname", "/usr/bin/file", "/usr/bin/arch"};

// What threads and servers write about themselves. The path of an event is /proc/<pid>, that of a
// call /proc/self.
inline constexpr Lines kProcSelf{"/proc/*/comm", "/proc/*/task/*/comm", "/proc/*/oom_score_adj",
                                 "/proc/*/coredump_filter", "/proc/*/timerslack_ns"};

// Narrow where keys live: of /etc only what the interpreter and its libraries read.
inline constexpr Lines kPython{"/usr/lib/**",
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
                               "~/.venv*/**",
                               "~/.pyenv/**",
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
                               "/etc/openmpi/**"};

inline constexpr Lines kResolver{"/etc/resolv.conf",
                                 "/etc/hosts",
                                 "/etc/hostname",
                                 "/etc/nsswitch.conf",
                                 "/etc/host.conf",
                                 "/etc/gai.conf",
                                 "/etc/services",
                                 "/etc/protocols",
                                 "/etc/passwd",
                                 "/etc/group",
                                 "/run/systemd/resolve/*resolv.conf"};

inline constexpr Lines kScratch{"$scratch/**"};

inline constexpr Lines kSelf{"/usr/bin/python3*",    "/usr/local/bin/python3*",
                             "/opt/**/bin/python3*", "/venv/bin/python3*",
                             "/.venv/bin/python3*",  "$environment/bin/python3*"};

inline constexpr Lines kShm{"/dev/shm/**"};

// /dev/fd and /dev/std* are links into /proc/self/fd, whose targets pipes and ptys are. Not those
// of others: what a session reads is its own. The first process's are where images send their logs.
inline constexpr Lines kStdio{"/dev/null",
                              "/dev/zero",
                              "/dev/full",
                              "/dev/random",
                              "/dev/urandom",
                              "/dev/tty",
                              "/dev/ptmx",
                              "/dev/pts/**",
                              "/dev/console",
                              "/dev/std*",
                              "/dev/fd/*",
                              "/proc/self/fd/*",
                              "/proc/thread-self/fd/*",
                              "/proc/1/fd/1",
                              "/proc/1/fd/2"};

// Without environ, mem, root, cwd and the like: those of another process hold its keys.
inline constexpr Lines kSysInfo{"/proc",
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
                                "/etc/machine-id"};

}  // namespace moat::policies::contents
