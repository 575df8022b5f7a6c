// SHA-256 (FIPS 180-4), for digests of policies and names of sockets. Not a secret's keeper.
#pragma once

#include <string>
#include <string_view>

namespace moat::oci {

std::string sha256_hex(std::string_view data);  // 64 lower-case hex digits

}  // namespace moat::oci
