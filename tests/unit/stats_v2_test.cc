#include "shim/cgroups/stats_v2.h"

#include <gtest/gtest.h>

#include "shim/cgroups/stats.h"
#include "tests/support/temp_dir.h"

namespace moat::shim {
namespace {

constexpr const char* kPressure =
    "some avg10=1.50 avg60=0.25 avg300=0.00 total=120\nfull avg10=0.00 avg60=0.00 avg300=0.00 "
    "total=60\n";

// The files of one group as the kernel's documentation shows them, below a folder of our own.
class StatsV2 : public testing::Test {
 protected:
  void SetUp() override {
    file("cgroup.procs", "42\n");
    file("cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma\n");
    file("pids.current", "3\n");
    file("pids.max", "max\n");
    file("cpu.stat",
         "usage_usec 9\nuser_usec 6\nsystem_usec 3\nnr_periods 1\nnr_throttled 2\n"
         "throttled_usec 4\nnr_bursts 5\nburst_usec 8\n");
    file("cpu.pressure", kPressure);
    file("memory.stat",
         "anon 126976\nfile 0\nkernel_stack 16384\nslab_reclaimable 100\nslab_unreclaimable 50\n"
         "slab 150\ninactive_file 77\npgfault 1\npgmajfault 2\nworkingset_refault_anon 31\n"
         "workingset_activate_file 32\nanon_thp 2097152\n");
    file("memory.current", "200704\n");
    file("memory.max", "67108864\n");
    file("memory.peak", "300000\n");
    file("memory.swap.current", "0\n");
    file("memory.swap.max", "max\n");
    file("memory.events", "low 1\nhigh 2\nmax 33\noom 2\noom_kill 1\noom_group_kill 1\n");
    file("memory.pressure", kPressure);
    file("io.stat",
         "8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0\n"
         "8:0 rbytes=90430464 wbytes=299008000 rios=8950 wios=1252 dbytes=50331648 dios=3021\n");
    file("io.pressure", kPressure);
    file("rdma.current",
         "mlx4_0 hca_handle=2 hca_object=2000\nocrdma1 hca_handle=1 hca_object=0\n");
    file("rdma.max", "mlx4_0 hca_handle=2 hca_object=2000\nocrdma1 hca_handle=3 hca_object=max\n");
    file("hugetlb.2MB.current", "2097152\n");
    file("hugetlb.2MB.max", "max\n");
    file("hugetlb.2MB.events", "max 4\n");
  }

  void file(const std::string& name, const std::string& text) const {
    dir_.file("pod/c/" + name, text);
  }
  Cgroup cgroup() const {
    auto found = Cgroup::in("0::/pod/c\n",
                            {dir_.path(), true, "0::/\n", [](const std::string&) { return true; }});
    return std::move(*found);
  }
  io::containerd::cgroups::v2::Metrics stats() const {
    const Cgroup group = cgroup();
    return stats_v2([&](std::string_view c, std::string_view f) { return group.read(c, f); },
                    {"1GB", "2MB"});
  }

