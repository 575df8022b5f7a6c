// A failure is a value: what kind, which errno if the kernel said it, and a sentence for a person.
// Callers branch on `code`; nobody branches on text.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace moat {

enum class Code {
  Unknown,
  InvalidArgument,
  NotFound,
  AlreadyExists,
  PermissionDenied,
  ResourceExhausted,
  FailedPrecondition,
  Unimplemented,
  Internal,
  Unavailable,
  DeadlineExceeded,
  Canceled,
};

struct Error {
  Code code = Code::Unknown;
  int err = 0;  // errno, or 0 when the kernel was not asked
  std::string what;

  // Adds where it happened, newest first: "create: config.json: not a JSON object".
  [[nodiscard]] Error in(std::string_view where) && {
    what.insert(0, std::string(where) + ": ");
    return std::move(*this);
  }
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(Code code, std::string what) {
  return tl::unexpected<Error>(Error{code, 0, std::move(what)});
}

inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

constexpr Code code_of_errno(int err) {
  switch (err) {
    case ENOENT:
    case ESRCH:
      return Code::NotFound;
    case EEXIST:
      return Code::AlreadyExists;
    case EACCES:
    case EPERM:
      return Code::PermissionDenied;
    case EINVAL:
    case ENAMETOOLONG:
      return Code::InvalidArgument;
    case EMFILE:
    case ENFILE:
    case ENOSPC:
    case ENOMEM:
      return Code::ResourceExhausted;
    case ETIMEDOUT:
      return Code::DeadlineExceeded;
    default:
      return Code::Unknown;
  }
}

// The message ends with the kernel's words: "open /run/x: No such file or directory".
inline tl::unexpected<Error> fail_errno(int err, std::string what) {
  what += ": ";
  what += strerrordesc_np(err) ? strerrordesc_np(err) : "unknown error";
  return tl::unexpected<Error>(Error{code_of_errno(err), err, std::move(what)});
}

}  // namespace moat
