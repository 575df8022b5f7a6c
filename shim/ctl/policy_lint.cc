#include "shim/ctl/policy_lint.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "oci/sys.h"
#include "policies/text.h"
#include "policies/tree.h"
#include "shim/ctl/lint.h"

namespace moat::shim::ctl {

namespace {

struct Linted {
  std::string file;
  std::vector<Finding> findings;

  [[nodiscard]] bool ok() const {
    return std::ranges::none_of(findings,
                                [](const Finding& f) { return f.severity == Severity::Error; });
  }
};

Result<std::string> read_text(const std::string& file) {
  // One byte more than a policy may have: its own message about that has a place.
  constexpr std::size_t kLimit = policies::kMaxPolicyBytes + 1;
  return file == "-" ? oci::read_all(STDIN_FILENO, kLimit) : oci::read_file(file, kLimit);
}

std::string text_of(const Linted& linted) {
  constexpr std::size_t kMaxShown = 1000;
  const std::string file = linted.file == "-" ? "<stdin>" : policies::printable(linted.file, 4096);
  std::string out;
  for (const Finding& finding : linted.findings) {
    out += file + ":";
    if (finding.line > 0) out += fmt::format("{}:{}:", finding.line, finding.column);
    if (finding.severity == Severity::Note) out += " note:";
    out += " " + policies::printable(finding.message, kMaxShown) + "\n";
  }
  if (linted.ok()) out += file + ": ok\n";
  return out;
}

std::string json_of(const std::vector<Linted>& all) {
  auto out = nlohmann::ordered_json::array();
  for (const Linted& linted : all) {
    auto findings = nlohmann::ordered_json::array();
    for (const Finding& finding : linted.findings)
      findings.push_back({{"severity", to_string(finding.severity)},
                          {"line", finding.line},
                          {"column", finding.column},
                          {"message", finding.message}});
    out.push_back({{"file", linted.file}, {"ok", linted.ok()}, {"findings", std::move(findings)}});
  }
  using Json = nlohmann::ordered_json;
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";  // file names are bytes
}

}  // namespace

Exit policy_lint(const LintOptions& options) {
  std::vector<Linted> all;
  bool unread = false;
  for (const std::string& file : options.files) {
    const auto text = read_text(file);
    if (text) {
      all.push_back({file, lint(*text)});
      continue;
    }
    warn("cannot read the policy: " + text.error().what);
    unread = true;
  }
  std::string out;
  if (options.format == Format::Json)
    out = json_of(all);
  else
    for (const Linted& linted : all) out += text_of(linted);
  if (auto shown = print(out); !shown) {
    warn(shown.error().what);
    return Exit::Failure;
  }
  if (unread) return Exit::Failure;
  return std::ranges::all_of(all, &Linted::ok) ? Exit::Fine : Exit::Findings;
}

}  // namespace moat::shim::ctl
