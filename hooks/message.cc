#include "hooks/message.h"

#include <nlohmann/json.hpp>

namespace moat::hooks {

using nlohmann::json;
using policies::Mode;
using policies::Phase;

namespace {

// Field lists, once: the same visitor writes and reads.
template <class V>
void fields(V& v, Adopt& m) {
  v("id", m.container.id);
  v("namespace", m.container.kube_namespace);
  v("pod", m.container.pod);
  v("pod_uid", m.container.pod_uid);
  v("name", m.container.name);
  v("image", m.container.image);
  v("node", m.container.node);
  v("handler", m.container.runtime_handler);
  v("policy", m.policy_json);
  v("home", m.bindings.home);
  v("cwd", m.bindings.cwd);
  v("models", m.bindings.models);
  v("scratch", m.bindings.scratch);
  v("roots", m.bindings.environment_roots);
  v("mode", m.mode);
  v("digest", m.policy_digest);
  v("source", m.policy_source);
  v("number", m.number);
  v("resumed", m.resumed);
  v("phase", m.phase);
  v("loading", m.loading);
  v("since", m.since_ms);
  v("unanswered", m.unanswered);
}
template <class V>
void fields(V& v, Listen& m) {
  v("id", m.id);
  v("pid", m.pid);
  v("session", m.session);
  v("exec_id", m.exec_id);
  v("number", m.number);
  v("start_time", m.start_time);
  v("runtime_exe", m.runtime_exe);
}
template <class V>
void fields(V& v, Watch& m) {
  v("id", m.id);
  v("init", m.init);
  v("number", m.number);
}
template <class V>
void fields(V& v, Network& m) {
  v("id", m.id);
  v("holds", m.holds);
  v("names", m.names);
  v("problem", m.problem);
  v("devices", m.devices);
}
template <class V>
void fields(V& v, SessionStarted& m) {
  v("id", m.id);
  v("exec_id", m.exec_id);
  v("pid", m.pid);
}
template <class V>
void fields(V& v, Entered& m) {
  v("id", m.id);
  v("phase", m.phase);
  v("error", m.error);
  v("cut", m.cut);
}
template <class V>
void fields(V& v, Settle& m) {
  v("id", m.id);
  v("phase", m.phase);
  v("ticket", m.ticket);
}
template <class V>
void fields(V& v, Notice& m) {
  v("id", m.id);
  v("severity", m.severity);
  v("message", m.message);
}
template <class V>
void fields(V& v, Mounted& m) {
  v("id", m.id);
  v("point", m.point);
  v("source", m.source);
  v("fstype", m.fstype);
  v("gone", m.gone);
}
template <class V>
void fields(V& v, Signalling& m) {
  v("id", m.id);
  v("signal", m.signal);
  v("ticket", m.ticket);
}
template <class V>
void fields(V& v, Forget& m) {
  v("id", m.id);
}
template <class V>
void fields(V& v, Ask& m) {
  v("ticket", m.ticket);
}
template <class V>
void fields(V& v, Enter& m) {
  v("id", m.id);
  v("phase", m.phase);
}
template <class V>
void fields(V& v, Ready& m) {
  v("ticket", m.ticket);
}
template <class V>
void fields(V& v, ContainerStatus& m) {
  v("id", m.id);
  v("mode", m.mode);
  v("profile", m.profile);
  v("phase", m.phase);
  v("since", m.phase_since_ms);
  v("violations", m.violations);
  v("would_denies", m.would_denies);
  v("notifications", m.notifications);
  v("open_events", m.open_events);
}
template <class V>
void fields(V& v, Told& m) {
  v("ticket", m.ticket);
  v("containers", m.containers);
}
template <class V>
void fields(V& v, Freeze& m) {
  v("id", m.id);
}
template <class V>
void fields(V& v, Terminate& m) {
  v("id", m.id);
}

struct Writer {
  json out = json::object();
  template <class T>
  void operator()(const char* key, const T& value) {
    out[key] = value;
  }
  void operator()(const char* key, Mode value) { out[key] = std::string(to_string(value)); }
  void operator()(const char* key, Phase value) { out[key] = std::string(to_string(value)); }
  void operator()(const char* key, const std::vector<ContainerStatus>& values) {
    json list = json::array();
    for (ContainerStatus value : values) {
      Writer writer;
      fields(writer, value);
      list.push_back(std::move(writer.out));
    }
    out[key] = std::move(list);
  }
};

// Throws json exceptions; decode() is the wrapper that catches them.
struct Reader {
  const json& in;
  template <class T>
  void operator()(const char* key, T& value) {
    in.at(key).get_to(value);
  }
  void operator()(const char* key, Mode& value) {
    const auto mode = policies::mode_from(in.at(key).get<std::string>());
    if (!mode) throw std::invalid_argument("mode");
    value = *mode;
  }
  void operator()(const char* key, Phase& value) {
    const auto phase = policies::phase_from(in.at(key).get<std::string>());
    if (!phase) throw std::invalid_argument("phase");
    value = *phase;
  }
  void operator()(const char* key, std::vector<ContainerStatus>& values) {
    for (const json& item : in.at(key)) {
      Reader reader{item};
      fields(reader, values.emplace_back());
    }
  }
};

constexpr const char* kNames[] = {"adopt",   "listen",   "watch",  "network", "session",
                                  "entered", "settle",   "notice", "mounted", "signalling",
                                  "forget",  "ask",      "enter",  "ready",   "told",
                                  "freeze",  "terminate"};
static_assert(std::size(kNames) == std::variant_size_v<Message>);

template <std::size_t I = 0>
Message read(std::string_view name, const json& in) {
  if constexpr (I == std::variant_size_v<Message>) {
    throw std::invalid_argument("type");
  } else {
    if (name != kNames[I]) return read<I + 1>(name, in);
    std::variant_alternative_t<I, Message> value;
    Reader reader{in};
    fields(reader, value);
    return value;
  }
}

}  // namespace

std::string encode(const Message& message) {
  Writer writer;
  std::visit([&](auto value) { fields(writer, value); }, message);
  writer.out["type"] = kNames[message.index()];
  return writer.out.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<Message> decode(std::string_view text) {
  try {
    const json in = json::parse(text);
    return read(in.at("type").get<std::string>(), in);
  } catch (const std::exception& e) {
    return fail(Code::InvalidArgument,
                std::string("message between moat's processes: ") + e.what());
  }
}

}  // namespace moat::hooks
