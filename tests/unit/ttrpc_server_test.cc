#include "shim/ttrpc/server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "oci/socket.h"
#include "oci/sys.h"
#include "shim/proto/ttrpc.pb.h"
#include "shim/ttrpc/client.h"

namespace moat::shim::ttrpc {
namespace {

using std::chrono::milliseconds;

// A server on the test's thread; the client's part of a test runs beside it and blocks.
class TtrpcServer : public testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/moat-ttrpc.XXXXXX";
    ASSERT_NE(::mkdtemp(folder), nullptr);
    folder_ = folder;
    loop_ = std::move(*oci::Loop::create());
    registry_.add("S", "Echo", [](Call call, std::string_view payload, std::chrono::nanoseconds) {
      call.ok(std::string(payload));
    });
    registry_.add("S", "Forget", [](Call, std::string_view, std::chrono::nanoseconds) {});
    registry_.add("S", "Hold", [this](Call call, std::string_view, std::chrono::nanoseconds) {
      held_.push_back(std::move(call));
    });
    registry_.add("S", "Release", [this](Call call, std::string_view, std::chrono::nanoseconds) {
      for (Call& held : held_) held.ok("released");
      held_.clear();
      call.ok();
    });
    registry_.add("S", "Refuse", [](Call call, std::string_view, std::chrono::nanoseconds) {
      call.fail(Code::FailedPrecondition, "not now");
    });
    registry_.add("S", "Large", [](Call call, std::string_view, std::chrono::nanoseconds) {
      call.ok(std::string(kMaxPayload - 100, 'x'));
    });
    server_ = std::make_unique<Server>(*loop_, registry_);
    auto listener = oci::listen_unix(path(), SOCK_STREAM, 0600);
    ASSERT_TRUE(listener);
    ASSERT_TRUE(server_->serve(std::move(*listener)));
  }

  void TearDown() override {
    server_.reset();
    (void)oci::remove_tree(folder_);
  }

  std::string path() const { return folder_ + "/s"; }

  void with_client(const std::function<void()>& client) {
    std::atomic<bool> done = false;
    std::thread thread([&] {
      client();
      done = true;
    });
    std::function<void()> watch = [&] {
      if (done) return loop_->stop();
      loop_->after(milliseconds(2), watch);
    };
    watch();
    loop_->run();
    thread.join();
  }

  Outgoing to(std::string method, std::string payload = "") const {
    return {"S", std::move(method), std::move(payload), {}, milliseconds(5000)};
  }

  std::string folder_;
  std::unique_ptr<oci::Loop> loop_;
  Registry registry_;
  std::vector<Call> held_;
  std::unique_ptr<Server> server_;
};

// Speaks frames, so that it can say what no client would.
struct RawClient {
  explicit RawClient(const std::string& path) : socket(*oci::connect_unix(path, SOCK_STREAM)) {}
  void say(std::string_view bytes) const { EXPECT_TRUE(oci::write_all(socket.raw(), bytes)); }
  void request(std::uint32_t stream, const Outgoing& call) const {
    say(encode_frame(stream, kRequest, encode_request(call)));
  }
  // "STREAM code text", "STREAM ok payload", "closed", or "silence".
  std::string hear(int patience_ms = 5000) {
    for (;;) {
      if (const auto frame = reader.next()) {
        const std::string stream = std::to_string(frame->stream) + " ";
        const auto answer = decode_response(frame->payload);
        if (answer) return stream + "ok " + *answer;
        return stream + std::to_string(static_cast<int>(answer.error().code)) + " " +
               answer.error().what;
      }
      pollfd entry{socket.raw(), POLLIN, 0};
      if (::poll(&entry, 1, patience_ms) == 0) return "silence";
      char buffer[65536];
      const ssize_t n = ::recv(socket.raw(), buffer, sizeof buffer, 0);
      if (n <= 0) return "closed";
      reader.push({buffer, static_cast<std::size_t>(n)});
    }
  }
  static std::string error(std::uint32_t stream, Code code, const std::string& what) {
    return std::to_string(stream) + " " + std::to_string(static_cast<int>(code)) + " " + what;
  }
  UniqueFd socket;
  FrameReader reader;
};

