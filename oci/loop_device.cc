#include "oci/loop_device.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>

#include "oci/sys.h"

namespace moat::oci {

namespace {
constexpr int kTries = 64;  // others take free devices, too: between the asking and the taking
}

Result<LoopDevice> attach_loop(const std::string& file, LoopOptions options) {
  const int mode = options.read_only ? O_RDONLY : O_RDWR;
  const auto backing = open_file(file, mode);
  if (!backing) return fail(Error(backing.error()).in("loop device"));
  const auto control = open_file("/dev/loop-control", O_RDWR);
  if (!control) return fail(Error(control.error()).in("loop device"));
  loop_config config{};
  config.fd = static_cast<std::uint32_t>(backing->raw());
  config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
  if (options.read_only) config.info.lo_flags |= LO_FLAGS_READ_ONLY;
  if (options.direct_io) config.info.lo_flags |= LO_FLAGS_DIRECT_IO;
  // Shown by tools only, and cut to fit.
  std::strncpy(reinterpret_cast<char*>(config.info.lo_file_name), file.c_str(), LO_NAME_SIZE - 1);
  for (int i = 0; i < kTries; ++i) {
    const int number = ::ioctl(control->raw(), LOOP_CTL_GET_FREE);
    if (number < 0) return fail_errno(errno, "loop device: none is free");
    std::string path = "/dev/loop" + std::to_string(number);
    auto device = open_file(path, mode);
    if (!device) return fail(std::move(device.error()).in("loop device"));
    if (::ioctl(device->raw(), LOOP_CONFIGURE, &config) == 0)
      return LoopDevice{std::move(*device), std::move(path)};
    if (errno != EBUSY) return fail_errno(errno, "loop device " + path + " for " + file);
  }
  return fail(Code::Unavailable, "loop device: every free one was taken by others");
}

}  // namespace moat::oci
