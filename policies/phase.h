// The phases of a model server and the edges between them. A container only moves forward;
// `reload` is the one state a single process enters and leaves again.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace moat::policies {

enum class Phase : std::uint8_t { Init, Load, Warmup, Serve, Reload, Train, Shutdown };

inline constexpr std::array kPhases{Phase::Init,   Phase::Load,  Phase::Warmup,  Phase::Serve,
                                    Phase::Reload, Phase::Train, Phase::Shutdown};

constexpr std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::Init:
      return "init";
    case Phase::Load:
      return "load";
    case Phase::Warmup:
      return "warmup";
    case Phase::Serve:
      return "serve";
    case Phase::Reload:
      return "reload";
    case Phase::Train:
      return "train";
    case Phase::Shutdown:
      return "shutdown";
  }
  return "?";
}

constexpr std::optional<Phase> phase_from(std::string_view name) {
  for (Phase phase : kPhases)
    if (to_string(phase) == name) return phase;
  return std::nullopt;
}

}  // namespace moat::policies