TEST_F(TtrpcServer, AnswersWhatAHandlerSays) {
  with_client([&] {
    auto client = BlockingClient::connect(path());
    ASSERT_TRUE(client);
    EXPECT_EQ(client->call(to("Echo", "words")).value(), "words");
    const auto refused = client->call(to("Refuse"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::FailedPrecondition);
    EXPECT_EQ(refused.error().what, "not now");
  });
}

TEST_F(TtrpcServer, NamesWhatItDoesNotServe) {
  with_client([&] {
    RawClient client(path());
    client.request(1, {"T", "Echo", "", {}, {}});
    EXPECT_EQ(client.hear(), RawClient::error(1, Code::Unimplemented, "service T"));
    client.request(3, to("Sing"));
    EXPECT_EQ(client.hear(), RawClient::error(3, Code::Unimplemented, "method Sing"));
  });
}

TEST_F(TtrpcServer, KeepsTheRulesOfStreams) {
  with_client([&] {
    RawClient client(path());
    client.request(2, to("Echo"));
    EXPECT_EQ(client.hear(), RawClient::error(2, Code::InvalidArgument,
                                              "StreamID must be odd for client initiated streams"));
    client.request(5, to("Echo"));
    EXPECT_EQ(client.hear(), "5 ok ");
    client.request(3, to("Echo"));
    EXPECT_EQ(client.hear(), RawClient::error(3, Code::InvalidArgument,
                                              "StreamID cannot be re-used and must increment"));
    client.say(encode_frame(9999, kData, "abc"));
    EXPECT_EQ(client.hear(),
              RawClient::error(9999, Code::InvalidArgument, "StreamID is no longer active"));
  });
}

TEST_F(TtrpcServer, SurvivesGarbage) {
  with_client([&] {
    RawClient client(path());
    client.say(encode_frame(1, kRequest, "\xff\xff\xff"));
    EXPECT_TRUE(client.hear().starts_with(
        RawClient::error(1, Code::InvalidArgument, "unmarshal request error: ")));
    client.say(encode_frame(77, 200, "a type of tomorrow"));
    client.request(3, to("Echo", "still there"));
    EXPECT_EQ(client.hear(), "3 ok still there");
  });
}

TEST_F(TtrpcServer, RefusesAFrameTooLargeAndKeepsTheConnection) {
  with_client([&] {
    RawClient client(path());
    client.say(encode_frame(1, kRequest, std::string(kMaxPayload + 1, 'x')));
    EXPECT_EQ(client.hear(),
              RawClient::error(1, Code::ResourceExhausted,
                               "message length 4194305 exceed maximum message size of 4194304"));
    client.request(3, to("Echo", "next"));
    EXPECT_EQ(client.hear(), "3 ok next");
  });
}

TEST_F(TtrpcServer, WaitsForTheOtherHalfOfAFrame) {
  with_client([&] {
    RawClient half(path()), other(path());
    const std::string frame = encode_frame(1, kRequest, encode_request(to("Echo", "whole")));
    half.say(frame.substr(0, 15));
    other.request(1, to("Echo", "meanwhile"));
    EXPECT_EQ(other.hear(), "1 ok meanwhile");
    half.say(frame.substr(15));
    EXPECT_EQ(half.hear(), "1 ok whole");
  });
}

TEST_F(TtrpcServer, ALongRequestHoldsUpNoOther) {
  with_client([&] {
    RawClient client(path());
    client.request(1, to("Hold"));
    client.request(3, to("Echo", "first"));
    EXPECT_EQ(client.hear(), "3 ok first");
    client.request(5, to("Release"));
    EXPECT_EQ(client.hear(), "1 ok released");
    EXPECT_EQ(client.hear(), "5 ok ");
  });
}

TEST_F(TtrpcServer, AnswersForAHandlerThatForgot) {
  with_client([&] {
    RawClient client(path());
    client.request(1, to("Forget"));
    EXPECT_TRUE(client.hear().starts_with(RawClient::error(1, Code::Internal, "")));
  });
}

TEST_F(TtrpcServer, KeepsTheClientsDeadline) {
  with_client([&] {
    RawClient client(path());
    Outgoing call = to("Hold");
    call.timeout = milliseconds(50);
    client.request(1, call);
    EXPECT_EQ(client.hear(),
              RawClient::error(1, Code::DeadlineExceeded, "context deadline exceeded"));
    client.request(3, to("Release"));  // the late answer goes nowhere
    EXPECT_EQ(client.hear(), "3 ok ");
  });
}

TEST_F(TtrpcServer, ACallKnowsThatNobodyWantsItsAnswerAnyMore) {
  registry_.add("S", "Wanted", [this](Call call, std::string_view, std::chrono::nanoseconds) {
    call.ok(held_.at(0).wanted() ? "yes" : "no");
  });
  with_client([&] {
    auto asker = BlockingClient::connect(path());
    ASSERT_TRUE(asker);
    {
      RawClient gone(path());
      gone.request(1, to("Hold"));
      gone.request(3, to("Echo"));
      EXPECT_EQ(gone.hear(), "3 ok ");
      EXPECT_EQ(asker->call(to("Wanted")).value(), "yes");
    }
    std::string answer = "yes";  // until the server has seen the end of the connection
    for (int i = 0; i < 500 && answer == "yes"; ++i) answer = asker->call(to("Wanted")).value();
    EXPECT_EQ(answer, "no");
  });
}

TEST_F(TtrpcServer, AClientThatNeverReadsCostsOnlyItself) {
  with_client([&] {
    RawClient deaf(path());
    for (std::uint32_t stream = 1; stream < 201; stream += 2) deaf.request(stream, to("Large"));
    auto client = BlockingClient::connect(path());
    ASSERT_TRUE(client);
    EXPECT_EQ(client->call(to("Echo", "served")).value(), "served");
  });
}

TEST_F(TtrpcServer, ItsAsynchronousClientComesBackAfterALoss) {
  Client client(*loop_, path());
  std::vector<std::string> heard;
  const auto note = [&](const Result<std::string>& answer) {
    heard.push_back(answer ? *answer : answer.error().what);
  };
  client.call(to("Echo", "one"), [&](const Result<std::string>& answer) {
    note(answer);
    server_ = std::make_unique<Server>(*loop_, registry_);  // every connection of the old one ends
    ::unlink(path().c_str());
    ASSERT_TRUE(server_->serve(std::move(*oci::listen_unix(path(), SOCK_STREAM, 0600))));
    loop_->after(milliseconds(50), [&] {
      client.call(to("Echo", "two"), [&](const Result<std::string>& second) {
        note(second);
        loop_->stop();
      });
    });
  });
  loop_->after(milliseconds(5000), [&] { loop_->stop(); });
  loop_->run();
  EXPECT_EQ(heard, (std::vector<std::string>{"one", "two"}));
}

}  // namespace
}  // namespace moat::shim::ttrpc
