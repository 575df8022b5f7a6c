#include "policies/event_stamp.h"

#include <fmt/format.h>

#include <array>

namespace moat::policies {
namespace {

using namespace std::chrono;

// FNV-1a: identities, not secrets.
std::uint64_t hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325ULL;
  for (char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return value;
}

// The low `digits` * 5 bits in Crockford's base 32.
std::string base32(std::uint64_t value, std::size_t digits) {
  constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  std::string out(digits, '0');
  for (std::size_t i = digits; i-- > 0; value >>= 5) out[i] = kAlphabet[value & 31];
  return out;
}

}  // namespace

std::string event_time(const Stamp& stamp) {
  const auto day = floor<days>(stamp.time);
  const year_month_day date(day);
  const hh_mm_ss clock(stamp.time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

std::string event_id(std::string_view container, const Stamp& stamp) {
  const auto ms = floor<milliseconds>(stamp.time.time_since_epoch()).count();
  return base32(static_cast<std::uint64_t>(ms), 10) + base32(hash(container), 8) +
         base32(stamp.seq, 8);
}

}  // namespace moat::policies
