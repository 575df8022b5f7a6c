// Plays a client of a shim's Task service by a script on standard input, and prints a line for each
// answer: LABEL | CODE | 'message' | name=value ...
//
//   shim_script SOCKET [VERSION] <SCRIPT        VERSION: 2 (the default) or 3
//
// A line is LABEL | METHOD key=value ... ; with the label "-" its answer is not printed, with a "&"
// before the label it is awaited only by the next "join". Keys: the request's fields (id, exec,
// signal, all, bundle, stdin, stdout, stderr, spec, resources, path, width, height; a value @FILE
// is that file's text), runtime, checkpoint and rootfs (TYPE|SOURCE|OPTIONS) of Create, exit of
// Checkpoint, service (instead of the Task service's name), timeout (milliseconds, told to the
// server), patience (milliseconds until "no answer" is the answer). The other lines:
//   join            | prints what the "&" lines are answered, in their order
//   sleep SECONDS   | waits
//   reconnect       | goes on with a new connection
//   LABEL | raw STREAM TYPE [HEX|zeros:COUNT]
//                   | any frame, and what comes back for it; stream 0 is the next one, and then the
//                   | answer is any
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <sstream>
#include <thread>

#include "tests/support/tools/script_client.h"
#include "tests/support/tools/task_messages.h"

namespace moat::tests {

namespace {

using std::chrono::milliseconds;

constexpr long kPatience = 20000;
constexpr long kRawPatience = 400;

struct Asked {
  std::string label, method;
  std::uint32_t stream = 0;
  milliseconds patience{kPatience};
};

class Player {
 public:
  Player(std::string path, std::string service, ScriptClient client)
      : path_(std::move(path)), service_(std::move(service)), client_(std::move(client)) {}

  Status play(const std::string& line) {
    std::istringstream words(line);
    std::string first;
    if (!(words >> first) || first.front() == '#') return {};
    if (first == "join") return join();
    if (first == "sleep") return sleep(words);
    if (first == "reconnect") return reconnect();
    const std::size_t bar = line.find(" | ");
    if (bar == std::string::npos) return fail(Code::InvalidArgument, "no \" | \": " + line);
    const bool later = first.front() == '&';
    return call(line.substr(later ? 2 : 0, bar - (later ? 2 : 0)), line.substr(bar + 3), later);
  }

  Status join() {
    for (const Asked& asked : std::exchange(asked_, {})) answer(asked);
    return {};
  }

 private:
  static Status sleep(std::istream& words) {
    double seconds = 0;
    words >> seconds;
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    return {};
  }

  Status reconnect() {
    auto client = ScriptClient::connect(path_);
    if (!client) return fail(std::move(client.error()));
    client_ = std::move(*client);
    return {};
  }

  Status call(std::string label, const std::string& text, bool later) {
    while (label.ends_with(' ')) label.pop_back();
    std::istringstream words(text);
    std::string method, word;
    words >> method;
    if (method == "raw") return raw(label, words);
    Fields fields;
    while (words >> word) fields[word.substr(0, word.find('='))] = word.substr(word.find('=') + 1);
    const auto take = [&fields](const char* key, std::string fallback) {
      const auto node = fields.extract(key);
      return node.empty() ? fallback : node.mapped();
    };
    ScriptClient::Request request;
    request.service = take("service", service_);
    request.method = method;
    request.timeout = milliseconds(std::strtol(take("timeout", "0").c_str(), nullptr, 10));
    Asked asked{label, method, 0, milliseconds(kPatience)};
    asked.patience =
        milliseconds(std::strtol(take("patience", std::to_string(kPatience)).c_str(), nullptr, 10));
    auto payload = encode_task_request(method, std::move(fields));
    if (!payload) return fail(std::move(payload.error()));
    request.payload = std::move(*payload);
    auto stream = client_.send(request);
    if (!stream) return fail(std::move(stream.error()));
    asked.stream = *stream;
    if (later) {
      asked_.push_back(std::move(asked));
    } else {
      answer(asked);
    }
    return {};
  }

  // One line for each answer, whatever is in it.
  static std::string in_a_line(std::string text) {
    for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos;)
      text.replace(at, 1, "\\n");
    return text;
  }

  void answer(const Asked& asked) {
    const auto reply = client_.await(asked.stream, asked.patience);
    if (asked.label == "-") return;
    if (!reply) {
      std::printf("%s | (%s)\n", asked.label.c_str(), reply.error().what.c_str());
      return;
    }
    std::printf(
        "%s | %s | '%s' | %s\n", asked.label.c_str(), name_of_code(reply->code).c_str(),
        in_a_line(reply->message).c_str(),
        reply->code == 0 ? describe_task_response(asked.method, reply->payload).c_str() : "");
  }

  Status raw(const std::string& label, std::istream& words) {
    std::uint32_t stream = 0;
    int type = 0;
    std::string hex, payload;
    words >> stream >> type >> hex;
    if (hex.starts_with("zeros:")) {
      payload.resize(std::strtoul(hex.c_str() + 6, nullptr, 10));
    } else {
      for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        payload.push_back(static_cast<char>(std::strtoul(hex.substr(i, 2).c_str(), nullptr, 16)));
    }
    auto sent = client_.send_raw(stream, static_cast<std::uint8_t>(type), payload);
    const auto reply = sent ? client_.await(stream, milliseconds(kRawPatience))
                            : Result<Reply>(fail(std::move(sent.error())));
    if (!reply) {
      std::printf("%s | (%s)\n", label.c_str(), reply.error().what.c_str());
      return {};
    }
    std::printf("%s | %s | '%s' | stream=%u type=%d flags=%d\n", label.c_str(),
                name_of_code(reply->code).c_str(), in_a_line(reply->message).c_str(), reply->stream,
                reply->type, reply->flags);
    return {};
  }

  std::string path_, service_;
  ScriptClient client_;
  std::deque<Asked> asked_;
};

int run(const std::string& path, const std::string& version) {
  auto client = ScriptClient::connect(path);
  if (!client) {
    std::fprintf(stderr, "%s\n", client.error().what.c_str());
    return 3;
  }
  Player player(path, "containerd.task.v" + version + ".Task", std::move(*client));
  for (std::string line; std::getline(std::cin, line);) {
    const auto played = player.play(line);
    std::fflush(stdout);
    if (played) continue;
    std::fprintf(stderr, "%s: %s\n", line.c_str(), played.error().what.c_str());
    return 1;
  }
  (void)player.join();
  return 0;
}

}  // namespace

}  // namespace moat::tests

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: shim_script SOCKET [VERSION] <SCRIPT\n", stderr);
    return 2;
  }
  return moat::tests::run(argv[1], argc > 2 ? argv[2] : "2");
}
