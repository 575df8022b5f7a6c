// A model server as far as a supervisor can tell, whose artifact makes it hostile.
//
//   model_server serve [--first ATTEMPT] [--keep-open FILE] [--hold WHAT]... [--await] [--retry]
//                      [--connect]
//                                --await: a USR1 before the artifact; --retry: it is tried again
//   model_server list            the attempts: name, rule, effect
//   model_server plant ROOT      makes what the attempts need below ROOT
//   model_server fds             the descriptors it was started with
//   model_server payload ID      says that it runs
//   model_server reach ID        connects to the canary, as a session might
//   model_server try ATTEMPT     makes one of those that are not listed, as a session might
//
// The artifact's lines are orders: WHEN PLACE WHAT. WHEN: load, or request:N; PLACE: main, thread,
// child, or forever (a thread that goes on, and tells successes only); WHAT: an attempt, all,
// honest. Standard output: "attempt NAME phase=P place=P result=ok|errno=E|signal=N", "honest NAME
// ..." and "effect ID ..." for what the programs that were started, or stolen secrets, say.
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "attempts.h"

namespace moat::victim {

namespace {

constexpr std::uint16_t kPort = 8080;
volatile sig_atomic_t stopping = 0;

std::vector<Attempt> all_attempts() {
  std::vector<Attempt> all;
  for (const auto part : {exec_attempts(), file_attempts(), entry_attempts(), read_attempts(),
                          network_attempts(), system_attempts()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

struct Order {
  std::string when, place, what;
};

std::string result_text(int result) {
  if (result == 0) return "result=ok";
  if (result < 0) return "signal=" + std::to_string(-result);
  const char* name = ::strerrorname_np(result);
  return std::string("errno=") + (name != nullptr ? name : "?");
}

// The thread's name says in every report which attempt it was.
template <class T>
void perform(const char* kind, const T& what, const std::string& phase, const std::string& place,
             bool only_success) {
  const std::string tag = place == "main" ? phase : phase + "-" + place;
  ::prctl(PR_SET_NAME, what.name);
  const int result = what.run(Run{what.name, tag});
  if (result != 0 && only_success) return;
  say("%s %s phase=%s place=%s %s", kind, what.name, phase.c_str(), place.c_str(),
      result_text(result).c_str());
}

void carry_out_here(const Order& order, const std::string& phase, bool only_success) {
  for (const Attempt& attempt : all_attempts())
    if (order.what == "all" || order.what == attempt.name)
      perform("attempt", attempt, phase, order.place, only_success);
  for (const auto& some : {special_attempts(), special_network_attempts()})
    for (const Attempt& attempt : some)
      if (order.what == attempt.name) perform("attempt", attempt, phase, order.place, only_success);
  if (order.what != "honest") return;
  for (const Honest& action : honest_actions())
    perform("honest", action, phase, order.place, only_success);
}

void carry_out(const Order& order, const std::string& phase) {
  if (order.place == "child") {
    in_child([&] {
      carry_out_here(order, phase, false);
      return 0;
    });
  } else if (order.place == "thread") {
    std::thread([&] { carry_out_here(order, phase, false); }).join();
  } else if (order.place == "forever") {
    std::thread([order, phase] {
      for (;;) carry_out_here(order, phase, true);
    }).detach();
  } else {
    carry_out_here(order, phase, false);
  }
  ::prctl(PR_SET_NAME, "model_server");
}

// A write before it is tried again shows what has become of the mounts.
int open_artifact(const char* path, bool retry) {
  for (int tries = retry ? 3 : 1;; --tries) {
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) return fd;
    say("attempt open_model phase=load place=main %s", result_text(errno).c_str());
    if (tries <= 1) ::_exit(3);
    let_go();
    const int log = ::open("/var/log/again.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    say("honest init_again %s", result_text(log < 0 ? errno : 0).c_str());
    if (log >= 0) ::close(log);
    ::usleep(500'000);
  }
}

std::vector<Order> read_artifact(const char* path, bool retry) {
  const int fd = open_artifact(path, retry);
  std::string text(64U << 10, '\0');
  const ssize_t n = ::read(fd, text.data(), text.size());
  ::close(fd);
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  std::vector<Order> orders;
  std::istringstream lines(text);
  for (Order order; lines >> order.when >> order.place >> order.what;) orders.push_back(order);
  return orders;
}

void list_fds() {
  DIR* dir = ::opendir("/proc/self/fd");
  if (dir == nullptr) return;
  while (const dirent* entry = ::readdir(dir)) {
    if (entry->d_name[0] == '.' || std::atoi(entry->d_name) == ::dirfd(dir)) continue;
    char target[512] = {};
    if (::readlinkat(::dirfd(dir), entry->d_name, target, sizeof target - 1) < 0) continue;
    say("fd %s %s", entry->d_name, target);
  }
  ::closedir(dir);
}

int listen_on(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd, 16) != 0) {
    say("attempt listen phase=load place=main %s", result_text(errno).c_str());
    ::_exit(4);
  }
  return fd;
}

// Answers "GET /predict" after the orders for that request are carried out; anything else at once.
void answer(int client, const std::vector<Order>& orders, int& requests) {
  char request[2048];
  const ssize_t n = ::recv(client, request, sizeof request - 1, 0);
  const std::string_view text(request, n > 0 ? static_cast<std::size_t>(n) : 0);
  std::string body = "ok\n";
  if (text.starts_with("GET /predict")) {
    const std::string when = "request:" + std::to_string(++requests);
    for (const Order& order : orders)
      if (order.when == when) carry_out(order, "serve");
    body = "answer " + std::to_string(requests) + "\n";
  }
  const std::string reply = "HTTP/1.0 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
                            "\r\nConnection: close\r\n\r\n" + body;
  (void)!::send(client, reply.data(), reply.size(), MSG_NOSIGNAL);
  ::close(client);
}

void write_log(const char* path, int flags, bool keep) {
  const int fd = ::open(path, flags | O_CLOEXEC, 0644);
  if (fd < 0 || ::write(fd, "starting\n", 9) != 9) say("honest init_log %s", ::strerror(errno));
  if (fd >= 0 && !keep) ::close(fd);
}

sigset_t word() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGUSR1);
  return set;
}

void begin_in(const std::vector<std::string>& options) {
  for (std::size_t i = 0; i + 1 < options.size(); ++i) {
    const std::string& what = options[i + 1];
    if (options[i] == "--keep-open")
      write_log(what.c_str(), O_WRONLY | O_CREAT | O_APPEND, true);
    else if (options[i] == "--first")
      carry_out_here({"init", "main", what}, "init", false);
    else if (options[i] == "--hold")
      say("honest hold_%s %s", what.c_str(), result_text(hold_in_init(what)).c_str());
  }
}

int serve(const std::vector<std::string>& options) {
  const sigset_t awaited = word();
  const bool waits = std::ranges::find(options, "--await") != options.end();
  if (waits) ::sigprocmask(SIG_BLOCK, &awaited, nullptr);
  struct sigaction stop {};
  stop.sa_handler = [](int) { stopping = 1; };
  ::sigaction(SIGTERM, &stop, nullptr);  // without SA_RESTART: accept returns
  list_fds();
  take_held();
  write_log("/var/log/server.log", O_WRONLY | O_CREAT | O_APPEND, false);
  write_log("/tmp/server.log", O_WRONLY | O_CREAT | O_APPEND, true);
  begin_in(options);
  if (!options.empty() && options.back() == "--connect")
    say("honest init_connect %s", result_text(stay_connected()).c_str());
  say("init done");
  int came = 0;
  if (waits) (void)::sigwait(&awaited, &came);
  const bool retry = std::ranges::find(options, "--retry") != options.end();
  const std::vector<Order> orders = read_artifact("/models/model.bin", retry);
  for (const Order& order : orders)
    if (order.when == "load") carry_out(order, "load");
  const int listener = listen_on(kPort);
  say("listening");
  int requests = 0;
  while (stopping == 0) {
    const int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (client >= 0) answer(client, orders, requests);
  }
  say("stopping");
  return 0;
}

void list_attempts() {
  for (const Attempt& attempt : all_attempts())
    say("%s %s %s", attempt.name, attempt.rule, attempt.effect);
}

void plant_file(const std::string& path) {
  std::ofstream(path) << "planted\n";
  ::chmod(path.c_str(), 0600);
}

int plant(const std::string& root) {
  const std::string data = root + "/data";
  ::mkdir(data.c_str(), 0755);
  plant_file(data + "/held");
  for (const char* phase : {"load", "serve"})
    for (const char* place : {"", "-thread", "-child", "-forever"})
      for (const Attempt& attempt : all_attempts()) {
        const std::string path = root + Run{attempt.name, std::string(phase) + place}.target();
        if (attempt.planted == Planted::File) plant_file(path);
        if (attempt.planted == Planted::Folder) ::mkdir(path.c_str(), 0700);
      }
  return 0;
}

}  // namespace

int run(const std::vector<std::string>& arguments) {
  const std::string what = arguments.empty() ? "" : arguments[0];
  if (what == "serve") return serve(arguments);
  if (what == "list") return list_attempts(), 0;
  if (what == "fds") return list_fds(), 0;
  if (what == "plant" && arguments.size() == 2) return plant(arguments[1]);
  if (what == "payload" && arguments.size() == 2) return say("effect %s", arguments[1].c_str()), 0;
  if (what == "reach" && arguments.size() == 2)
    return network_attempts().front().run(Run{"tcp", arguments[1]});
  if (what == "try" && arguments.size() == 2)
    return carry_out_here({"session", "main", arguments[1]}, "session", false), 0;
  say("usage: model_server serve|list|plant ROOT|fds|payload ID|reach ID|try ATTEMPT");
  return 2;
}

}  // namespace moat::victim

int main(int argc, char** argv) {
  return moat::victim::run({argv + 1, argv + argc});
}
