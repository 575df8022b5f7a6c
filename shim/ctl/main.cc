// moatctl: the command line. What each command does is in the file of its name.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "oci/node_config.h"
#include "policies/event.h"
#include "policies/nearest.h"
#include "policies/phase.h"
#include "shim/ctl/doctor.h"
#include "shim/ctl/events.h"
#include "shim/ctl/mode.h"
#include "shim/ctl/policy_lint.h"
#include "shim/ctl/ps.h"

namespace moat::shim::ctl {

namespace {

using Words = std::vector<std::string_view>;

Words phases() {
  Words names;
  for (const policies::Phase phase : policies::kPhases) names.push_back(to_string(phase));
  return names;
}

Words kinds() {
  using policies::EventKind;
  Words names;
  for (const EventKind kind :
       {EventKind::Violation, EventKind::WouldDeny, EventKind::Phase, EventKind::Policy,
        EventKind::Session, EventKind::Behavior, EventKind::Health, EventKind::Drop})
    names.push_back(to_string(kind));
  return names;
}

// CLI11's own check would list the words without naming the one that was meant.
CLI::Validator one_of(Words words) {
  return CLI::Validator(
      [words](std::string& value) {
        return std::ranges::find(words, value) != words.end() ? std::string()
                                                              : policies::not_one_of(value, words);
      },
      "");
}

void add_format(CLI::App& command, Format& format) {
  command
      .add_option_function<std::string>(
          "-o,--output",
          [&format](const std::string& value) {
            format = value == "json" ? Format::Json : Format::Text;
          },
          "text for people (the default), json for programs")
      ->type_name("FORMAT")
      ->check(one_of({"text", "json"}));
}

Exit version(Format format) {
  const auto shown =
      print(format == Format::Json ? nlohmann::json{{"version", MOAT_VERSION}}.dump() + "\n"
                                   : std::string("moatctl " MOAT_VERSION "\n"));
  return shown ? Exit::Fine : Exit::Failure;
}

struct Options {
  PsOptions ps;
  EventsOptions events;
  LintOptions lint;
  ModeOptions mode;
  Format version = Format::Text;
  Format doctor = Format::Text;
  std::function<Exit()> run;
};

// The folders the shims of this node use, unless the command line names another.
oci::NodeConfig node_config() {
  auto config = oci::NodeConfig::load();
  if (config) return std::move(*config);
  warn("the usual folders are assumed: " + config.error().what);
  return {};
}

Exit run_ps(PsOptions options) {
  if (options.state_dir.empty()) options.state_dir = node_config().state_dir;
  return ps(options);
}

Exit run_events(EventsOptions options) {
  if (options.log_dir.empty()) options.log_dir = node_config().log_dir;
  return events(options);
}

void add_ps(CLI::App& app, Options& options) {
  auto* command = app.add_subcommand("ps", "The supervised containers of this node");
  add_format(*command, options.ps.format);
  command
      ->add_option("--state-dir", options.ps.state_dir,
                   "Where shims register; else MOAT_STATE_DIR, moat.yaml, /run/moat")
      ->type_name("DIR");
  command->callback([&options] { options.run = [&options] { return run_ps(options.ps); }; });
}

void add_events(CLI::App& app, Options& options) {
  auto* command = app.add_subcommand("events", "What was refused, reported and observed, by time");
  EventsOptions& events_options = options.events;
  command->add_flag("-f,--follow", events_options.follow, "Go on with what happens from now");
  add_format(*command, events_options.format);
  command
      ->add_option("--log-dir", events_options.log_dir,
                   "Where event files are; else MOAT_LOG_DIR, moat.yaml, /var/log/moat")
      ->type_name("DIR");
  command
      ->add_option("--container", events_options.filter.container,
                   "Only of one: its id, NAME, NAMESPACE/POD or NAMESPACE/POD/NAME")
      ->type_name("ID");
  command->add_option("--phase", events_options.filter.phase, "Only of this phase")
      ->type_name("P")
      ->check(one_of(phases()));
  command->add_option("--kind", events_options.filter.kind, "Only of this kind")
      ->type_name("K")
      ->check(one_of(kinds()));
  command->callback(
      [&options] { options.run = [&options] { return run_events(options.events); }; });
}

void add_policy(CLI::App& app, Options& options) {
  auto* policy = app.add_subcommand("policy", "Policy documents");
  policy->require_subcommand(1);
  auto* command = policy->add_subcommand("lint", "Says whether a node would take these documents");
  command->add_option("FILE", options.lint.files, "YAML or JSON; - is standard input")
      ->required()
      ->type_name("");
  add_format(*command, options.lint.format);
  command->callback([&options] { options.run = [&options] { return policy_lint(options.lint); }; });
}

void add_mode(CLI::App& app, Options& options) {
  auto* both = app.add_subcommand("mode", "The mode of a running container");
  both->require_subcommand(1);
  auto& mode = options.mode;
  auto* get = both->add_subcommand("get", "Says it");
  auto* set = both->add_subcommand("set", "Says what is in the way of another one");
  add_format(*get, mode.format);
  for (auto* command : {get, set}) {
    command->add_option("ID", mode.id, "The container's id")->required()->type_name("");
    command
        ->add_option("--state-dir", mode.state_dir,
                     "Where shims leave word; else MOAT_STATE_DIR, moat.yaml, /run/moat")
        ->type_name("DIR");
    command->callback([&options] {
      if (options.mode.state_dir.empty()) options.mode.state_dir = node_config().state_dir;
      options.run = [&options] { return ctl::mode(options.mode); };
    });
  }
  set->add_option("MODE", mode.wanted, "audit or enforce")
      ->required()
      ->type_name("")
      ->check(one_of({"audit", "enforce"}));
}

void add_doctor(CLI::App& app, Options& options) {
  auto* command = app.add_subcommand("doctor", "Whether this node can do what moat promises");
  add_format(*command, options.doctor);
  command->callback([&options] { options.run = [&options] { return doctor(options.doctor); }; });
}

int run(int argc, char** argv) {
  CLI::App app("moatctl looks at moat on this node.", "moatctl");
  Options options;
  app.set_version_flag("--version", "moatctl " MOAT_VERSION);
  app.require_subcommand(1);
  app.footer("Exit status: 0 fine, 1 findings, 2 usage, 3 failure.");
  add_ps(app, options);
  add_events(app, options);
  add_policy(app, options);
  add_mode(app, options);
  add_doctor(app, options);
  auto* command = app.add_subcommand("version", "The version of moatctl");
  add_format(*command, options.version);
  command->callback([&options] { options.run = [&options] { return version(options.version); }; });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& stop) {
    const int status = app.exit(stop);  // --help and --version also end here
    return static_cast<int>(status == 0 ? Exit::Fine : Exit::Usage);
  }
  return static_cast<int>(options.run());
}

}  // namespace

}  // namespace moat::shim::ctl

int main(int argc, char** argv) {
  return moat::shim::ctl::run(argc, argv);
}
