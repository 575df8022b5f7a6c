#include "shim/events/publisher.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "oci/socket.h"
#include "shim/proto/events.pb.h"
#include "shim/proto/forward.pb.h"
#include "shim/ttrpc/server.h"
#include "tests/support/temp_dir.h"

namespace moat::shim {
namespace {

using std::chrono::milliseconds;

// Plays containerd: notes what is forwarded, and can be away.
class PublisherTest : public testing::Test {
 protected:
  void SetUp() override {
    registry_.add("containerd.services.events.ttrpc.v1.Events", "Forward",
                  [this](ttrpc::Call call, std::string_view payload, std::chrono::nanoseconds) {
                    receive(std::move(call), payload);
                  });
  }

  void receive(ttrpc::Call call, std::string_view payload) {
    containerd::services::events::ttrpc::v1::ForwardRequest request;
    ASSERT_TRUE(request.ParseFromArray(payload.data(), static_cast<int>(payload.size())));
    containerd::events::TaskStart event;
    ASSERT_TRUE(event.ParseFromString(request.envelope().event().value()));
    EXPECT_EQ(request.envelope().namespace_(), "ns");
    EXPECT_EQ(request.envelope().topic(), "/tasks/start");
    EXPECT_EQ(request.envelope().event().type_url(), "containerd.events.TaskStart");
    EXPECT_GT(request.envelope().timestamp().seconds(), 0);
    received_.push_back(event.pid());
    if (event.pid() == refused_) return call.fail(Code::InvalidArgument, "no such thing");
    call.ok();
  }

  void begin() {
    server_ = std::make_unique<ttrpc::Server>(*loop_, registry_);
    ASSERT_TRUE(server_->serve(std::move(*oci::listen_unix(path_, SOCK_STREAM, 0600))));
  }
  void end() {
    server_.reset();
    ::unlink(path_.c_str());
  }
  void publish(std::uint32_t pid) {
    containerd::events::TaskStart event;
    event.set_pid(pid);
    publisher_.publish("/tasks/start", "containerd.events.TaskStart", event);
  }
  void run(milliseconds time) {
    loop_->after(time, [&] { loop_->stop(); });
    loop_->run();
  }
  void flush() {
    bool flushed = false;
    publisher_.flush(milliseconds(3000), [&] {
      flushed = true;
      loop_->stop();
    });
    if (!flushed) loop_->run();
  }

  test::TempDir dir_;
  std::string path_ = dir_.at("events");
  std::unique_ptr<oci::Loop> loop_ = std::move(*oci::Loop::create());
  ttrpc::Registry registry_;
  std::unique_ptr<ttrpc::Server> server_;
  Publisher publisher_{*loop_, path_, "ns"};
  std::vector<std::uint32_t> received_;
  std::uint32_t refused_ = 0;
};

TEST_F(PublisherTest, KeepsTheOrder) {
  begin();
  std::vector<std::uint32_t> expected;
  for (std::uint32_t pid = 1; pid <= 50; ++pid) {
    publish(pid);
    expected.push_back(pid);
  }
  flush();
  EXPECT_EQ(received_, expected);
  EXPECT_EQ(publisher_.dropped(), 0U);
}

TEST_F(PublisherTest, WaitsForADaemonThatIsAwayAndForgetsNothing) {
  publish(1);
  publish(2);
  run(milliseconds(60));
  begin();
  run(milliseconds(400));
  EXPECT_EQ(received_, (std::vector<std::uint32_t>{1, 2}));
  end();
  publish(3);
  run(milliseconds(60));
  begin();
  run(milliseconds(400));
  EXPECT_EQ(received_, (std::vector<std::uint32_t>{1, 2, 3}));
}

TEST_F(PublisherTest, WhatIsRefusedForGoodIsDroppedCountedAndInNobodysWay) {
  begin();
  refused_ = 2;
  for (const std::uint32_t pid : {1U, 2U, 3U}) publish(pid);
  flush();
  EXPECT_EQ(received_, (std::vector<std::uint32_t>{1, 2, 3}));
  EXPECT_EQ(publisher_.dropped(), 1U);
}

TEST_F(PublisherTest, AFullQueueDropsTheOldestAndCountsIt) {
  for (std::uint32_t pid = 0; pid < kMaxQueuedEvents + 5; ++pid) publish(pid);
  EXPECT_EQ(publisher_.dropped(), 5U);
}

TEST_F(PublisherTest, AShutdownDoesNotWaitForADaemonThatIsGone) {
  publish(1);
  const auto begun = std::chrono::steady_clock::now();
  flush();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, milliseconds(1000));
}

}  // namespace
}  // namespace moat::shim
