// Error codes as gRPC numbers them.
#pragma once

#include <cstdint>

#include "policies/result.h"

namespace moat::shim::ttrpc {

constexpr std::int32_t to_wire(Code code) {
  switch (code) {
    case Code::Canceled:
      return 1;
    case Code::Unknown:
      return 2;
    case Code::InvalidArgument:
      return 3;
    case Code::DeadlineExceeded:
      return 4;
    case Code::NotFound:
      return 5;
    case Code::AlreadyExists:
      return 6;
    case Code::PermissionDenied:
      return 7;
    case Code::ResourceExhausted:
      return 8;
    case Code::FailedPrecondition:
      return 9;
    case Code::Unimplemented:
      return 12;
    case Code::Internal:
      return 13;
    case Code::Unavailable:
      return 14;
  }
  return 2;
}

constexpr Code from_wire(std::int32_t code) {
  for (const Code known :
       {Code::Canceled, Code::InvalidArgument, Code::DeadlineExceeded, Code::NotFound,
        Code::AlreadyExists, Code::PermissionDenied, Code::ResourceExhausted,
        Code::FailedPrecondition, Code::Unimplemented, Code::Internal, Code::Unavailable})
    if (to_wire(known) == code) return known;
  return Code::Unknown;
}

}  // namespace moat::shim::ttrpc
