#include "shim/task/options.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "oci/sys.h"
#include "shim/proto/linux_options.pb.h"
#include "shim/proto/runc_options.pb.h"
#include "shim/proto/runtimeoptions.pb.h"

namespace moat::shim {

namespace {

std::string or_default(const std::string& value, std::string fallback) {
  return value.empty() ? std::move(fallback) : value;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

template <class Message>
Result<Message> parse(const moat::wire::Any& any) {
  Message message;
  if (!message.ParseFromString(any.value()))
    return fail(Code::InvalidArgument, "options: not a valid " + any.type_url());
  return message;
}

RuntimeOptions of_runc(const containerd::runc::v1::Options& runc, const RuntimeOptions& defaults) {
  RuntimeOptions options = defaults;
  options.binary = or_default(runc.binary_name(), options.binary);
  options.root = or_default(runc.root(), options.root);
  options.shim_cgroup = runc.shim_cgroup();
  options.systemd_cgroup |= runc.systemd_cgroup();  // false and absent are one on the wire
  options.no_pivot_root = runc.no_pivot_root();
  options.no_new_keyring = runc.no_new_keyring();
  options.io_uid = runc.io_uid();
  options.io_gid = runc.io_gid();
  options.criu_work_path = runc.criu_work_path();
  return options;
}

RuntimeOptions of_linux(const containerd::linux::runc::CreateOptions& create,
                        const RuntimeOptions& defaults) {
  RuntimeOptions options = defaults;
  options.shim_cgroup = create.shim_cgroup();
  options.no_pivot_root = create.no_pivot_root();
  options.no_new_keyring = create.no_new_keyring();
  options.io_uid = create.io_uid();
  options.io_gid = create.io_gid();
  return options;
}

Result<RuntimeOptions> of_generic(const runtimeoptions::v1::Options& generic,
                                  const RuntimeOptions& defaults) {
  if (!generic.config_body().empty()) return options_of_toml(generic.config_body(), defaults);
  if (generic.config_path().empty()) return defaults;
  auto text = oci::read_file(generic.config_path(), 1U << 20);
  if (!text) return fail(std::move(text.error()).in("options: ConfigPath"));
  return options_of_toml(*text, defaults);
}

Status assign(RuntimeOptions& options, std::string_view key, std::string_view value) {
  const auto wrong = [&](std::string_view expected) {
    return fail(Code::InvalidArgument, "options: " + std::string(key) + " = " + std::string(value) +
                                           ": expected " + std::string(expected));
  };
  const auto text = [&](std::string& into) -> Status {
    const bool quoted = value.size() >= 2 && (value.front() == '"' || value.front() == '\'') &&
                        value.back() == value.front();
    if (!quoted) return wrong("a quoted text");
    into = value.substr(1, value.size() - 2);
    return {};
  };
  const auto flag = [&](bool& into) -> Status {
    if (value != "true" && value != "false") return wrong("true or false");
    into = value == "true";
    return {};
  };
  const auto number = [&](std::uint32_t& into) -> Status {
    const auto parsed = std::from_chars(value.data(), value.data() + value.size(), into);
    if (parsed.ec != std::errc() || parsed.ptr != value.data() + value.size())
      return wrong("a number");
    return {};
  };
  if (key == "BinaryName") return text(options.binary);
  if (key == "Root") return text(options.root);
  if (key == "ShimCgroup") return text(options.shim_cgroup);
  if (key == "SystemdCgroup") {
    options.detect_cgroup = false;
    return flag(options.systemd_cgroup);
  }
  if (key == "NoPivotRoot") return flag(options.no_pivot_root);
  if (key == "NoNewKeyring") return flag(options.no_new_keyring);
  if (key == "CriuWorkPath") return text(options.criu_work_path);
  if (key == "IoUid") return number(options.io_uid);
  if (key == "IoGid") return number(options.io_gid);
  return {};  // a newer runc's key
}

}  // namespace

RuntimeOptions node_defaults(const oci::NodeConfig& node) {
  RuntimeOptions options;
  options.binary = node.runtime;
  options.root = node.runtime_root;
  options.systemd_cgroup = node.systemd_cgroup.value_or(false);
  options.detect_cgroup = !node.systemd_cgroup.has_value();
  return options;
}

bool uses_systemd(const RuntimeOptions& options, std::string_view cgroups_path) {
  if (options.systemd_cgroup || !options.detect_cgroup) return options.systemd_cgroup;
  return !cgroups_path.starts_with('/') && std::ranges::count(cgroups_path, ':') == 2;
}

Result<RuntimeOptions> options_of_toml(std::string_view toml, const RuntimeOptions& defaults) {
  RuntimeOptions options = defaults;
  while (!toml.empty()) {
    const std::size_t end = toml.find('\n');
    const std::string_view line = trim(toml.substr(0, end));
    toml.remove_prefix(end == std::string_view::npos ? toml.size() : end + 1);
    const std::size_t equals = line.find('=');
    if (line.empty() || line.front() == '#' || line.front() == '[') continue;
    if (equals == std::string_view::npos)
      return fail(Code::InvalidArgument, "options: not `Key = value`: " + std::string(line));
    auto assigned = assign(options, trim(line.substr(0, equals)), trim(line.substr(equals + 1)));
    if (!assigned) return fail(std::move(assigned.error()));
  }
  options.binary = or_default(options.binary, defaults.binary);
  options.root = or_default(options.root, defaults.root);
  return options;
}

Result<RuntimeOptions> decode_options(const moat::wire::Any& any, const RuntimeOptions& defaults) {
  const std::string& url = any.type_url();
  const std::string type = url.substr(url.rfind('/') + 1);  // npos + 1 is 0
  const auto take = [&](auto into) {
    return [&defaults, into](const auto& message) { return into(message, defaults); };
  };
  if (type.empty()) return defaults;
  if (type == "containerd.runc.v1.Options")
    return parse<containerd::runc::v1::Options>(any).map(take(of_runc));
  if (type == "runtimeoptions.v1.Options")
    return parse<runtimeoptions::v1::Options>(any).and_then(take(of_generic));
  if (type == "containerd.linux.runc.CreateOptions")
    return parse<containerd::linux::runc::CreateOptions>(any).map(take(of_linux));
  return fail(Code::InvalidArgument, "options: type " + type +
                                         " is not known; containerd.runc.v1.Options and "
                                         "runtimeoptions.v1.Options are");
}

std::string options_to_json(const RuntimeOptions& options) {
  return nlohmann::json{{"binary_name", options.binary},
                        {"root", options.root},
                        {"shim_cgroup", options.shim_cgroup},
                        {"systemd_cgroup", options.systemd_cgroup},
                        {"no_pivot_root", options.no_pivot_root},
                        {"no_new_keyring", options.no_new_keyring},
                        {"io_uid", options.io_uid},
                        {"io_gid", options.io_gid},
                        {"criu_work_path", options.criu_work_path}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<RuntimeOptions> options_of_json(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return fail(Code::InvalidArgument, "options.json: not a JSON object");
  RuntimeOptions options;
  const auto take = [&]<class T>(const char* key, T& into) {
    const auto found = json.find(key);
    if (found == json.end()) return;
    if constexpr (std::is_same_v<T, std::string>) {
      if (found->is_string() && !found->get_ref<const std::string&>().empty())
        into = found->get<std::string>();
    } else if constexpr (std::is_same_v<T, bool>) {
      if (found->is_boolean()) into = found->get<bool>();
    } else {
      if (found->is_number_unsigned()) into = found->get<T>();
    }
  };
  take("binary_name", options.binary);
  take("root", options.root);
  take("shim_cgroup", options.shim_cgroup);
  take("systemd_cgroup", options.systemd_cgroup);
  take("no_pivot_root", options.no_pivot_root);
  take("no_new_keyring", options.no_new_keyring);
  take("io_uid", options.io_uid);
  take("io_gid", options.io_gid);
  take("criu_work_path", options.criu_work_path);
  return options;
}

Status save_options(const std::string& bundle, const RuntimeOptions& options) {
  auto saved = oci::write_file_atomic(bundle + "/options.json", options_to_json(options), 0600);
  if (!saved) return saved;
  return oci::write_file_atomic(bundle + "/runtime", options.binary, 0600);
}

Result<RuntimeOptions> load_options(const std::string& bundle) {
  auto text = oci::read_file(bundle + "/options.json", 1U << 20);
  if (!text && text.error().err == ENOENT) return oci::NodeConfig::load().map(node_defaults);
  if (!text) return fail(std::move(text.error()));
  return options_of_json(*text);
}

}  // namespace moat::shim
