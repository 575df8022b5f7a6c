#include "tests/bench/cost/worker.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace moat::bench {

namespace {

constexpr int kNoProtocol = 99;  // no socket is made, so that nothing but the question is timed

// Whether it was let go on to the kernel, which then refuses it.
bool allowed() {
  return ::socket(AF_UNIX, SOCK_STREAM, kNoProtocol) < 0 && errno == EPROTONOSUPPORT;
}

constexpr const char* kArtifact = "/models/model.bin";
constexpr const char* kImageFile = "/usr/lib/small.so";
constexpr const char* kScratchFile = "/tmp/bench";
constexpr std::uint16_t kPort = 8080;
constexpr long kLongWait = 1'000'000;  // nanoseconds: no answer of a supervisor that lives
constexpr std::size_t kMostWaits = 200;

long now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

long timed(long count, const std::function<void()>& call) {
  const long before = now_ns();
  for (long i = 0; i < count; ++i) call();
  return now_ns() - before;
}

void opened(const char* path, int flags) {
  const int fd = ::open(path, flags | O_CLOEXEC, 0600);
  if (fd < 0) {
    std::fprintf(stderr, "bench_worker: %s: %s\n", path, std::strerror(errno));
    ::_exit(3);
  }
  ::close(fd);
}

sockaddr_in own_address() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kPort);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int listener = -1;

bool load() {
  std::array<char, 64> bytes{};
  const int artifact = ::open(kArtifact, O_RDONLY | O_CLOEXEC);
  if (artifact < 0 || ::read(artifact, bytes.data(), bytes.size()) < 0) return false;
  ::close(artifact);
  const sockaddr_in address = own_address();
  listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return ::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
         ::listen(listener, 16) == 0;
}

// Reset rather than closed: no connection waits for its end, and ports do not run out.
long connected(long count) {
  const sockaddr_in address = own_address();
  const linger hard{1, 0};
  long total = 0;
  for (long i = 0; i < count; ++i) {
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ::setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    const long before = now_ns();
    const int result =
        ::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    total += now_ns() - before;
    if (result != 0) return -errno;
    const int server = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    ::close(client);
    ::close(server);
  }
  return total;
}

// The calls that succeeded after a wait: when each was answered.
using Waits = std::vector<long>;

Waits waits(long milliseconds) {
  Waits answered;
  const long end = now_ns() + milliseconds * 1'000'000;
  for (long before = now_ns(); before < end;) {
    const bool done = allowed();
    const long after = now_ns();
    if (done && after - before > kLongWait && answered.size() < kMostWaits)
      answered.push_back(after);
    before = after;
  }
  return answered;
}

std::string all_waits(long milliseconds, long threads) {
  std::vector<Waits> found(static_cast<std::size_t>(threads));
  std::vector<std::thread> running;
  for (Waits& one : found)
    running.emplace_back([&one, milliseconds] { one = waits(milliseconds); });
  for (std::thread& thread : running) thread.join();
  Waits all;
  for (const Waits& one : found) all.insert(all.end(), one.begin(), one.end());
  std::ranges::sort(all);
  std::string text = "answered";
  for (const long at : all) text += " " + std::to_string(at);
  return text;
}

std::string carry_out(const std::string& what, long number, long threads) {
  if (what == "load") return load() ? "ok" : std::string("failed: ") + std::strerror(errno);
  if (what == "signal") return std::to_string(timed(number, [] { (void)allowed(); }));
  if (what == "refused")
    return std::to_string(timed(number, [] { ::socket(AF_UNIX, SOCK_DGRAM, kNoProtocol); }));
  if (what == "write")
    return std::to_string(timed(number, [] { opened(kScratchFile, O_WRONLY | O_CREAT); }));
  if (what == "read") return std::to_string(timed(number, [] { opened(kImageFile, O_RDONLY); }));
  if (what == "connect") return std::to_string(connected(number));
  if (what == "waits") return all_waits(number, threads);
  return "unknown order";
}

}  // namespace

int work(int in, int out) {
  std::FILE* orders = ::fdopen(in, "r");
  std::array<char, 256> line{};
  while (orders != nullptr && std::fgets(line.data(), line.size(), orders) != nullptr) {
    std::array<char, 32> what{};
    long number = 0, threads = 1;
    if (std::sscanf(line.data(), "%31s %ld %ld", what.data(), &number, &threads) < 1) continue;
    const std::string answer = carry_out(what.data(), number, threads) + "\n";
    if (::write(out, answer.data(), answer.size()) < 0) return 1;
  }
  return 0;
}

}  // namespace moat::bench
