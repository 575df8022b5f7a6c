#include "shim/task/stdio.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "oci/sys.h"
#include "shim/task/stdio_target.h"

namespace moat::shim {

namespace {

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

struct Sink {
  UniqueFd fd;
  bool unread = false;  // a FIFO that nobody reads yet
};

Result<Sink> open_sink(const StdioTarget& target) {
  const bool fifo = target.kind == StdioTarget::Kind::Fifo && is_fifo(target.path);
  // Whether somebody reads cannot be told once we hold a reading end ourselves. The probe stays
  // open until ours is: a reader that saw its last writer go would take that for the end.
  const UniqueFd probe(fifo ? ::open(target.path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC) : -1);
  // Read-write: the open waits for nobody, and a daemon that restarts breaks no pipe.
  auto fd = fifo ? oci::open_file(target.path, O_RDWR | O_NONBLOCK) : open_log_file(target.path);
  if (!fd) return fail(std::move(fd.error()));
  return Sink{std::move(*fd), fifo && !probe.valid()};
}

Status give(const UniqueFd& end, StdioOwner owner) {
  if (::fchown(end.raw(), owner.uid, owner.gid) == 0) return {};
  return fail_errno(errno, "handing a stream to the container's user");
}

Result<UniqueFd> duplicate(const UniqueFd& fd) {
  UniqueFd copy(::fcntl(fd.raw(), F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return fail_errno(errno, "console");
  return copy;
}

// Only our end: the container's shares its open file description with every process in it.
void set_nonblocking(const UniqueFd& fd) {
  ::fcntl(fd.raw(), F_SETFL, O_NONBLOCK);
}

}  // namespace

Result<std::unique_ptr<Stdio>> Stdio::open(const StdioPlace& place, const StdioPaths& paths) {
  std::unique_ptr<Stdio> stdio(new Stdio(place.process.loop));
  auto opened =
      paths.terminal ? stdio->open_terminal(place, paths) : stdio->open_streams(place, paths);
  if (!opened) return fail(std::move(opened.error()));
  if (paths.terminal) return stdio;
  for (UniqueFd& end : stdio->child_) {
    if (end.valid()) continue;
    auto null = oci::open_file("/dev/null", O_RDWR);
    if (!null) return fail(std::move(null.error()));
    end = std::move(*null);
  }
  return stdio;
}

// The scheme of stdout decides for both outputs: a program reads both, a file takes both.
Status Stdio::open_streams(const StdioPlace& place, const StdioPaths& paths) {
  const auto out = parse_stdio_target(paths.out);
  if (!out) return fail(out.error());
  if (out->kind == StdioTarget::Kind::Binary) return open_binary(place, *out);
  const bool file = out->kind == StdioTarget::Kind::File;
  auto opened = open_input(paths.in, place.owner);
  if (opened) opened = open_output(paths.out, 1, place.owner);
  if (opened) opened = open_output(file ? paths.out : paths.err, 2, place.owner);
  return opened;
}

Status Stdio::open_binary(const StdioPlace& place, const StdioTarget& target) {
  auto out = make_pipe();
  auto err = make_pipe();
  if (!out || !err) return fail(out ? std::move(err.error()) : std::move(out.error()));
  auto given = give(out->write, place.owner);
  if (given) given = give(err->write, place.owner);
  if (!given) return given;
  auto binary = LogBinary::start(place.process, target, out->read.raw(), err->read.raw());
  if (!binary) return fail(std::move(binary.error()));
  binary_ = std::move(*binary);
  child_[1] = std::move(out->write);
  child_[2] = std::move(err->write);
  return {};
}

Status Stdio::open_terminal(const StdioPlace& place, const StdioPaths& paths) {
  const auto out = parse_stdio_target(paths.out);
  if (!out) return fail(out.error());
  if (out->kind == StdioTarget::Kind::Binary) {
    auto opened = open_binary(place, *out);
    if (!opened) return opened;
    terminal_out_ = std::move(child_[1]);
    child_[2].reset();  // a terminal has one output
    set_nonblocking(terminal_out_);
  } else if (out->kind != StdioTarget::Kind::Null) {
    auto sink = open_sink(*out);
    if (!sink) return fail(std::move(sink.error()).in("stdout"));
    terminal_out_ = std::move(sink->fd);
    keep_unread_ = sink->unread;
  } else {
    auto null = oci::open_file("/dev/null", O_WRONLY);
    if (!null) return fail(std::move(null.error()));
    terminal_out_ = std::move(*null);
  }
  auto opened = open_input(paths.in, place.owner);
  if (!opened) return opened;
  auto console = Console::listen(place.bundle);
  if (!console) return fail(std::move(console.error()));
  console_.emplace(std::move(*console));
  return {};
}

Status Stdio::open_input(const std::string& uri, StdioOwner owner) {
  const auto target = parse_stdio_target(uri);
  if (!target) return fail(target.error());
  if (target->kind == StdioTarget::Kind::Null) return {};
  auto source = oci::open_file(target->path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!source) return fail(std::move(source.error()).in("stdin"));
  if (is_fifo(target->path)) {
    auto writer = oci::open_file(target->path, O_WRONLY | O_NONBLOCK);
    if (!writer) return fail(std::move(writer.error()).in("stdin"));
    keep_alive_ = std::move(*writer);
  }
  // A file, too, is copied: by way of /proc/self/fd the process could open it for writing.
  if (terminal_out_.valid()) {
    terminal_in_ = std::move(*source);
    return {};
  }
  auto pipe = make_pipe();
  if (!pipe) return fail(std::move(pipe.error()));
  auto given = give(pipe->read, owner);
  if (!given) return given;
  set_nonblocking(pipe->write);
  child_[0] = std::move(pipe->read);
  in_ = std::make_unique<Copier>(loop_, std::move(*source), std::move(pipe->write), false);
  return {};
}

Status Stdio::open_output(const std::string& uri, int number, StdioOwner owner) {
  const auto target = parse_stdio_target(uri);
  if (!target) return fail(target.error());
  if (target->kind == StdioTarget::Kind::Null) return {};
  auto sink = open_sink(*target);
  if (!sink) return fail(std::move(sink.error()).in(number == 1 ? "stdout" : "stderr"));
  auto pipe = make_pipe();
  if (!pipe) return fail(std::move(pipe.error()));
  auto given = give(pipe->write, owner);
  if (!given) return given;
  set_nonblocking(pipe->read);
  child_[number] = std::move(pipe->write);
  outs_.push_back(
      std::make_unique<Copier>(loop_, std::move(pipe->read), std::move(sink->fd), sink->unread));
  return {};
}

void Stdio::when_ready(std::function<void(Status)> done) {
  if (!binary_) return done({});
  binary_->when_ready(std::move(done));
}

std::vector<std::pair<int, int>> Stdio::child_fds() const {
  if (console_) return {};
  return {{child_[0].raw(), 0}, {child_[1].raw(), 1}, {child_[2].raw(), 2}};
}

std::string Stdio::console_socket() const {
  return console_ ? console_->socket_name() : std::string();
}

Status Stdio::started() {
  for (UniqueFd& end : child_) end.reset();
  if (console_) {
    auto used = use_terminal();
    if (!used) return used;
  }
  if (in_) in_->start([] {});
  for (auto& out : outs_) out->start([this] { check_drained(); });
  return {};
}

Status Stdio::use_terminal() {
  auto master = console_->take();
  console_.reset();
  if (!master) return fail(std::move(master.error()));
  auto output = duplicate(*master);
  if (!output) return fail(std::move(output.error()));
  outs_.push_back(
      std::make_unique<Copier>(loop_, std::move(*output), std::move(terminal_out_), keep_unread_));
  outs_.back()->avoid_splice();
  if (terminal_in_.valid()) {
    auto input = duplicate(*master);
    if (!input) return fail(std::move(input.error()));
    in_ = std::make_unique<Copier>(loop_, std::move(terminal_in_), std::move(*input), false);
    in_->avoid_splice();
  }
  master_ = std::move(*master);
  return {};
}

Status Stdio::resize(WindowSize size) {
  return master_.valid() ? set_window_size(master_.raw(), size) : Status();
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
    if (binary_) binary_->stop();
    binary_.reset();
    check_drained();
  });
  if (binary_ && !binary_->gone()) return binary_->when_gone([this] { check_drained(); });
  check_drained();
}

void Stdio::check_drained() {
  for (const auto& out : outs_)
    if (!out->finished()) return;
  if (binary_ && !binary_->gone()) return;
  loop_.cancel(std::exchange(bound_, 0));
  if (const auto done = std::exchange(drained_, nullptr)) done();
}

Stdio::~Stdio() {
  loop_.cancel(bound_);
  if (binary_) binary_->stop();
}

}  // namespace moat::shim
