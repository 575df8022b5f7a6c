// A ttrpc client for tests that must see the wire as it is: several calls at once, answers with the
// code that was sent, and frames no client would write.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "oci/fd.h"
#include "policies/result.h"
#include "shim/ttrpc/frame.h"

namespace moat::tests {

struct Reply {
  std::uint32_t stream = 0;
  int type = 0, flags = 0;
  int code = 0;  // as on the wire; -1: the payload is no ttrpc response
  std::string message, payload;
  bool has_status = false;
};

// "NotFound" for 5.
std::string name_of_code(int code);

class ScriptClient {
 public:
  static Result<ScriptClient> connect(const std::string& path);

  struct Request {
    std::string service, method, payload;
    std::chrono::milliseconds timeout{0};  // sent to the server; 0: none
  };
  Result<std::uint32_t> send(const Request& request);

  // `stream` 0 becomes the next one of this client.
  Status send_raw(std::uint32_t stream, std::uint8_t type, std::string_view payload);

  // The answer to a stream, or to any (0), within `patience`.
  Result<Reply> await(std::uint32_t stream, std::chrono::milliseconds patience);

 private:
  explicit ScriptClient(UniqueFd socket) : socket_(std::move(socket)) {}
  Status write(std::string_view bytes);

  UniqueFd socket_;
  shim::ttrpc::FrameReader reader_;
  std::uint32_t next_stream_ = 1;
  std::multimap<std::uint32_t, Reply> early_;
};

}  // namespace moat::tests
