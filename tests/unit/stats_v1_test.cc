#include "shim/cgroups/stats_v1.h"

#include <gtest/gtest.h>

#include <map>

namespace moat::shim {
namespace {

using Files = std::map<std::string, std::string>;

// What `cat` shows in a container's groups on a 6.1 hybrid.
Files documented() {
  Files files{
      {"pids/pids.current", "3\n"},
      {"pids/pids.max", "max\n"},
      {"cpu/cpu.stat", "nr_periods 7\nnr_throttled 2\nthrottled_time 900\nnr_bursts 0\n"},
      {"cpuacct/cpuacct.stat", "user 35\nsystem 1\n"},
      {"cpuacct/cpuacct.usage", "370091994\n"},
      {"cpuacct/cpuacct.usage_percpu", "276928173 93163821 \n"},
      {"memory/memory.stat",
       "cache 4096\nrss 8192\npgpgin 918\nhierarchical_memory_limit 67108864\n"
       "hierarchical_memsw_limit 9223372036854771712\ntotal_cache 5000\ntotal_inactive_file 17\n"},
      {"memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"},
      {"blkio/blkio.throttle.io_serviced",
       "254:0 Read 12\n254:0 Write 3\n254:0 Total 15\nTotal 15\n"},
      {"blkio/blkio.throttle.io_service_bytes", "254:0 Read 4096\nTotal 4096\n"},
      {"rdma/rdma.current", "mlx4_0 hca_handle=2 hca_object=2000\n"},
      {"rdma/rdma.max", "mlx4_0 hca_handle=max hca_object=3000\n"},
      {"hugetlb/hugetlb.2MB.usage_in_bytes", "2097152\n"},
      {"hugetlb/hugetlb.2MB.max_usage_in_bytes", "4194304\n"},
      {"hugetlb/hugetlb.2MB.failcnt", "1\n"},
  };
  for (const char* kind : {"", "memsw.", "kmem.", "kmem.tcp."})
    for (const char* file : {"usage_in_bytes", "max_usage_in_bytes", "failcnt", "limit_in_bytes"})
      files["memory/memory." + std::string(kind) + file] = "5\n";
  return files;
}

io::containerd::cgroups::v1::Metrics stats(const Files& files) {
  const ReadFile read = [&](std::string_view controller, std::string_view file) {
    const auto found = files.find(std::string(controller) + "/" + std::string(file));
    return found == files.end() ? std::nullopt : std::optional(found->second);
  };
  return stats_v1(read, {"major minor  #blocks  name\n\n 254        0  268435456 vda\n", {"2MB"}});
}

TEST(StatsV1, EveryFileIsTold) {
  const auto metrics = stats(documented());
  EXPECT_EQ(metrics.pids().current(), 3U);
  EXPECT_EQ(metrics.pids().limit(), 0U) << "no limit is told as none";
  EXPECT_EQ(metrics.cpu().throttling().periods(), 7U);
  EXPECT_EQ(metrics.cpu().throttling().throttled_time(), 900U);
  EXPECT_EQ(metrics.cpu().usage().total(), 370091994U);
  EXPECT_EQ(metrics.cpu().usage().user(), 350000000U);
  EXPECT_EQ(metrics.cpu().usage().kernel(), 10000000U);
  ASSERT_EQ(metrics.cpu().usage().per_cpu_size(), 2);
  EXPECT_EQ(metrics.cpu().usage().per_cpu(1), 93163821U);
  EXPECT_EQ(metrics.memory().cache(), 4096U);
  EXPECT_EQ(metrics.memory().pg_pg_in(), 918U);
  EXPECT_EQ(metrics.memory().hierarchical_swap_limit(), 9223372036854771712U);
  EXPECT_EQ(metrics.memory().total_inactive_file(), 17U);
  for (const auto* entry : {&metrics.memory().usage(), &metrics.memory().swap(),
                            &metrics.memory().kernel(), &metrics.memory().kernel_tcp()})
    EXPECT_EQ(entry->limit() + entry->usage() + entry->max() + entry->failcnt(), 20U);
  EXPECT_EQ(metrics.memory_oom_control().oom_kill(), 2U);
  ASSERT_EQ(metrics.blkio().io_serviced_recursive_size(), 3);
  const auto& entry = metrics.blkio().io_serviced_recursive(0);
  EXPECT_EQ(entry.op() + " " + entry.device(), "Read /dev/vda");
  EXPECT_EQ(entry.major() * 1000 + entry.minor() + entry.value(), 254012U);
  EXPECT_EQ(metrics.blkio().io_service_bytes_recursive_size(), 1);
  ASSERT_EQ(metrics.rdma().limit_size(), 1);
  EXPECT_EQ(metrics.rdma().limit(0).hca_handles(), UINT32_MAX);
  EXPECT_EQ(metrics.rdma().current(0).hca_objects(), 2000U);
  ASSERT_EQ(metrics.hugetlb_size(), 1);
  EXPECT_EQ(metrics.hugetlb(0).pagesize(), "2MB");
  EXPECT_EQ(metrics.hugetlb(0).failcnt(), 1U);
}

TEST(StatsV1, AControllerThatIsNotThereIsAbsentAndTheProcessorNever) {
  const auto metrics = stats({});
  EXPECT_TRUE(metrics.has_cpu() && metrics.cpu().has_usage() && metrics.cpu().has_throttling());
  EXPECT_FALSE(metrics.has_pids() || metrics.has_memory() || metrics.has_memory_oom_control());
  EXPECT_FALSE(metrics.has_blkio() || metrics.has_rdma() || metrics.hugetlb_size() > 0);
}

TEST(StatsV1, WithoutSwapAccountingTheRestOfMemoryIsPresentAndEmpty) {
  Files files = documented();
  files.erase("memory/memory.memsw.usage_in_bytes");
  const auto memory = stats(files).memory();
  EXPECT_EQ(memory.usage().usage(), 5U);
  EXPECT_TRUE(memory.has_swap() && memory.has_kernel() && memory.has_kernel_tcp());
  EXPECT_EQ(memory.kernel().usage(), 0U);
}

TEST(StatsV1, TheSchedulersCountsComeBeforeThrottlings) {
  Files files = documented();
  for (const char* file : {"sectors", "io_service_bytes", "io_serviced", "io_queued",
                           "io_service_time", "io_wait_time", "io_merged", "time"})
    files["blkio/blkio." + std::string(file) + "_recursive"] = "8:0 77\nTotal 77\n";
  const auto metrics = stats(files);
  ASSERT_EQ(metrics.blkio().io_serviced_recursive_size(), 1);
  EXPECT_EQ(metrics.blkio().io_serviced_recursive(0).value(), 77U);
  EXPECT_EQ(metrics.blkio().io_serviced_recursive(0).device(), "") << "8:0 is no partition here";
  EXPECT_EQ(metrics.blkio().sectors_recursive_size(), 1);
}

TEST(StatsV1, WhatCannotBeUnderstoodIsLeftOut) {
  for (const char* text : {"", "\n\n", "max", "-1", "99999999999999999999999", "a b c d e f",
                           "user", "254:", ":::", "= = ="}) {
    Files files = documented();
    for (auto& [name, content] : files) content = text;
    const auto metrics = stats(files);
    EXPECT_LE(metrics.cpu().usage().per_cpu_size(), 1) << text;
    EXPECT_EQ(metrics.blkio().io_serviced_recursive_size(), 0) << text;
    EXPECT_EQ(metrics.rdma().current_size(), 0) << text;
  }
}

}  // namespace
}  // namespace moat::shim
