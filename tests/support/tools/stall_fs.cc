// A file system of one file whose pages come when they are let through, as behind a broken network:
//
//   stall_fs FOLDER     mounts it; /pages is read in vain until SIGUSR1, and so again from SIGUSR2
//   on
//
// The file's every page is the path "/tmp/late".
#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr std::uint64_t kFile = 2;
constexpr std::uint64_t kSize = 1U << 20;
constexpr auto kText = "/tmp/late";

int device = -1;
std::vector<fuse_in_header> waiting;  // reads
std::vector<fuse_read_in> wanted;
volatile sig_atomic_t let_through = 0;

void answer(std::uint64_t unique, int err, const void* data, std::size_t size) {
  fuse_out_header header{};
  header.len = static_cast<std::uint32_t>(sizeof header + size);
  header.error = -err;
  header.unique = unique;
  std::string packet(reinterpret_cast<const char*>(&header), sizeof header);
  packet.append(static_cast<const char*>(data), size);
  (void)!::write(device, packet.data(), packet.size());
}

template <class T>
void answer(const fuse_in_header& in, const T& data) {
  answer(in.unique, 0, &data, sizeof data);
}

fuse_attr attributes(std::uint64_t node) {
  fuse_attr attr{};
  attr.ino = node;
  attr.mode = node == kFile ? S_IFREG | 0644 : S_IFDIR | 0755;
  attr.size = node == kFile ? kSize : 0;
  attr.nlink = 1;
  return attr;
}

void pages(const fuse_in_header& in, const fuse_read_in& read) {
  std::string data(
      read.offset < kSize ? std::min<std::uint64_t>(read.size, kSize - read.offset) : 0, '\0');
  for (std::size_t at = 0; at + 4096 <= data.size(); at += 4096)
    std::strcpy(data.data() + at, kText);
  answer(in.unique, 0, data.data(), data.size());
}

void serve(const fuse_in_header& in, const char* body) {
  switch (in.opcode) {
    case FUSE_INIT: {
      fuse_init_out out{};
      out.major = FUSE_KERNEL_VERSION;
      out.minor = 31;
      out.max_write = 1U << 16;
      answer(in, out);
      return;
    }
    case FUSE_LOOKUP: {
      if (std::strcmp(body, "pages") != 0) return answer(in.unique, ENOENT, nullptr, 0);
      fuse_entry_out out{};
      out.nodeid = kFile;
      out.attr_valid = out.entry_valid = 3600;
      out.attr = attributes(kFile);
      answer(in, out);
      return;
    }
    case FUSE_GETATTR: {
      fuse_attr_out out{};
      out.attr_valid = 3600;
      out.attr = attributes(in.nodeid);
      answer(in, out);
      return;
    }
    case FUSE_OPEN:
    case FUSE_OPENDIR:
      answer(in, fuse_open_out{});
      return;
    case FUSE_READ: {
      fuse_read_in read{};
      std::memcpy(&read, body, sizeof read);
      if (let_through != 0) return pages(in, read);
      waiting.push_back(in);
      wanted.push_back(read);
      return;
    }
    case FUSE_STATFS:
      answer(in, fuse_statfs_out{});
      return;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
      return;  // no answer
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
    case FUSE_FLUSH:
    case FUSE_DESTROY:
      answer(in.unique, 0, nullptr, 0);
      return;
    default:
      answer(in.unique, ENOSYS, nullptr, 0);
  }
}

bool mounted(const char* folder) {
  device = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
  const std::string options =
      "fd=" + std::to_string(device) + ",rootmode=40000,user_id=0,group_id=0,allow_other";
  return device >= 0 && ::mount("moat-stall", folder, "fuse", 0, options.c_str()) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || !mounted(argv[1])) {
    std::perror("stall_fs");
    return 1;
  }
  // Without SA_RESTART: a read of the device ends, and what waits is looked at.
  struct sigaction action {};
  action.sa_handler = [](int signal) { let_through = signal == SIGUSR1 ? 1 : 0; };
  ::sigaction(SIGUSR1, &action, nullptr);
  ::sigaction(SIGUSR2, &action, nullptr);
  std::vector<char> buffer((1U << 20) + 1);
  for (;;) {
    const ssize_t n = ::read(device, buffer.data(), buffer.size() - 1);
    if (n < 0 && errno != EINTR && errno != ENOENT) return 0;  // it was unmounted
    if (let_through != 0) {
      for (std::size_t i = 0; i < waiting.size(); ++i) pages(waiting[i], wanted[i]);
      waiting.clear();
      wanted.clear();
    }
    if (n < static_cast<ssize_t>(sizeof(fuse_in_header))) continue;
    fuse_in_header in{};
    std::memcpy(&in, buffer.data(), sizeof in);
    buffer[static_cast<std::size_t>(n)] = '\0';
    serve(in, buffer.data() + sizeof in);
  }
}
