#include "shim/ctl/events.h"

#include <sys/resource.h>

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "shim/ctl/log_files.h"
#include "shim/ctl/log_watch.h"
#include "shim/ctl/merge.h"
#include "shim/ctl/tail.h"

namespace moat::shim::ctl {

namespace {

// A node's files are all open at once; the soft limit is for programs that use select().
void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

// The events of one file that pass the filter; what is not an event is counted.
class FileSource : public Source {
 public:
  FileSource(Tail tail, const EventsOptions& options, std::uint64_t& bad)
      : tail_(std::move(tail)), options_(&options), bad_(&bad) {}

  std::optional<EventLine> next() override {
    for (;;) {
      auto line = tail_.next();
      if (!line && !options_->follow) line = tail_.rest();
      if (!line) return std::nullopt;
      auto event = parse_event_line(*line);
      if (!event)
        ++*bad_;
      else if (options_->filter.matches(*event))
        return event;
    }
  }
  [[nodiscard]] const Tail& tail() const { return tail_; }

 private:
  Tail tail_;
  const EventsOptions* options_;
  std::uint64_t* bad_;
};

class Stream {
 public:
  explicit Stream(const EventsOptions& options) : options_(options) {}

  Status read_once() {
    const auto folders = log_folders(options_.log_dir);
    if (!folders) return fail(folders.error());
    open_files(*folders);
    return show_all();
  }
  Status follow();
  [[nodiscard]] std::uint64_t bad() const { return bad_; }

 private:
  Status look_again(LogWatch& watch);
  void open_files(const LogFolders& folders);
  Status show(const std::vector<Source*>& sources);
  Status show_all();
  Status show_in(const std::set<std::string>& folders);

  const EventsOptions& options_;
  std::map<std::string, FileSource> files_;  // by path
  std::set<std::string> unreadable_;         // said once
  std::uint64_t bad_ = 0;
};

void Stream::open_files(const LogFolders& folders) {
  for (const std::string& path : log_files(folders)) {
    if (files_.contains(path)) continue;
    auto tail = Tail::open(path);
    if (tail)
      files_.emplace(path, FileSource(std::move(*tail), options_, bad_));
    else if (tail.error().code != Code::NotFound && unreadable_.insert(path).second)
      warn("left out: " + tail.error().what);
  }
}

Status Stream::show(const std::vector<Source*>& sources) {
  constexpr std::size_t kBlock = 64U << 10;  // what a pipe takes at once
  std::string text;
  Status shown;
  merge(sources, [&](const EventLine& event) {
    text += options_.format == Format::Json ? event.raw + "\n" : plain(event);
    if (text.size() < kBlock) return true;
    shown = print(std::exchange(text, {}));
    return shown.has_value();
  });
  return shown ? print(text) : shown;
}

Status Stream::show_all() {
  std::vector<Source*> sources;
  for (auto& [path, source] : files_) sources.push_back(&source);
  return show(sources);
}

Status Stream::show_in(const std::set<std::string>& folders) {
  std::vector<Source*> sources;
  for (auto& [path, source] : files_)
    if (folders.contains(path.substr(0, path.rfind('/')))) sources.push_back(&source);
  return show(sources);
}

// A folder is watched before it is listed, and listing goes on until no new folder appears: what
// is made in between is seen by one or the other.
Status Stream::look_again(LogWatch& watch) {
  for (bool more = true; more;) {
    more = false;
    const auto folders = log_folders(options_.log_dir);
    if (!folders) return fail(folders.error());
    for (const std::string& folder : folders->all) {
      const auto added = watch.add(folder);
      if (!added) return fail(added.error());
      more = more || *added;
    }
    if (!more) open_files(*folders);
  }
  if (auto shown = show_all(); !shown) return shown;
  std::erase_if(files_, [](const auto& file) { return file.second.tail().removed(); });
  return {};
}

Status Stream::follow() {
  auto watch = LogWatch::create();
  if (!watch) return fail(std::move(watch.error()));
  if (auto looked = look_again(*watch); !looked) return looked;
  for (;;) {
    const auto changes = watch->wait();
    if (!changes) return fail(changes.error());
    if (changes->stop) return {};
    if (auto shown = changes->names ? look_again(*watch) : show_in(changes->folders); !shown)
      return shown;
  }
}

}  // namespace

Exit events(const EventsOptions& options) {
  raise_file_limit();
  Stream stream(options);
  const Status done = options.follow ? stream.follow() : stream.read_once();
  if (stream.bad() > 0)
    warn(std::to_string(stream.bad()) + (stream.bad() == 1 ? " line was" : " lines were") +
         " not an event and left out");
  if (done) return Exit::Fine;
  warn("cannot show events: " + done.error().what);
  return Exit::Failure;
}

}  // namespace moat::shim::ctl
