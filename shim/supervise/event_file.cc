#include "shim/supervise/event_file.h"

namespace moat::shim {

namespace {

std::string component(std::string text) {
  for (char& c : text)
    if (c == '/' || static_cast<unsigned char>(c) < 0x20) c = '_';
  if (text.empty() || text[0] == '.') text.insert(0, "_");
  return text.substr(0, 200);  // the file system takes 255, the suffix needs some
}

}  // namespace

policies::ContainerInfo identity_of(const NewContainer& container, const oci::Spec& spec) {
  const auto all = spec.annotations();
  const auto cri = [&](const char* key) {
    const auto found = all.find(std::string("io.kubernetes.cri.") + key);
    return found == all.end() ? std::string() : found->second;
  };
  policies::ContainerInfo info;
  info.id = container.id;
  info.kube_namespace = cri("sandbox-namespace");
  info.pod = cri("sandbox-name");
  info.pod_uid = cri("sandbox-uid");
  info.name = cri("container-name");
  info.image = cri("image-name");
  info.runtime_handler = "moat";
  return info;
}

std::string event_file_of(const policies::ContainerInfo& info, const std::string& log_dir) {
  if (info.pod.empty()) return log_dir + "/containers/" + component(info.id) + ".jsonl";
  return log_dir + "/pods/" + component(info.kube_namespace + "_" + info.pod + "_" + info.pod_uid) +
         "/" + component(info.name.empty() ? info.id : info.name) + ".jsonl";
}

}  // namespace moat::shim
