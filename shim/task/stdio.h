// A process's standard streams: pipes for the container, copied to and from what the client named.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "oci/fd.h"
#include "oci/loop.h"
#include "policies/result.h"
#include "shim/task/copier.h"

namespace moat::shim {

struct StdioPaths {
  std::string in, out, err;  // a path, fifo:// or file://; empty: /dev/null
  bool terminal = false;
};

struct StdioOwner {
  std::uint32_t uid = 0, gid = 0;
};

class Stdio {
 public:
  // Opens both sides; nothing blocks, also when the client has not opened its ends yet.
  static Result<std::unique_ptr<Stdio>> open(oci::Loop& loop, const StdioPaths& paths,
                                             StdioOwner owner);

  // What the runtime gets as 0, 1 and 2. Borrowed until started().
  [[nodiscard]] std::vector<std::pair<int, int>> child_fds() const;

  void started();         // the process has its ends: ours of them close, copying begins
  void close_stdin();     // its end of file comes when the client's end is closed, too
  void process_exited();  // nobody reads stdin any more

  // Calls `done` once everything written has been passed on, or after `bound`.
  void drain(std::chrono::milliseconds bound, std::function<void()> done);
  ~Stdio();

 private:
  explicit Stdio(oci::Loop& loop) : loop_(loop) {}
  Status open_input(const std::string& uri, StdioOwner owner);
  Status open_output(const std::string& uri, int number, StdioOwner owner);
  void check_drained();

  oci::Loop& loop_;
  UniqueFd child_[3];
  UniqueFd keep_alive_;  // our own writer of the stdin FIFO: a client that detaches is no EOF
  std::unique_ptr<Copier> in_;
  std::vector<std::unique_ptr<Copier>> outs_;
  oci::Loop::TimerId bound_ = 0;
  std::function<void()> drained_;
};

}  // namespace moat::shim
