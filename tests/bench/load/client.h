// A client that asks an exact number of times: what is counted per request needs no less, and tools
// that ask for so long cannot say it.
#pragma once

#include <cstdint>
#include <string>

#include "policies/result.h"
#include "tests/bench/samples.h"

namespace moat::bench {

struct Load {
  std::uint16_t port = 8080;  // of 127.0.0.1
  std::string path = "/";
  std::string body;  // empty: GET, otherwise POST
  long requests = 1;
  int connections = 1;  // at a time
  bool keep_alive = false;
};

struct Answers {
  Samples took;  // microseconds each, a new connection included where there is one
  double seconds = 0;
  long failed = 0;  // not answered with 200
};

Answers ask(const Load& load);

// The same in another network: `netns` is a file of one.
Result<Answers> ask_in(const std::string& netns, const Load& load);

}  // namespace moat::bench
