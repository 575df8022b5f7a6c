// The Task service over a runtime of plain processes: no root, no cgroup, no containerd.
#include "shim/task/service.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <fstream>

#include "oci/sys.h"
#include "shim/proto/events.pb.h"
#include "shim/proto/runc_options.pb.h"
#include "shim/supervise/no_guard.h"
#include "tests/support/temp_dir.h"

namespace moat::shim {
namespace {

namespace task = containerd::task;
using std::chrono::milliseconds;

struct Told : EventSink {
  std::vector<std::string> events;
  void publish(std::string_view topic, std::string_view,
               const google::protobuf::MessageLite& event) override {
    events.emplace_back(topic);
    if (topic != "/tasks/exit") return;
    containerd::events::TaskExit exit;
    exit.ParseFromString(event.SerializeAsString());
    events.back() += " " + exit.id() + " " + std::to_string(exit.exit_status());
  }
};

struct Answers : ttrpc::ReplyPort {
  std::map<std::uint32_t, Result<std::string>> got;
  void reply(std::uint32_t stream, const Result<std::string>& answer) override {
    EXPECT_FALSE(got.contains(stream)) << "answered twice";
    got.emplace(stream, answer);
  }
  bool waiting(std::uint32_t stream) const override { return !got.contains(stream); }
};

class TaskServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    service_.register_in(registry_);
    ASSERT_TRUE(oci::make_dirs(bundle() + "/rootfs", 0755));
    write("config.json", R"({"ociVersion":"1.0.2","root":{"path":"rootfs"},)"
                         R"("linux":{"namespaces":[{"type":"pid"}]}})");
    write("../init-script", "while :; do sleep 0.02; done");
    const auto script = oci::read_file(MOAT_TEST_SOURCE "/tests/support/fake_runc.sh");
    ASSERT_TRUE(script);
    write("../runc", *script);
    ::chmod((root() + "/runc").c_str(), 0755);
  }
  void TearDown() override {
    for (const auto& [id, container] : tasks_.containers) container->kill_all();
    ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  }

  std::string root() const { return dir_.path(); }
  std::string bundle() const { return root() + "/bundle"; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(bundle() + "/" + name) << text;
  }

  // Turns the loop until `condition`, at most five seconds.
  void until(const std::function<bool()>& condition) {
    const std::int64_t end = oci::monotonic_ms() + 5000;
    while (!condition() && oci::monotonic_ms() < end) turn();
    EXPECT_TRUE(condition());
  }
  void turn() {
    loop_->after(milliseconds(2), [&] { loop_->stop(); });
    loop_->run();
    reaper_.sweep();
  }

  std::uint32_t send(const std::string& method, const google::protobuf::MessageLite& request) {
    const std::uint32_t stream = next_ += 2;
    const auto handler = registry_.find("containerd.task.v2.Task", method);
    (**handler)(ttrpc::Call(answers_, stream), request.SerializeAsString(), {});
    return stream;
  }
  Result<std::string> call(const std::string& method,
                           const google::protobuf::MessageLite& request) {
    const std::uint32_t stream = send(method, request);
    until([&] { return answers_->got.contains(stream); });
    const auto found = answers_->got.find(stream);
    return found == answers_->got.end() ? fail(Code::Internal, "no answer") : found->second;
  }
  std::string error(const std::string& method, const google::protobuf::MessageLite& request) {
    const auto answer = call(method, request);
    return answer ? "ok" : answer.error().what;
  }

  task::CreateTaskRequest create_request(const std::string& runtime = "") {
    containerd::runc::v1::Options options;
    options.set_binary_name(runtime.empty() ? root() + "/runc" : runtime);
    options.set_root(root() + "/state");
    task::CreateTaskRequest request;
    request.set_id("c");
    request.set_bundle(bundle());
    request.mutable_options()->set_type_url("containerd.runc.v1.Options");
    request.mutable_options()->set_value(options.SerializeAsString());
    return request;
  }
  template <class Request>
  static Request about(const std::string& exec = "") {
    Request request;
    request.set_id("c");
    if constexpr (requires { request.set_exec_id(exec); }) request.set_exec_id(exec);
    return request;
  }
  void create_and_start() {
    ASSERT_EQ(error("Create", create_request()), "ok");
    ASSERT_EQ(error("Start", about<task::StartRequest>()), "ok");
  }
  void add_exec(const std::string& exec) {
    auto request = about<task::ExecProcessRequest>(exec);
    request.mutable_spec()->set_value("{}");
    ASSERT_EQ(error("Exec", request), "ok");
  }
  std::string kill(int signal, const std::string& exec = "") {
    auto request = about<task::KillRequest>(exec);
    request.set_signal(static_cast<std::uint32_t>(signal));
    return error("Kill", request);
  }
  bool told(const std::string& event) const {
    return std::ranges::find(events_.events, event) != events_.events.end();
  }

