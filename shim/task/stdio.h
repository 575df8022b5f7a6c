// A process's standard streams: pipes or a terminal for the container, copied to and from what the
// client named, or read by a logging program.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "oci/fd.h"
#include "oci/loop.h"
#include "policies/result.h"
#include "shim/task/console.h"
#include "shim/task/copier.h"
#include "shim/task/log_binary.h"

namespace moat::shim {

struct StdioPaths {
  std::string in, out, err;  // URIs, see stdio_target.h; empty: /dev/null
  bool terminal = false;
};

struct StdioOwner {
  std::uint32_t uid = 0, gid = 0;
};

// Whose streams they are.
struct StdioPlace {
  LogBinary::Place process;
  std::string bundle;
  StdioOwner owner;
};

class Stdio {
 public:
  // Opens both sides; nothing blocks, also when the client has not opened its ends yet.
  static Result<std::unique_ptr<Stdio>> open(const StdioPlace& place, const StdioPaths& paths);

  // `done` is called once the process may start: a logging program must be reading by then.
  void when_ready(std::function<void(Status)> done);

  // What the runtime gets as 0, 1 and 2. Borrowed until started(); none with a terminal.
  [[nodiscard]] std::vector<std::pair<int, int>> child_fds() const;
  // The socket the runtime sends the terminal to, named from within the bundle; empty: none.
  [[nodiscard]] std::string console_socket() const;

  Status started();                // the process has its ends: ours of them close, copying begins
  void close_stdin();              // its end of file comes when the client's end is closed, too
  void process_exited();           // nobody reads stdin any more
  Status resize(WindowSize size);  // without a terminal: nothing to do

  // Calls `done` once everything written has been passed on, or after `bound`.
  void drain(std::chrono::milliseconds bound, std::function<void()> done);
  ~Stdio();

 private:
  explicit Stdio(oci::Loop& loop) : loop_(loop) {}
  Status open_terminal(const StdioPlace& place, const StdioPaths& paths);
  Status open_binary(const StdioPlace& place, const StdioTarget& target);
  Status open_streams(const StdioPlace& place, const StdioPaths& paths);
  Status open_input(const std::string& uri, StdioOwner owner);
  Status open_output(const std::string& uri, int number, StdioOwner owner);
  Status use_terminal();
  void check_drained();

  oci::Loop& loop_;
  UniqueFd child_[3];
  UniqueFd keep_alive_;  // our own writer of the stdin FIFO: a client that detaches is no EOF
  std::unique_ptr<Copier> in_;
  std::vector<std::unique_ptr<Copier>> outs_;
  std::shared_ptr<LogBinary> binary_;
  std::optional<Console> console_;       // until the terminal has come
  UniqueFd terminal_in_, terminal_out_;  // the client's sides of a terminal yet to come
  bool keep_unread_ = false;             // see Copier; of terminal_out_
  UniqueFd master_;
  oci::Loop::TimerId bound_ = 0;
  std::function<void()> drained_;
};

}  // namespace moat::shim
