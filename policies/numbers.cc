#include "policies/numbers.h"

#include <fmt/format.h>

#include <cstring>

namespace moat::policies {
namespace {

constexpr int kLastErrno = 133;  // EHWPOISON, the last one in Linux's list on every architecture
constexpr int kLastSignal = 31;  // real-time signals have no name

}  // namespace

std::string errno_name(int err) {
  const char* name = strerrorname_np(err);
  return name != nullptr ? std::string(name) : fmt::format("E?{}", err);
}

std::optional<int> errno_from(std::string_view name) {
  for (int err = 1; err <= kLastErrno; ++err) {
    const char* known = strerrorname_np(err);
    if (known != nullptr && name == known) return err;
  }
  return std::nullopt;
}

std::string signal_name(int signal) {
  const char* name = sigabbrev_np(signal);
  return name != nullptr ? std::string(name) : fmt::format("{}", signal);
}

std::optional<int> signal_from(std::string_view name) {
  if (name.starts_with("SIG")) name.remove_prefix(3);
  for (int signal = 1; signal <= kLastSignal; ++signal) {
    const char* known = sigabbrev_np(signal);
    if (known != nullptr && name == known) return signal;
  }
  return std::nullopt;
}

}  // namespace moat::policies
