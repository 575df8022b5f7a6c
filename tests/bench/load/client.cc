#include "tests/bench/load/client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <thread>
#include <vector>

#include "oci/sys.h"

namespace moat::bench {

namespace {

constexpr timeval kPatience{30, 0};

class Connection {
 public:
  explicit Connection(const Load& load) : load_(load) {
    request_ = (load.body.empty() ? "GET " : "POST ") + load.path + " HTTP/1.1\r\nHost: bench\r\n" +
               (load.keep_alive ? "" : "Connection: close\r\n") +
               "Content-Length: " + std::to_string(load.body.size()) + "\r\n\r\n" + load.body;
  }

  // True for an answer with status 200, read to its end.
  bool ask() {
    const bool fresh = !socket_.valid();
    if (fresh && !open()) return false;
    const bool good = oci::write_all(socket_.raw(), request_) && answered();
    if (!good || !load_.keep_alive) socket_.reset();
    return good;
  }

 private:
  bool open() {
    socket_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(socket_.raw(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(socket_.raw(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(load_.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_.raw(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
      return true;
    socket_.reset();
    return false;
  }

  bool answered() {
    std::string text;
    std::size_t whole = std::string::npos;
    while (text.size() < whole) {
      std::array<char, 4096> part{};
      const ssize_t n = ::recv(socket_.raw(), part.data(), part.size(), 0);
      if (n <= 0) return false;
      text.append(part.data(), static_cast<std::size_t>(n));
      const std::size_t head = text.find("\r\n\r\n");
      if (head != std::string::npos) whole = head + 4 + length_in(text);
    }
    return text.starts_with("HTTP/1.") && text.find(" 200 ") == 8;
  }

  static std::size_t length_in(const std::string& text) {
    constexpr std::string_view kName = "Content-Length: ";
    const std::size_t at = text.find(kName);
    std::size_t length = 0;
    if (at != std::string::npos)
      std::from_chars(text.data() + at + kName.size(), text.data() + text.size(), length);
    return length;
  }

  const Load& load_;
  std::string request_;
  UniqueFd socket_;
};

Answers ask_one_by_one(const Load& load, long requests) {
  Answers answers;
  Connection connection(load);
  for (long i = 0; i < requests; ++i) {
    const double before = now_us();
    if (connection.ask())
      answers.took.add(now_us() - before);
    else
      ++answers.failed;
  }
  return answers;
}

}  // namespace

Answers ask(const Load& load) {
  std::vector<Answers> parts(static_cast<std::size_t>(load.connections));
  std::vector<std::thread> threads;
  const double before = now_us();
  for (int i = 0; i < load.connections; ++i) {
    const long share =
        load.requests * (i + 1) / load.connections - load.requests * i / load.connections;
    threads.emplace_back([&load, share, &part = parts[static_cast<std::size_t>(i)]] {
      part = ask_one_by_one(load, share);
    });
  }
  for (std::thread& thread : threads) thread.join();
  Answers all;
  all.seconds = (now_us() - before) / 1e6;
  for (const Answers& part : parts) {
    for (const double took : part.took.values()) all.took.add(took);
    all.failed += part.failed;
  }
  return all;
}

Result<Answers> ask_in(const std::string& netns, const Load& load) {
  const auto file = oci::open_file(netns, O_RDONLY);
  if (!file) return fail(Error(file.error()));
  Result<Answers> answers = fail(Code::Internal, "nobody asked");
  // A thread's own network, which those it starts are born into.
  std::thread([&] {
    if (::setns(file->raw(), CLONE_NEWNET) == 0)
      answers = ask(load);
    else
      answers = fail_errno(errno, "entering " + netns);
  }).join();
  return answers;
}

}  // namespace moat::bench
