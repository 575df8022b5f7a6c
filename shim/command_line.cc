#include "shim/command_line.h"

#include <array>
#include <string_view>

namespace moat::shim {

namespace {

struct TextFlag {
  std::string_view name;
  std::string CommandLine::*field;
  std::string_view meaning;
};

struct SwitchFlag {
  std::string_view name;
  bool CommandLine::*field;
  std::string_view meaning;
};

constexpr std::array kTexts{
    TextFlag{"address", &CommandLine::address, "containerd's gRPC socket"},
    TextFlag{"bundle", &CommandLine::bundle, "path to the bundle"},
    TextFlag{"debug-socket", &CommandLine::debug_socket, "accepted and not used"},
    TextFlag{"id", &CommandLine::id, "id of the task"},
    TextFlag{"namespace", &CommandLine::ns, "containerd's namespace of the task"},
    TextFlag{"publish-binary", &CommandLine::publish_binary, "accepted and not used"},
    TextFlag{"socket", &CommandLine::socket, "socket to listen on instead of descriptor 3"},
};

constexpr std::array kSwitches{
    SwitchFlag{"debug", &CommandLine::debug, "log more"},
    SwitchFlag{"h", &CommandLine::help, "show this text"},
    SwitchFlag{"help", &CommandLine::help, "show this text"},
    SwitchFlag{"info", &CommandLine::info, "print the runtime's features and exit"},
    SwitchFlag{"v", &CommandLine::version, "print the version and exit"},
    SwitchFlag{"version", &CommandLine::version, "print the version and exit"},
};

tl::unexpected<Error> usage_error(std::string what) {
  return fail(Code::InvalidArgument, std::move(what));
}

Status set_switch(bool& field, std::string_view value) {
  for (const std::string_view yes : {"", "1", "t", "T", "true", "TRUE", "True"})
    if (value == yes) {
      field = true;
      return {};
    }
  for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"})
    if (value == no) {
      field = false;
      return {};
    }
  return usage_error("invalid boolean value \"" + std::string(value) + "\"");
}

Result<Action> parse_action(const std::string& word) {
  if (word == "start") return Action::Start;
  if (word == "delete") return Action::Delete;
  return usage_error("unknown action: " + word);
}

}  // namespace

Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments) {
  CommandLine line;
  std::size_t at = 0;
  for (; at < arguments.size(); ++at) {
    std::string_view word = arguments[at];
    if (word.size() < 2 || word[0] != '-') break;
    word.remove_prefix(word[1] == '-' ? 2 : 1);
    if (word.empty()) {  // "--" ends the flags
      ++at;
      break;
    }
    const std::size_t equals = word.find('=');
    const std::string name(word.substr(0, equals));
    const bool has_value = equals != std::string_view::npos;
    const std::string value(has_value ? word.substr(equals + 1) : std::string_view());
    bool known = false;
    for (const TextFlag& flag : kTexts) {
      if (flag.name != name) continue;
      known = true;
      if (!has_value && ++at == arguments.size())
        return usage_error("flag needs an argument: -" + name);
      line.*flag.field = has_value ? value : arguments[at];
    }
    for (const SwitchFlag& flag : kSwitches) {
      if (flag.name != name) continue;
      known = true;
      auto set = set_switch(line.*flag.field, value);
      if (!set) return fail(std::move(set.error()).in("-" + name));
    }
    if (!known) return usage_error("flag provided but not defined: -" + name);
  }
  if (at < arguments.size()) {
    auto action = parse_action(arguments[at]);
    if (!action) return fail(std::move(action.error()));
    line.action = *action;
  }
  return line;
}

std::string usage() {
  std::string text = "Usage of containerd-shim-moat-v2: [flags] [start|delete]\n";
  const auto add = [&text](std::string_view name, std::string_view type, std::string_view meaning) {
    text +=
        "  -" + std::string(name) + std::string(type) + "\n    \t" + std::string(meaning) + "\n";
  };
  for (const TextFlag& flag : kTexts) add(flag.name, " string", flag.meaning);
  for (const SwitchFlag& flag : kSwitches) add(flag.name, "", flag.meaning);
  return text;
}

}  // namespace moat::shim