  test::TempDir dir_;
  std::unique_ptr<oci::Loop> loop_ = std::move(*oci::Loop::create());
  Told events_;
  NoGuard guard_;
  Reaper reaper_{*loop_};
  Tasks tasks_{*loop_, events_, guard_, reaper_, "ns"};
  bool shut_down_ = false;
  TaskService service_{tasks_, [this] { shut_down_ = true; }};
  ttrpc::Registry registry_;
  std::shared_ptr<Answers> answers_ = std::make_shared<Answers>();
  std::uint32_t next_ = 1;
};

TEST_F(TaskServiceTest, ALifeFromCreateToDeleteTellsEachEventOnceAndInOrder) {
  create_and_start();
  const auto wait = send("Wait", about<task::WaitRequest>());
  EXPECT_EQ(kill(SIGKILL), "ok");
  until([&] { return answers_->got.contains(wait); });
  EXPECT_EQ(error("Delete", about<task::DeleteRequest>()), "ok");
  EXPECT_EQ(events_.events, (std::vector<std::string>{"/tasks/create", "/tasks/start",
                                                      "/tasks/exit c 137", "/tasks/delete"}));
  EXPECT_EQ(error("State", about<task::StateRequest>()), "container not created: not found");
  EXPECT_EQ(error("Shutdown", about<task::ShutdownRequest>()), "ok");
  EXPECT_TRUE(shut_down_);
}

TEST_F(TaskServiceTest, AnExitBeforeItsStartReturnedIsToldAfterTheStart) {
  write("../exit-before-start", "");
  create_and_start();
  until([&] { return told("/tasks/exit c 137"); });
  EXPECT_EQ(events_.events,
            (std::vector<std::string>{"/tasks/create", "/tasks/start", "/tasks/exit c 137"}));
}

TEST_F(TaskServiceTest, AnExecThatIsOverBeforeItsStartReturnedKeepsItsCode) {
  create_and_start();
  write("../exec-script", "exit 3");
  write("../slow-exec", "0.3");
  add_exec("e");
  EXPECT_EQ(error("Start", about<task::StartRequest>("e")), "ok");
  until([&] { return told("/tasks/exit e 3"); });
  const auto& events = events_.events;
  EXPECT_LT(std::ranges::find(events, "/tasks/exec-started"),
            std::ranges::find(events, "/tasks/exit e 3"));
}

TEST_F(TaskServiceTest, InitsExitIsToldLast) {
  create_and_start();
  write("../exec-script", "sleep 0.4; exit 4");
  add_exec("e");
  ASSERT_EQ(error("Start", about<task::StartRequest>("e")), "ok");
  ASSERT_EQ(kill(SIGKILL), "ok");
  until([&] { return told("/tasks/exit c 137"); });
  EXPECT_EQ(events_.events.back(), "/tasks/exit c 137");
  EXPECT_TRUE(told("/tasks/exit e 4"));
}

TEST_F(TaskServiceTest, NoExecStartsOnceInitHasEnded) {
  create_and_start();
  write("../exec-script", "sleep 0.4");
  add_exec("first");
  add_exec("late");
  ASSERT_EQ(error("Start", about<task::StartRequest>("first")), "ok");
  ASSERT_EQ(kill(SIGKILL), "ok");
  until([&] { return tasks_.containers.at("c")->init_exit.has_value(); });
  EXPECT_EQ(error("Start", about<task::StartRequest>("late")),
            "container c init process is not running: failed precondition");
}

TEST_F(TaskServiceTest, ASecondStartOfAnExecCostsNothing) {
  create_and_start();
  write("../exec-script", "sleep 0.2");
  add_exec("e");
  const auto first = send("Start", about<task::StartRequest>("e"));
  const auto second = send("Start", about<task::StartRequest>("e"));
  until([&] { return answers_->got.contains(second); });
  EXPECT_TRUE(answers_->got.at(first));
  EXPECT_EQ(answers_->got.at(second).error().what, "cannot start a running process");
  until([&] { return told("/tasks/exit e 0"); });
  EXPECT_EQ(kill(SIGKILL), "ok");
  until([&] { return told("/tasks/exit c 137"); });
}

