// config.json as a typed view that keeps what it does not know, 64-bit numbers included.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/result.h"

namespace moat::oci {

struct SpecMount {
  std::string destination, type, source;
  std::vector<std::string> options;
};

class Spec {
 public:
  // The error names the byte where the text stops being JSON, or the known place that holds a value
  // of the wrong type: "config.json: mounts[2].destination: expected a string, found a number".
  static Result<Spec> parse(std::string_view text);
  [[nodiscard]] std::string dump() const;

  [[nodiscard]] std::map<std::string, std::string> annotations() const;
  [[nodiscard]] std::vector<SpecMount> mounts() const;
  [[nodiscard]] std::string root_path() const;  // "rootfs" if absent
  [[nodiscard]] bool root_readonly() const;
  [[nodiscard]] std::string cwd() const;  // "/" if absent
  [[nodiscard]] std::vector<std::string> args() const;
  [[nodiscard]] std::vector<std::string> env() const;
  [[nodiscard]] std::optional<std::string> env(std::string_view name) const;
  [[nodiscard]] std::uint32_t uid() const;
  [[nodiscard]] std::uint32_t gid() const;
  [[nodiscard]] std::uint32_t host_uid() const;  // outside the container's user namespace
  [[nodiscard]] std::uint32_t host_gid() const;
  [[nodiscard]] std::string cgroups_path() const;
  [[nodiscard]] bool private_pid_namespace() const;  // a pid namespace without a path

  // The document itself, for the rewrite.
  [[nodiscard]] const nlohmann::json& json() const { return json_; }
  nlohmann::json& json() { return json_; }

 private:
  explicit Spec(nlohmann::json json) : json_(std::move(json)) {}
  nlohmann::json json_;
};

}  // namespace moat::oci
