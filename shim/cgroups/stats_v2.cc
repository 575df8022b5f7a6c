#include "shim/cgroups/stats_v2.h"

#include <algorithm>
#include <array>

namespace moat::shim {

namespace v2 = io::containerd::cgroups::v2;

namespace {

std::uint64_t number(const ReadFile& read, const std::string& file) {
  const auto text = read("", file);
  return text ? parse_number(*text).value_or(0) : 0;
}

template <class Message>
struct Field {
  std::string_view key;
  void (Message::*set)(std::uint64_t);
};

template <class Message, std::size_t Count>
void fill(const std::string& text, const std::array<Field<Message>, Count>& fields,
          Message& message) {
  each_pair(text, [&](std::string_view key, std::uint64_t value) {
    for (const auto& field : fields)
      if (field.key == key) (message.*field.set)(value);
  });
}

using C = v2::CPUStat;
constexpr std::array<Field<C>, 8> kCpu{{
    {"usage_usec", &C::set_usage_usec},
    {"user_usec", &C::set_user_usec},
    {"system_usec", &C::set_system_usec},
    {"nr_periods", &C::set_nr_periods},
    {"nr_throttled", &C::set_nr_throttled},
    {"throttled_usec", &C::set_throttled_usec},
    {"nr_bursts", &C::set_nr_bursts},
    {"burst_usec", &C::set_burst_usec},
}};

using M = v2::MemoryStat;
constexpr std::array<Field<M>, 35> kMemory{{
    {"anon", &M::set_anon},
    {"file", &M::set_file},
    {"kernel_stack", &M::set_kernel_stack},
    {"slab", &M::set_slab},
    {"sock", &M::set_sock},
    {"shmem", &M::set_shmem},
    {"file_mapped", &M::set_file_mapped},
    {"file_dirty", &M::set_file_dirty},
    {"file_writeback", &M::set_file_writeback},
    {"anon_thp", &M::set_anon_thp},
    {"inactive_anon", &M::set_inactive_anon},
    {"active_anon", &M::set_active_anon},
    {"inactive_file", &M::set_inactive_file},
    {"active_file", &M::set_active_file},
    {"unevictable", &M::set_unevictable},
    {"slab_reclaimable", &M::set_slab_reclaimable},
    {"slab_unreclaimable", &M::set_slab_unreclaimable},
    {"pgfault", &M::set_pgfault},
    {"pgmajfault", &M::set_pgmajfault},
    {"workingset_refault", &M::set_workingset_refault},
    {"workingset_activate", &M::set_workingset_activate},
    {"workingset_nodereclaim", &M::set_workingset_nodereclaim},
    {"pgrefill", &M::set_pgrefill},
    {"pgscan", &M::set_pgscan},
    {"pgsteal", &M::set_pgsteal},
    {"pgactivate", &M::set_pgactivate},
    {"pgdeactivate", &M::set_pgdeactivate},
    {"pglazyfree", &M::set_pglazyfree},
    {"pglazyfreed", &M::set_pglazyfreed},
    {"thp_fault_alloc", &M::set_thp_fault_alloc},
    {"thp_collapse_alloc", &M::set_thp_collapse_alloc},
    {"workingset_refault_anon", &M::set_workingset_refault_anon},
    {"workingset_refault_file", &M::set_workingset_refault_file},
    {"workingset_activate_anon", &M::set_workingset_activate_anon},
    {"workingset_activate_file", &M::set_workingset_activate_file},
}};

using E = v2::MemoryEvents;
constexpr std::array<Field<E>, 6> kEvents{{
    {"low", &E::set_low},
    {"high", &E::set_high},
    {"max", &E::set_max},
    {"oom", &E::set_oom},
    {"oom_kill", &E::set_oom_kill},
    {"oom_group_kill", &E::set_oom_group_kill},
}};

// The kernel writes hundredths ("%lu.%02lu"). The library's reader of any number at all would put
// libm and much of libstdc++ into every shim.
std::optional<double> parse_share(std::string_view text) {
  const std::size_t point = text.find('.');
  if (point == std::string_view::npos || text.size() != point + 3) return {};
  const auto whole = parse_number(text.substr(0, point)),
             rest = parse_number(text.substr(point + 1));
  if (!whole || !rest) return {};
  return static_cast<double>(*whole * 100 + *rest) / 100;
}

// "avg10=0.00 avg60=0.00 avg300=0.00 total=0" without its first word.
bool parse_pressure_line(const std::vector<std::string_view>& words, v2::PSIData& data) {
  for (const std::string_view word : words) {
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view key = word.substr(0, equals), text = word.substr(equals + 1);
    const auto share = parse_share(text);
    const auto total = parse_number(text);
    if (key == "total" ? !total : !share) return false;
    if (key == "avg10") data.set_avg10(*share);
    if (key == "avg60") data.set_avg60(*share);
    if (key == "avg300") data.set_avg300(*share);
    if (key == "total") data.set_total(*total);
  }
  return true;
}

// Absent without pressure accounting (psi=0 makes reading fail), and when it cannot be understood.
template <class Message>
void add_pressure(const ReadFile& read, const std::string& file, Message& message) {
  const auto text = read("", file);
  if (!text) return;
  v2::PSIStats stats;
  for (const std::string_view line : split_lines(*text)) {
    auto words = split_words(line);
    const std::string_view kind = words.empty() ? std::string_view() : words.front();
    if (kind != "some" && kind != "full") continue;
    words.erase(words.begin());
    if (!parse_pressure_line(words, kind == "some" ? *stats.mutable_some() : *stats.mutable_full()))
      return;
  }
  *message.mutable_psi() = stats;
}

void add_memory(const ReadFile& read, const std::string& controllers, v2::MemoryStat& memory) {
  const auto names = split_words(controllers, " \n");
  if (std::ranges::find(names, "memory") != names.end())
    fill(read("", "memory.stat").value_or(""), kMemory, memory);
  memory.set_usage(number(read, "memory.current"));
  memory.set_usage_limit(number(read, "memory.max"));
  memory.set_max_usage(number(read, "memory.peak"));
  memory.set_swap_usage(number(read, "memory.swap.current"));
  memory.set_swap_limit(number(read, "memory.swap.max"));
  memory.set_swap_max_usage(number(read, "memory.swap.peak"));
  add_pressure(read, "memory.pressure", memory);
}

// "8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0"
void add_io(const ReadFile& read, v2::IOStat& io) {
  const auto text = read("", "io.stat");
  for (const std::string_view line : split_lines(text ? *text : std::string_view())) {
    const auto words = split_words(line);
    if (words.size() < 2) continue;
    const auto device = split_words(words[0], ":");
    if (device.size() != 2) continue;
    const auto major = parse_number(device[0]), minor = parse_number(device[1]);
    if (!major || !minor) continue;
    auto& entry = *io.add_usage();
    entry.set_major(*major);
    entry.set_minor(*minor);
    for (std::size_t i = 1; i < words.size(); ++i) {
      const auto pair = split_words(words[i], "=");
      const auto value = pair.size() == 2 ? parse_number(pair[1]) : std::nullopt;
      if (!value) continue;
      if (pair[0] == "rbytes") entry.set_rbytes(*value);
      if (pair[0] == "wbytes") entry.set_wbytes(*value);
      if (pair[0] == "rios") entry.set_rios(*value);
      if (pair[0] == "wios") entry.set_wios(*value);
    }
  }
  add_pressure(read, "io.pressure", io);
}

template <class Entries>
void add_rdma(const std::optional<std::string>& text, Entries& entries) {
  for (const std::string_view line : split_lines(text ? *text : std::string_view())) {
    const auto parsed = parse_rdma(line);
    if (!parsed) continue;
    auto& entry = *entries.Add();
    entry.set_device(std::string(parsed->device));
    entry.set_hca_handles(parsed->handles);
    entry.set_hca_objects(parsed->objects);
  }
}

}  // namespace

v2::MemoryEvents parse_memory_events(std::string_view text) {
  v2::MemoryEvents events;
  fill(std::string(text), kEvents, events);
  return events;
}

v2::Metrics stats_v2(const ReadFile& read, const std::vector<std::string>& page_sizes) {
  v2::Metrics metrics;
  const std::string controllers = read("", "cgroup.controllers").value_or("");
  metrics.mutable_pids()->set_current(number(read, "pids.current"));
  metrics.mutable_pids()->set_limit(number(read, "pids.max"));
  auto& cpu = *metrics.mutable_cpu();
  const auto names = split_words(controllers, " \n");
  if (std::ranges::find(names, "cpu") != names.end())
    fill(read("", "cpu.stat").value_or(""), kCpu, cpu);
  add_pressure(read, "cpu.pressure", cpu);
  add_memory(read, controllers, *metrics.mutable_memory());
  add_rdma(read("", "rdma.current"), *metrics.mutable_rdma()->mutable_current());
  add_rdma(read("", "rdma.max"), *metrics.mutable_rdma()->mutable_limit());
  add_io(read, *metrics.mutable_io());
  for (const std::string& size : page_sizes) {
    // Zeros of a controller that is not in use would say that it is.
    const auto current = read("", "hugetlb." + size + ".current");
    if (!current) continue;
    auto& pages = *metrics.add_hugetlb();
    pages.set_pagesize(size);
    pages.set_current(parse_number(*current).value_or(0));
    pages.set_max(number(read, "hugetlb." + size + ".max"));
    // runc's shim reads the whole of "max 0" as one number here and gets none; we read it.
    if (const auto events = read("", "hugetlb." + size + ".events"))
      pages.set_failcnt(value_of(*events, "max"));
  }
  if (const auto text = read("", "memory.events"); text && !text->empty())
    *metrics.mutable_memory_events() = parse_memory_events(*text);
  return metrics;
}

}  // namespace moat::shim
