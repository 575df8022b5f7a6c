// The shim's log: logrus-like lines on fd 2, which the server points at containerd's log FIFO.
// Never blocks and never fails: a line that does not fit is lost, the shim is not.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace moat::shim {

using LogFields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

enum class LogLevel { Info, Warning, Error };

// Pure, for tests. `seconds`: Unix time, UTC.
std::string log_line(LogLevel level, std::int64_t seconds, std::string_view message,
                     LogFields fields);

void log_info(std::string_view message, LogFields fields = {});
void log_warning(std::string_view message, LogFields fields = {});
void log_error(std::string_view message, LogFields fields = {});

// Opens `fifo` for reading and writing, so that a reader that has gone costs neither a SIGPIPE nor
// a wait, and makes it fd 2. A missing one leaves fd 2 as it is.
void log_to_fifo(const std::string& fifo);

}  // namespace moat::shim
