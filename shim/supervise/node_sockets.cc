#include "shim/supervise/node_sockets.h"

#include <sys/stat.h>

#include <array>

namespace moat::shim {

namespace {

// Where runtimes, the kubelet, and the node's own services listen. A folder above is looked through
// for all of them.
constexpr std::array<std::string_view, 22> kKnown{
    "/run/containerd/containerd.sock",
    "/run/containerd/containerd.sock.ttrpc",
    "/run/k3s/containerd/containerd.sock",
    "/run/docker.sock",
    "/run/docker/containerd/containerd.sock",
    "/run/cri-dockerd.sock",
    "/run/crio/crio.sock",
    "/run/podman/podman.sock",
    "/run/buildkit/buildkitd.sock",
    "/run/dbus/system_bus_socket",
    "/run/systemd/private",
    "/run/systemd/io.systemd.Manager",
    "/run/systemd/journal/io.systemd.journal",
    "/run/udev/control",
    "/run/libvirt/libvirt-sock",
    "/run/snapd.socket",
    "/run/spire/sockets/agent.sock",
    "/run/calico/felix-dataplane.sock",
    "/run/cilium/cilium.sock",
    "/var/lib/kubelet/device-plugins/kubelet.sock",
    "/var/lib/kubelet/pod-resources/kubelet.sock",
    "/var/lib/lxd/unix.socket",
};

bool is_socket(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode);
}

// "/run" is also "/var/run", through a symlink of the host.
std::string real(const std::string& path) {
  constexpr std::string_view kOld = "/var/run";
  const bool old = path == kOld || path.starts_with(std::string(kOld) + "/");
  return old ? path.substr(4) : path;
}

std::string found_in(const std::string& source) {
  if (is_socket(source)) return source;
  const std::string folder = real(source == "/" ? "" : source) + "/";
  for (const std::string_view known : kKnown)
    if (known.starts_with(folder) && is_socket(std::string(known))) return std::string(known);
  return {};
}

}  // namespace

std::vector<std::string> node_sockets_in(const oci::Spec& spec) {
  std::vector<std::string> notes;
  for (const oci::SpecMount& mount : spec.mounts()) {
    if (!mount.source.starts_with('/')) continue;
    if (const std::string found = found_in(mount.source); !found.empty())
      notes.push_back("the mount at " + mount.destination + " brings a socket of the node, " +
                      found + ": unix:* would allow it");
  }
  return notes;
}

}  // namespace moat::shim
