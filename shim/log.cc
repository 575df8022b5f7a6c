#include "shim/log.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>

#include "oci/fd.h"
#include "oci/sys.h"

namespace moat::shim {

namespace {

std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::Info:
      return "info";
    case LogLevel::Warning:
      return "warning";
    case LogLevel::Error:
      return "error";
  }
  return "?";
}

// The one place where foreign text enters the log: quotes, control bytes and newlines are escaped.
void append_quoted(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", byte);
      out += escaped;
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

void write_line(LogLevel level, std::string_view message, LogFields fields) {
  const std::string line = log_line(level, oci::utc_now().first, message, fields);
  // One write: lines of several writers of the FIFO do not mix below PIPE_BUF. EAGAIN loses it.
  [[maybe_unused]] const ssize_t n = ::write(2, line.data(), line.size());
}

}  // namespace

std::string log_line(LogLevel level, std::int64_t seconds, std::string_view message,
                     LogFields fields) {
  const time_t when = seconds;
  tm utc{};
  ::gmtime_r(&when, &utc);
  char stamp[32];
  ::strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &utc);
  std::string line = "time=\"";
  line += stamp;
  line += "\" level=";
  line += to_string(level);
  line += " msg=";
  append_quoted(line, message);
  for (const auto& [key, value] : fields) {
    line += ' ';
    line += key;
    line += '=';
    append_quoted(line, value);
  }
  line += '\n';
  return line;
}

void log_info(std::string_view message, LogFields fields) {
  write_line(LogLevel::Info, message, fields);
}

void log_warning(std::string_view message, LogFields fields) {
  write_line(LogLevel::Warning, message, fields);
}

void log_error(std::string_view message, LogFields fields) {
  write_line(LogLevel::Error, message, fields);
}

void log_to_fifo(const std::string& fifo) {
  const UniqueFd fd(::open(fifo.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (fd.valid()) ::dup2(fd.raw(), 2);
}

}  // namespace moat::shim
