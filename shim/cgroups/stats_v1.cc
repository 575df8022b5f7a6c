#include "shim/cgroups/stats_v1.h"

#include <array>
#include <map>

namespace moat::shim {

namespace v1 = io::containerd::cgroups::v1;

namespace {

std::optional<std::uint64_t> number(const ReadFile& read, std::string_view controller,
                                    const std::string& file) {
  const auto text = read(controller, file);
  return text ? parse_number(*text) : std::nullopt;
}

// Here "no limit" is told as no number, as runc's shim does.
std::uint64_t limited(std::uint64_t value) {
  return value == kNoLimit ? 0 : value;
}

void add_pids(const ReadFile& read, v1::Metrics& metrics) {
  const auto current = number(read, "pids", "pids.current");
  const auto limit = number(read, "pids", "pids.max");
  if (!current || !limit) return;
  metrics.mutable_pids()->set_current(*current);
  metrics.mutable_pids()->set_limit(limited(*limit));
}

void add_cpu(const ReadFile& read, v1::Metrics& metrics) {
  auto& throttling = *metrics.mutable_cpu()->mutable_throttling();
  auto& usage = *metrics.mutable_cpu()->mutable_usage();
  if (const auto text = read("cpu", "cpu.stat")) {
    throttling.set_periods(value_of(*text, "nr_periods"));
    throttling.set_throttled_periods(value_of(*text, "nr_throttled"));
    throttling.set_throttled_time(value_of(*text, "throttled_time"));
  }
  const auto ticks = read("cpuacct", "cpuacct.stat");
  const auto total = number(read, "cpuacct", "cpuacct.usage");
  const auto each = read("cpuacct", "cpuacct.usage_percpu");
  if (!ticks || !total || !each) return;
  constexpr std::uint64_t kTick = 10'000'000;  // nanoseconds: USER_HZ is 100 on every platform
  usage.set_total(*total);
  usage.set_user(value_of(*ticks, "user") * kTick);
  usage.set_kernel(value_of(*ticks, "system") * kTick);
  for (const std::string_view word : split_words(*each, " \n"))
    if (const auto value = parse_number(word)) usage.add_per_cpu(*value);
}

struct MemoryField {
  std::string_view key;
  void (v1::MemoryStat::*set)(std::uint64_t);
};
using M = v1::MemoryStat;
constexpr std::array kMemoryFields{
    MemoryField{"cache", &M::set_cache},
    MemoryField{"rss", &M::set_rss},
    MemoryField{"rss_huge", &M::set_rss_huge},
    MemoryField{"mapped_file", &M::set_mapped_file},
    MemoryField{"dirty", &M::set_dirty},
    MemoryField{"writeback", &M::set_writeback},
    MemoryField{"pgpgin", &M::set_pg_pg_in},
    MemoryField{"pgpgout", &M::set_pg_pg_out},
    MemoryField{"pgfault", &M::set_pg_fault},
    MemoryField{"pgmajfault", &M::set_pg_maj_fault},
    MemoryField{"inactive_anon", &M::set_inactive_anon},
    MemoryField{"active_anon", &M::set_active_anon},
    MemoryField{"inactive_file", &M::set_inactive_file},
    MemoryField{"active_file", &M::set_active_file},
    MemoryField{"unevictable", &M::set_unevictable},
    MemoryField{"hierarchical_memory_limit", &M::set_hierarchical_memory_limit},
    MemoryField{"hierarchical_memsw_limit", &M::set_hierarchical_swap_limit},
    MemoryField{"total_cache", &M::set_total_cache},
    MemoryField{"total_rss", &M::set_total_rss},
    MemoryField{"total_rss_huge", &M::set_total_rss_huge},
    MemoryField{"total_mapped_file", &M::set_total_mapped_file},
    MemoryField{"total_dirty", &M::set_total_dirty},
    MemoryField{"total_writeback", &M::set_total_writeback},
    MemoryField{"total_pgpgin", &M::set_total_pg_pg_in},
    MemoryField{"total_pgpgout", &M::set_total_pg_pg_out},
    MemoryField{"total_pgfault", &M::set_total_pg_fault},
    MemoryField{"total_pgmajfault", &M::set_total_pg_maj_fault},
    MemoryField{"total_inactive_anon", &M::set_total_inactive_anon},
    MemoryField{"total_active_anon", &M::set_total_active_anon},
    MemoryField{"total_inactive_file", &M::set_total_inactive_file},
    MemoryField{"total_active_file", &M::set_total_active_file},
    MemoryField{"total_unevictable", &M::set_total_unevictable},
};

// Of the four kinds in the order they are read; the first file that is missing (a kernel without
// swap accounting) ends it, in runc's shim as well.
void add_memory_entries(const ReadFile& read, v1::MemoryStat& memory) {
  struct Kind {
    const char* prefix;
    v1::MemoryEntry* entry;
  };
  struct Field {
    const char* file;
    void (v1::MemoryEntry::*set)(std::uint64_t);
  };
  constexpr std::array kFields{Field{"usage_in_bytes", &v1::MemoryEntry::set_usage},
                               Field{"max_usage_in_bytes", &v1::MemoryEntry::set_max},
                               Field{"failcnt", &v1::MemoryEntry::set_failcnt},
                               Field{"limit_in_bytes", &v1::MemoryEntry::set_limit}};
  const std::array kinds{Kind{"memory.", memory.mutable_usage()},
                         Kind{"memory.memsw.", memory.mutable_swap()},
                         Kind{"memory.kmem.", memory.mutable_kernel()},
                         Kind{"memory.kmem.tcp.", memory.mutable_kernel_tcp()}};
  for (const Kind& kind : kinds)
    for (const Field& field : kFields) {
      const auto value = number(read, "memory", std::string(kind.prefix) + field.file);
      if (!value) return;
      (kind.entry->*field.set)(limited(*value));
    }
}

void add_memory(const ReadFile& read, v1::Metrics& metrics) {
  const auto text = read("memory", "memory.stat");
  if (!text) return;
  auto& memory = *metrics.mutable_memory();
  each_pair(*text, [&](std::string_view key, std::uint64_t value) {
    for (const MemoryField& field : kMemoryFields)
      if (field.key == key) (memory.*field.set)(value);
  });
  const auto control = read("memory", "memory.oom_control");
  if (control) {
    auto& oom = *metrics.mutable_memory_oom_control();
    oom.set_oom_kill_disable(value_of(*control, "oom_kill_disable"));
    oom.set_under_oom(value_of(*control, "under_oom"));
    oom.set_oom_kill(value_of(*control, "oom_kill"));
  }
  add_memory_entries(read, memory);
}

using Devices = std::map<std::pair<std::uint64_t, std::uint64_t>, std::string>;

Devices devices_of(std::string_view partitions) {
  Devices devices;
  for (const std::string_view line : split_lines(partitions)) {
    const auto words = split_words(line);
    if (words.size() != 4) continue;
    const auto major = parse_number(words[0]), minor = parse_number(words[1]);
    if (major && minor) devices.try_emplace({*major, *minor}, "/dev/" + std::string(words[3]));
  }
  return devices;
}

using Entries = google::protobuf::RepeatedPtrField<v1::BlkIOEntry>;

// Lines are "MAJOR:MINOR OPERATION VALUE" or "MAJOR:MINOR VALUE", and a total of all. False: the
// file is not there.
bool add_entries(const ReadFile& read, const std::string& file, const Devices& devices,
                 Entries& entries) {
  const auto text = read("blkio", "blkio." + file);
  if (!text) return false;
  for (const std::string_view line : split_lines(*text)) {
    const auto words = split_words(line, " :");
    if (words.size() != 3 && words.size() != 4) continue;
    const auto major = parse_number(words[0]), minor = parse_number(words[1]);
    const auto value = parse_number(words.back());
    if (!major || !minor || !value) continue;
    auto& entry = *entries.Add();
    if (words.size() == 4) entry.set_op(std::string(words[2]));
    if (const auto found = devices.find({*major, *minor}); found != devices.end())
      entry.set_device(found->second);
    entry.set_major(*major);
    entry.set_minor(*minor);
    entry.set_value(*value);
  }
  return true;
}

void add_blkio(const ReadFile& read, const MachineText& machine, v1::Metrics& metrics) {
  if (!read("blkio", "blkio.throttle.io_serviced") && !read("blkio", "blkio.reset_stats") &&
      !read("blkio", "cgroup.procs"))
    return;
  auto& io = *metrics.mutable_blkio();
  const Devices devices = devices_of(machine.partitions);
  if (read("blkio", "blkio.io_serviced_recursive")) {
    struct File {
      const char* name;
      Entries* entries;
    };
    const std::array files{
        File{"sectors_recursive", io.mutable_sectors_recursive()},
        File{"io_service_bytes_recursive", io.mutable_io_service_bytes_recursive()},
        File{"io_serviced_recursive", io.mutable_io_serviced_recursive()},
        File{"io_queued_recursive", io.mutable_io_queued_recursive()},
        File{"io_service_time_recursive", io.mutable_io_service_time_recursive()},
        File{"io_wait_time_recursive", io.mutable_io_wait_time_recursive()},
        File{"io_merged_recursive", io.mutable_io_merged_recursive()},
        File{"time_recursive", io.mutable_io_time_recursive()}};
    bool any = false;
    for (const File& file : files) {
      if (!add_entries(read, file.name, devices, *file.entries)) return;
      any |= !file.entries->empty();
    }
    if (any) return;
  }
  // The devices' scheduler counts nothing by group: what throttling counted is left.
  if (add_entries(read, "throttle.io_serviced", devices, *io.mutable_io_serviced_recursive()))
    add_entries(read, "throttle.io_service_bytes", devices,
                *io.mutable_io_service_bytes_recursive());
}

void add_rdma(const ReadFile& read, v1::Metrics& metrics) {
  const auto current = read("rdma", "rdma.current");
  const auto limit = read("rdma", "rdma.max");
  // A device that went between the two reads would put one's numbers beside another's limits.
  if (!current || !limit || split_lines(*current).size() != split_lines(*limit).size()) return;
  const auto add = [](std::string_view text, auto& entries) {
    for (const std::string_view line : split_lines(text)) {
      const auto parsed = parse_rdma(line);
      if (!parsed) continue;
      auto& entry = *entries.Add();
      entry.set_device(std::string(parsed->device));
      entry.set_hca_handles(parsed->handles);
      entry.set_hca_objects(parsed->objects);
    }
  };
  add(*current, *metrics.mutable_rdma()->mutable_current());
  add(*limit, *metrics.mutable_rdma()->mutable_limit());
}

void add_hugetlb(const ReadFile& read, const MachineText& machine, v1::Metrics& metrics) {
  for (const std::string& size : machine.page_sizes) {
    const std::string prefix = "hugetlb." + size + ".";
    const auto usage = number(read, "hugetlb", prefix + "usage_in_bytes");
    const auto max = number(read, "hugetlb", prefix + "max_usage_in_bytes");
    const auto failures = number(read, "hugetlb", prefix + "failcnt");
    if (!usage || !max || !failures) return;
    auto& entry = *metrics.add_hugetlb();
    entry.set_usage(*usage);
    entry.set_max(*max);
    entry.set_failcnt(*failures);
    entry.set_pagesize(size);
  }
}

}  // namespace

v1::Metrics stats_v1(const ReadFile& read, const MachineText& machine) {
  v1::Metrics metrics;
  add_hugetlb(read, machine, metrics);
  add_pids(read, metrics);
  add_cpu(read, metrics);
  add_memory(read, metrics);
  add_blkio(read, machine, metrics);
  add_rdma(read, metrics);
  return metrics;
}

}  // namespace moat::shim
