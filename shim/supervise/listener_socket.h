// Where the runtime hands over seccomp listeners: one socket per container, in a folder only root
// can enter. Who connects must be root and a descendant of this shim.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "oci/loop.h"
#include "shim/supervise/process_state.h"

namespace moat::shim {

struct Handover {
  ProcessState state;
  pid_t runtime = 0;  // the process that handed it over
  UniqueFd listener;
};

class ListenerSocket {
 public:
  using Receive = std::function<void(Handover)>;
  using Complain = std::function<void(const std::string&)>;

  static Result<std::unique_ptr<ListenerSocket>> create(oci::Loop& loop, std::string path,
                                                        Receive receive, Complain complain);
  ~ListenerSocket();

 private:
  struct Connection {
    UniqueFd socket;
    pid_t peer = 0;
    std::string text;
    std::vector<UniqueFd> fds;
    oci::Loop::TimerId deadline = 0;
  };

  ListenerSocket(oci::Loop& loop, std::string path, Receive receive, Complain complain);
  void on_connect();
  void admit(UniqueFd socket);
  void on_readable(int key);
  void finish(Connection connection);
  void drop(int key);

  oci::Loop& loop_;
  std::string path_;
  Receive receive_;
  Complain complain_;
  UniqueFd socket_;
  std::map<int, Connection> connections_;
};

}  // namespace moat::shim