  test::TempDir dir_;
};

TEST_F(StatsV2, EveryFileIsTold) {
  const auto metrics = stats();
  EXPECT_EQ(metrics.pids().current(), 3U);
  EXPECT_EQ(metrics.pids().limit(), ~0ULL);
  const auto& cpu = metrics.cpu();
  EXPECT_EQ(cpu.usage_usec() + cpu.user_usec() + cpu.system_usec(), 18U);
  EXPECT_EQ(cpu.nr_periods() + cpu.nr_throttled() + cpu.throttled_usec(), 7U);
  EXPECT_EQ(cpu.nr_bursts() + cpu.burst_usec(), 13U);
  EXPECT_DOUBLE_EQ(cpu.psi().some().avg10(), 1.5);
  EXPECT_DOUBLE_EQ(cpu.psi().some().avg60(), 0.25);
  EXPECT_EQ(cpu.psi().full().total(), 60U);
  const auto& memory = metrics.memory();
  EXPECT_EQ(memory.anon(), 126976U);
  EXPECT_EQ(memory.slab(), 150U);
  EXPECT_EQ(memory.inactive_file(), 77U);
  EXPECT_EQ(memory.workingset_refault_anon() + memory.workingset_activate_file(), 63U);
  EXPECT_EQ(memory.usage(), 200704U);
  EXPECT_EQ(memory.usage_limit(), 67108864U);
  EXPECT_EQ(memory.max_usage(), 300000U);
  EXPECT_EQ(memory.swap_limit(), ~0ULL);
  EXPECT_TRUE(memory.has_psi());
  const auto& events = metrics.memory_events();
  EXPECT_EQ(events.low() + events.high() + events.max(), 36U);
  EXPECT_EQ(events.oom(), 2U);
  EXPECT_EQ(events.oom_kill(), 1U);
  EXPECT_EQ(events.oom_group_kill(), 1U);
  ASSERT_EQ(metrics.io().usage_size(), 2);
  EXPECT_EQ(metrics.io().usage(0).minor(), 16U);
  EXPECT_EQ(metrics.io().usage(1).wbytes(), 299008000U);
  EXPECT_EQ(metrics.io().usage(1).rios(), 8950U);
  ASSERT_EQ(metrics.rdma().limit_size(), 2);
  EXPECT_EQ(metrics.rdma().limit(1).hca_objects(), UINT32_MAX);
  ASSERT_EQ(metrics.hugetlb_size(), 1) << "there are no files of the other size";
  EXPECT_EQ(metrics.hugetlb(0).pagesize(), "2MB");
  EXPECT_EQ(metrics.hugetlb(0).current(), 2097152U);
  EXPECT_EQ(metrics.hugetlb(0).max(), ~0ULL);
  EXPECT_EQ(metrics.hugetlb(0).failcnt(), 4U);
}

TEST_F(StatsV2, TheWireHasTheNumbersClientsRead) {
  Stats stats;
  auto& metrics = stats.emplace<io::containerd::cgroups::v2::Metrics>();
  metrics.mutable_memory()->set_usage(1);
  metrics.mutable_memory_events()->set_oom_kill(2);
  metrics.mutable_cpu()->set_usage_usec(3);
  EXPECT_EQ(to_wire(stats), std::string("\x12\x02\x08\x03"
                                        "\x22\x03\x80\x02\x01"
                                        "\x42\x02\x28\x02"));
  EXPECT_EQ(type_of(stats), "io.containerd.cgroups.v2.Metrics");
  EXPECT_EQ(type_of(empty_stats(false)), "io.containerd.cgroups.v1.Metrics");
}

TEST_F(StatsV2, WithoutControllersThePartsArePresentAndEmpty) {
  const test::TempDir empty;
  const auto metrics =
      stats_v2([](std::string_view, std::string_view) { return std::optional<std::string>(); }, {});
  EXPECT_TRUE(metrics.has_pids() && metrics.has_cpu() && metrics.has_memory());
  EXPECT_TRUE(metrics.has_rdma() && metrics.has_io());
  EXPECT_FALSE(metrics.has_memory_events());
  EXPECT_FALSE(metrics.cpu().has_psi() || metrics.memory().has_psi() || metrics.io().has_psi());
}

TEST_F(StatsV2, TimesOfAControllerThatIsNotGivenAreNotTold) {
  file("cgroup.controllers", "pids\n");
  EXPECT_EQ(stats().cpu().usage_usec(), 0U);
  EXPECT_EQ(stats().memory().anon(), 0U);
  EXPECT_EQ(stats().memory().usage(), 200704U);
}

TEST_F(StatsV2, PressureThatIsOffOrCannotBeUnderstoodIsAbsent) {
  for (const char* text : {"some avg10", "some avg10=x avg60=0 avg300=0 total=0",
                           "full avg10=0.00 avg60=0.00 avg300=0.00 total=-"}) {
    file("cpu.pressure", text);
    EXPECT_FALSE(stats().cpu().has_psi()) << text;
  }
  file("cpu.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
  EXPECT_TRUE(stats().cpu().psi().has_some());
  EXPECT_FALSE(stats().cpu().psi().has_full()) << "older kernels have no such line";
}

TEST_F(StatsV2, WhatCannotBeUnderstoodIsLeftOut) {
  for (const char* text : {"", "\n", "max 1 2", "99999999999999999999999", "8:16", "8:16 rbytes",
                           "8:16:3 rbytes=1", ":= =:", "\xff\xfe"}) {
    for (const char* name : {"cpu.stat", "memory.stat", "memory.current", "memory.max", "io.stat",
                             "rdma.current", "pids.max", "memory.events"})
      file(name, text);
    const auto metrics = stats();
    EXPECT_EQ(metrics.cpu().usage_usec() + metrics.memory().anon(), 0U) << text;
    EXPECT_EQ(metrics.memory().usage() + metrics.pids().limit(), 0U) << text;
    EXPECT_EQ(metrics.rdma().current_size(), 0) << text;
  }
}

TEST_F(StatsV2, AGroupThatIsGoneIsSaidToBe) {
  ASSERT_TRUE(read_stats(cgroup()));
  std::filesystem::remove_all(dir_.at("pod/c"));
  const auto gone = read_stats(cgroup());
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Code::NotFound);
}

TEST_F(StatsV2, KillsThatWereSeenAreNeverUntold) {
  Stats stats = empty_stats(true);
  raise_oom_kills(stats, 0);
  EXPECT_FALSE(std::get<io::containerd::cgroups::v2::Metrics>(stats).has_memory_events());
  raise_oom_kills(stats, 2);
  raise_oom_kills(stats, 1);
  EXPECT_EQ(std::get<io::containerd::cgroups::v2::Metrics>(stats).memory_events().oom_kill(), 2U);
}

TEST(StatText, PageSizesAreNamedAsTheKernelsFiles) {
  EXPECT_EQ(page_size_of("hugepages-64kB"), "64KB");
  EXPECT_EQ(page_size_of("hugepages-2048kB"), "2MB");
  EXPECT_EQ(page_size_of("hugepages-1048576kB"), "1GB");
  for (const char* name : {"", "hugepages-", "hugepages-kB", "hugepages-2048MB", "2048kB"})
    EXPECT_FALSE(page_size_of(name)) << name;
}

}  // namespace
}  // namespace moat::shim
