// A ttrpc client on the loop. Connects when there is something to send, and again after a loss.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "oci/loop.h"
#include "policies/result.h"
#include "shim/ttrpc/connection.h"

namespace moat::shim::ttrpc {

struct Outgoing {
  std::string service, method, payload;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::chrono::milliseconds timeout{0};  // 0: none
};

std::string encode_request(const Outgoing& call);
Result<std::string> decode_response(std::string_view payload);

class Client {
 public:
  using Done = std::function<void(Result<std::string>)>;

  Client(oci::Loop& loop, std::string path) : loop_(loop), path_(std::move(path)) {}
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // `done` is called once, never from inside call(). Unavailable: no connection, or it was lost.
  void call(const Outgoing& call, Done done);

 private:
  struct Waiting {
    Done done;
    oci::Loop::TimerId deadline = 0;
  };
  Status connect();
  void on_frame(const Frame& frame);
  void finish(std::uint32_t stream, Result<std::string> answer);
  void lost();

  oci::Loop& loop_;
  std::string path_;
  std::shared_ptr<Connection> connection_;
  std::unordered_map<std::uint32_t, Waiting> waiting_;
  std::uint32_t next_stream_ = 1;
  std::uint64_t epoch_ = 0;  // of the connection: a late callback of an old one is not about ours
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// For tools and tests: connects, and blocks for each answer.
class BlockingClient {
 public:
  static Result<BlockingClient> connect(const std::string& path);
  Result<std::string> call(const Outgoing& call);  // a timeout of 0 becomes 10 s

 private:
  explicit BlockingClient(UniqueFd socket) : socket_(std::move(socket)) {}

  UniqueFd socket_;
  FrameReader reader_;
  std::uint32_t next_stream_ = 1;
};

}  // namespace moat::shim::ttrpc
