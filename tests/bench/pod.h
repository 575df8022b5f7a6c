// Pods of one container, driven the way containerd drives them: a bundle, the `start` action, calls
// over ttrpc, the `delete` action.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "oci/spawn.h"
#include "policies/result.h"
#include "shim/ttrpc/client.h"

namespace moat::bench {

// Where a run takes place. The environment has what containerd gives its shims.
struct World {
  std::string dir, ns;  // of a private containerd: its socket is dir/c
  std::string ctr;      // path of the program
  nlohmann::json spec;  // a container's configuration; its rootfs is dir/rootfs
  bool quick = false;
};

// A shim and the mode it is asked for.
struct Flavour {
  std::string runtime;  // as ctr names it
  std::string program;
  std::string service;  // which version of Task it serves
  std::string mode;     // moat.dev/mode; empty: no annotation
};

// Runs a program to its end; its output.
Result<std::string> output_of(oci::Command command);

// Up to the end of line, which is not part of it; bounded in time.
Result<std::string> read_line(int fd);

// A name no other pod of this run has.
std::string new_id(const World& world);

class Pod {
 public:
  // The bundle of a container that runs `arguments`, as containerd would leave it.
  static Result<std::unique_ptr<Pod>> make(const World& world, const Flavour& flavour,
                                           std::vector<std::string> arguments);
  ~Pod();  // whatever it takes
  Pod(const Pod&) = delete;
  Pod& operator=(const Pod&) = delete;

  Status start_shim();  // the action
  Status connect();
  Status delete_shim();  // the action
  Status shut_down();    // and waits until the shim is gone

  // A method of Task whose request needs no more than the ids.
  Status call(const char* method, const std::string& exec = {});
  Status create();
  // Before create(): its standard input and output are pipes of ours.
  Status open_streams();
  // A line to its standard input, and the line it answers with.
  Result<std::string> order(const std::string& line);
  Status kill(int signal);
  Status exec(const std::vector<std::string>& arguments);  // from Exec to Delete
  Result<pid_t> shim_pid();
  [[nodiscard]] const std::string& id() const { return id_; }

 private:
  Pod(const World& world, Flavour flavour) : world_(world), flavour_(std::move(flavour)) {}
  Result<std::string> rpc(const char* method, std::string payload);
  oci::Command action(const char* name) const;

  const World& world_;
  Flavour flavour_;
  std::string id_, bundle_, socket_;
  UniqueFd log_, input_, output_;
  std::unique_ptr<shim::ttrpc::BlockingClient> client_;
  int execs_ = 0;
};

// start action, connect, Create, Start.
Result<std::unique_ptr<Pod>> running_pod(const World& world, const Flavour& flavour,
                                         std::vector<std::string> arguments);

}  // namespace moat::bench