TEST_F(TaskServiceTest, AFailedExecAnswersItsWaitAndCanBeDeleted) {
  create_and_start();
  add_exec("e");
  const auto wait = send("Wait", about<task::WaitRequest>("e"));
  EXPECT_EQ(error("Start", about<task::StartRequest>("e")),
            "OCI runtime exec failed: exec failed: no such program");
  EXPECT_TRUE(answers_->got.contains(wait));
  EXPECT_EQ(kill(SIGKILL, "e"), "process not created: failed precondition");
  EXPECT_EQ(error("Delete", about<task::DeleteRequest>("e")), "ok");
}

TEST_F(TaskServiceTest, ASlowExecHoldsUpNobodyElse) {
  create_and_start();
  write("../exec-script", "exit 0");
  write("../slow-exec", "1");
  add_exec("e");
  const auto start = send("Start", about<task::StartRequest>("e"));
  EXPECT_EQ(error("State", about<task::StateRequest>()), "ok");
  EXPECT_EQ(error("Pids", about<task::PidsRequest>()), "ok");
  EXPECT_FALSE(answers_->got.contains(start));
  until([&] { return answers_->got.contains(start); });
}

TEST_F(TaskServiceTest, WithoutACgroupThereAreNoStatisticsAndTheRuntimePauses) {
  create_and_start();
  EXPECT_EQ(error("Stats", about<task::StatsRequest>()), "cgroup does not exist: not found");
  EXPECT_EQ(error("Pause", about<task::PauseRequest>()), "ok");
  EXPECT_TRUE(told("/tasks/paused"));
  EXPECT_EQ(error("Pause", about<task::PauseRequest>()), "cannot pause a paused container");
  EXPECT_EQ(error("Resume", about<task::ResumeRequest>()), "ok");
  const auto calls = oci::read_file(root() + "/calls");
  ASSERT_TRUE(calls);
  EXPECT_EQ(*calls, "create\nstart\npause\nresume\n");
}

TEST_F(TaskServiceTest, FailuresOfCreateSayWhereAndLeaveNothing) {
  write("../fail-create", "");
  EXPECT_EQ(error("Create", create_request()), "OCI runtime create failed: it was not to be");
  const std::string missing = error("Create", create_request("no-runc"));
  EXPECT_NE(missing.find("cannot start \"no-runc\""), std::string::npos) << missing;
  write("config.json", R"({"root":{"path":"nowhere"}})");
  const std::string rootless = error("Create", create_request());
  EXPECT_NE(rootless.find(bundle() + "/nowhere"), std::string::npos) << rootless;
  write("config.json", "{nope");
  const auto broken = call("Create", create_request());
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, Code::InvalidArgument);
  EXPECT_NE(broken.error().what.find("config.json"), std::string::npos) << broken.error().what;
  EXPECT_TRUE(tasks_.idle());
  EXPECT_TRUE(events_.events.empty());
}

TEST_F(TaskServiceTest, InputClosedBeforeTheStartIsClosedThen) {
  create_and_start();
  const std::string fifo = root() + "/in", out = root() + "/out";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  write("../exec-script", "cat");
  auto request = about<task::ExecProcessRequest>("e");
  request.mutable_spec()->set_value("{}");
  request.set_stdin(fifo);
  request.set_stdout("file://" + out);
  ASSERT_EQ(error("Exec", request), "ok");
  auto close = about<task::CloseIORequest>("e");
  close.set_stdin(true);
  EXPECT_EQ(error("CloseIO", close), "ok");
  const auto start = send("Start", about<task::StartRequest>("e"));
  UniqueFd writer(::open(fifo.c_str(), O_RDWR | O_NONBLOCK));
  ASSERT_EQ(::write(writer.raw(), "words", 5), 5);
  until([&] { return answers_->got.contains(start); });
  until([&] { return oci::read_file(out).value_or("") == "words"; });
  EXPECT_FALSE(told("/tasks/exit e 0"));
  writer.reset();
  until([&] { return told("/tasks/exit e 0"); });
}

}  // namespace
}  // namespace moat::shim
