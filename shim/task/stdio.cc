#include "shim/task/stdio.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "oci/sys.h"

namespace moat::shim {

namespace {

struct Target {
  bool file = false;  // file://, made if missing
  std::string path;
};

Result<Target> parse_uri(const std::string& uri) {
  const std::size_t colon = uri.find("://");
  if (colon == std::string::npos) return Target{false, uri};
  const std::string scheme = uri.substr(0, colon);
  if (scheme == "fifo") return Target{false, uri.substr(colon + 3)};
  if (scheme == "file") return Target{true, uri.substr(colon + 3)};
  if (scheme == "binary" || scheme == "binary-v2")
    return fail(Code::Unimplemented, "STDIO scheme " + scheme + " is not supported yet");
  return fail(Code::Unknown, "unknown STDIO scheme " + scheme);
}

bool is_fifo(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISFIFO(status.st_mode);
}

Result<UniqueFd> open_log_file(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash != std::string::npos && slash > 0) {
    auto made = oci::make_dirs(path.substr(0, slash), 0755);
    if (!made) return fail(std::move(made.error()));
  }
  return oci::open_file(path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY, 0644);
}

struct Pipe {
  UniqueFd read, write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// Only our end: the container's shares its open file description with every process in it.
void set_nonblocking(const UniqueFd& fd) {
  ::fcntl(fd.raw(), F_SETFL, O_NONBLOCK);
}

}  // namespace

Result<std::unique_ptr<Stdio>> Stdio::open(oci::Loop& loop, const StdioPaths& paths,
                                           StdioOwner owner) {
  std::unique_ptr<Stdio> stdio(new Stdio(loop));
  auto opened = stdio->open_input(paths.in, owner);
  if (opened) opened = stdio->open_output(paths.out, 1, owner);
  if (opened) opened = stdio->open_output(paths.err, 2, owner);
  if (!opened) return fail(std::move(opened.error()));
  for (UniqueFd& end : stdio->child_) {
    if (end.valid()) continue;
    auto null = oci::open_file("/dev/null", O_RDWR);
    if (!null) return fail(std::move(null.error()));
    end = std::move(*null);
  }
  return stdio;
}

Status Stdio::open_input(const std::string& uri, StdioOwner owner) {
  if (uri.empty()) return {};
  const auto target = parse_uri(uri);
  if (!target) return fail(target.error());
  auto source = oci::open_file(target->path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!source) return fail(std::move(source.error()).in("stdin"));
  if (is_fifo(target->path)) {
    auto writer = oci::open_file(target->path, O_WRONLY | O_NONBLOCK);
    if (!writer) return fail(std::move(writer.error()).in("stdin"));
    keep_alive_ = std::move(*writer);
  } else {
    child_[0] = std::move(*source);  // a file is its own pipe: read by the process directly
    return {};
  }
  auto pipe = make_pipe();
  if (!pipe) return fail(std::move(pipe.error()));
  if (::fchown(pipe->read.raw(), owner.uid, owner.gid) != 0) return fail_errno(errno, "stdin");
  set_nonblocking(pipe->write);
  child_[0] = std::move(pipe->read);
  in_ = std::make_unique<Copier>(loop_, std::move(*source), std::move(pipe->write), false);
  return {};
}

Status Stdio::open_output(const std::string& uri, int number, StdioOwner owner) {
  if (uri.empty()) return {};
  const std::string name = number == 1 ? "stdout" : "stderr";
  const auto target = parse_uri(uri);
  if (!target) return fail(target.error());
  const bool fifo = !target->file && is_fifo(target->path);
  // Whether somebody reads cannot be told once we hold a reading end ourselves. The probe stays
  // open until ours is: a reader that saw its last writer go would take that for the end.
  const UniqueFd probe(fifo ? ::open(target->path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC) : -1);
  // Read-write: the open waits for nobody, and a daemon that restarts breaks no pipe.
  auto sink =
      fifo ? oci::open_file(target->path, O_RDWR | O_NONBLOCK) : open_log_file(target->path);
  if (!sink) return fail(std::move(sink.error()).in(name));
  auto pipe = make_pipe();
  if (!pipe) return fail(std::move(pipe.error()));
  if (::fchown(pipe->write.raw(), owner.uid, owner.gid) != 0) return fail_errno(errno, name);
  set_nonblocking(pipe->read);
  child_[number] = std::move(pipe->write);
  outs_.push_back(std::make_unique<Copier>(loop_, std::move(pipe->read), std::move(*sink),
                                           fifo && !probe.valid()));
  return {};
}

std::vector<std::pair<int, int>> Stdio::child_fds() const {
  return {{child_[0].raw(), 0}, {child_[1].raw(), 1}, {child_[2].raw(), 2}};
}

void Stdio::started() {
  for (UniqueFd& end : child_) end.reset();
  if (in_) in_->start([] {});
  for (auto& out : outs_) out->start([this] { check_drained(); });
}

void Stdio::close_stdin() {
  keep_alive_.reset();
}

void Stdio::process_exited() {
  keep_alive_.reset();
  in_.reset();
}

void Stdio::drain(std::chrono::milliseconds bound, std::function<void()> done) {
  drained_ = std::move(done);
  bound_ = loop_.after(bound, [this] {
    for (auto& out : outs_) out->close();
    check_drained();
  });
  check_drained();
}

void Stdio::check_drained() {
  for (const auto& out : outs_)
    if (!out->finished()) return;
  loop_.cancel(std::exchange(bound_, 0));
  if (const auto done = std::exchange(drained_, nullptr)) done();
}

Stdio::~Stdio() {
  loop_.cancel(bound_);
}

}  // namespace moat::shim
