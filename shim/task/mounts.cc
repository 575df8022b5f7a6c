#include "shim/task/mounts.h"

#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "oci/spawn.h"
#include "oci/sys.h"

namespace moat::shim {

namespace {

constexpr int kBusyTries = 50;
constexpr useconds_t kBusyPause = 50000;
constexpr std::chrono::milliseconds kHelperDeadline{30000};

// mountinfo writes space, tab, newline and backslash as three octal digits.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                      (text[i + 3] - '0')));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::string_view field(std::string_view line, int number) {
  for (; number > 0; --number) line.remove_prefix(std::min(line.size(), line.find(' ') + 1));
  return line.substr(0, line.find(' '));
}

Status unmount_one(const std::string& path) {
  for (int tries = kBusyTries;; --tries) {
    if (::umount2(path.c_str(), UMOUNT_NOFOLLOW) == 0) return {};
    if (errno == EINVAL || errno == ENOENT) return {};  // not mounted: somebody was faster
    if (errno != EBUSY || tries == 0) return fail_errno(errno, "unmount " + path);
    ::usleep(kBusyPause);
  }
}

}  // namespace

Status mount_rootfs(const std::string& rootfs, const std::vector<RootfsMount>& mounts) {
  for (const RootfsMount& mount : mounts) {
    auto mounted = mount_one(rootfs, mount);
    if (mounted) continue;
    (void)unmount_tree(rootfs);
    return fail(std::move(mounted.error()).in("failed to mount rootfs component"));
  }
  return {};
}

std::string to_json(const std::vector<RootfsMount>& mounts) {
  auto list = nlohmann::json::array();
  for (const RootfsMount& mount : mounts)
    list.push_back({{"type", mount.type},
                    {"source", mount.source},
                    {"target", mount.target},
                    {"options", mount.options}});
  return list.dump();
}

Result<std::vector<RootfsMount>> mounts_of_json(const std::string& text) {
  const auto list = nlohmann::json::parse(text, nullptr, false);
  if (!list.is_array()) return fail(Code::InvalidArgument, "expected a list of mounts on stdin");
  std::vector<RootfsMount> mounts;
  for (const auto& mount : list)
    mounts.push_back({mount.value("type", ""), mount.value("source", ""), mount.value("target", ""),
                      mount.value("options", std::vector<std::string>())});
  return mounts;
}

std::vector<std::string> mount_points_under(std::string_view mountinfo, const std::string& folder) {
  std::vector<std::string> points;
  while (!mountinfo.empty()) {
    const std::string_view line = mountinfo.substr(0, mountinfo.find('\n'));
    mountinfo.remove_prefix(std::min(mountinfo.size(), line.size() + 1));
    std::string point = unescape(field(line, 4));
    if (point == folder || point.starts_with(folder + "/")) points.push_back(std::move(point));
  }
  return points;
}

Status unmount_tree(const std::string& folder) {
  auto mountinfo = oci::read_file("/proc/self/mountinfo", 64U << 20);
  if (!mountinfo) return fail(std::move(mountinfo.error()));
  // The table is in the order of mounting: what was mounted last goes first.
  auto points = mount_points_under(*mountinfo, folder);
  for (auto point = points.rbegin(); point != points.rend(); ++point) {
    auto unmounted = unmount_one(*point);
    if (!unmounted) return unmounted;
  }
  return {};
}

namespace {

// This program in another of its roles, with something to do that may take long.
struct Helper {
  std::vector<std::string> words;
  std::string input;
  std::string hangs;  // the error's text when it does
};

void run_helper(oci::Loop& loop, Helper helper, std::function<void(Status)> done) {
  oci::Command command;
  command.path = "/proc/self/exe";
  command.argv = {"containerd-shim-moat-v2"};
  command.argv.insert(command.argv.end(), helper.words.begin(), helper.words.end());
  oci::run(
      loop, std::move(command), std::move(helper.input), kHelperDeadline,
      [hangs = std::move(helper.hangs), done = std::move(done)](Result<oci::RunResult> result) {
        if (!result) return done(fail(std::move(result.error())));
        if (result->timed_out) return done(fail(Code::DeadlineExceeded, hangs));
        if (result->exit.status == 0) return done({});
        done(fail(Code::Unknown, std::move(result->output)));
      });
}

}  // namespace

void mount_rootfs_async(oci::Loop& loop, const std::string& rootfs,
                        const std::vector<RootfsMount>& mounts, std::function<void(Status)> done) {
  if (std::ranges::none_of(mounts, takes_time)) return done(mount_rootfs(rootfs, mounts));
  run_helper(loop, {{"mount", rootfs}, to_json(mounts), "mounting " + rootfs + " hangs"},
             std::move(done));
}

void unmount_tree_async(oci::Loop& loop, const std::string& folder,
                        std::function<void(Status)> done) {
  run_helper(loop, {{"unmount", folder}, "", "unmounting " + folder + " hangs"}, std::move(done));
}

}  // namespace moat::shim
