// Asks an HTTP server of this network so many times, and says how that went.
//
//   http_load PORT PATH REQUESTS CONNECTIONS [keep-alive]
//
// Prints "REQUESTS answered, P50 us, p99 P99 us, RATE/s". Exit 1 when one was not answered with
// 200.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/bench/load/client.h"

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fputs("usage: http_load PORT PATH REQUESTS CONNECTIONS [keep-alive]\n", stderr);
    return 2;
  }
  moat::bench::Load load;
  load.port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  load.path = argv[2];
  load.requests = std::atol(argv[3]);
  load.connections = std::atoi(argv[4]);
  load.keep_alive = argc > 5 && argv[5] == std::string("keep-alive");
  if (load.connections < 1) load.connections = 1;
  const auto answers = moat::bench::ask(load);
  std::printf("%zu answered, %.0f us, p99 %.0f us, %.0f/s\n", answers.took.values().size(),
              answers.took.median(), answers.took.percentile(99),
              static_cast<double>(answers.took.values().size()) / answers.seconds);
  return answers.failed == 0 ? 0 : 1;
}
