// Unix sockets that a policy names, against the kernel that looks names up.
#include <sys/un.h>

#include <atomic>
#include <thread>

#include "tests/support/held_network.h"

namespace moat::shim::test_network {
namespace {

// A socket's name with a length that says how much of it counts.
struct Name {
  sockaddr_un address{};
  socklen_t length = 0;
  explicit Name(std::string_view bytes) {
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, bytes.data(), bytes.size());
    length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + bytes.size());
  }
};

int reach(int type, const Name& name) {  // EAGAIN: somebody is there, with much to do
  const UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return type == SOCK_DGRAM
             ? error_unless(::sendto(fd.raw(), "x", 1, 0, generic(name.address), name.length) == 1)
             : error_unless(::connect(fd.raw(), generic(name.address), name.length) == 0);
}

// Somebody to reach by name, outside of the group.
class Named {
 public:
  Named(int type, const std::string& path) : fd_(::socket(AF_UNIX, type | SOCK_NONBLOCK, 0)) {
    const Name name(path);
    ::unlink(path.c_str());
    bound_ = ::bind(fd_.raw(), generic(name.address), name.length) == 0;
    if (type != SOCK_DGRAM) ::listen(fd_.raw(), 4096);
  }
  [[nodiscard]] bool bound() const { return bound_; }
  [[nodiscard]] int heard() const {
    int count = 0;
    for (char byte = 0;; ++count) {
      const UniqueFd client(::accept(fd_.raw(), nullptr, nullptr));
      if (!client.valid() && ::recv(fd_.raw(), &byte, 1, 0) < 0) return count;
    }
  }

 private:
  UniqueFd fd_;
  bool bound_ = false;
};

class NamedUnix : public Network {
 protected:
  void SetUp() override {
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    const auto names = kernel_names();
    if (!names) GTEST_SKIP() << names.error().what;
  }
  void TearDown() override { ASSERT_TRUE(oci::remove_tree(folder_)); }
  bool hold_names(const std::string& list) {
    hold(list);
    return hooks_ && hooks_->names_unix();
  }
  std::string folder_ = "/tmp/moat-names.XXXXXX";
};

TEST_F(NamedUnix, OnlyWhatThePhaseNamesIsReached) {
  for (const int type : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM}) {
    const std::string good = folder_ + "/good" + std::to_string(type);
    const std::string bad = folder_ + "/bad" + std::to_string(type);
    const std::string hidden = std::string(1, '\0') + "moat-live-abstract";
    const Named right(type, good), wrong(type, bad), abstract(type, hidden);
    ASSERT_TRUE(right.bound() && wrong.bound() && abstract.bound());
    if (!hold_names("'unix:" + good + "'")) GTEST_SKIP() << "before Linux 6.7";
    enter(Phase::Load);
    EXPECT_EQ(inside([&] { return reach(type, Name(good)); }), 0);
    EXPECT_EQ(inside([&] { return reach(type, Name(good + std::string(1, '\0') + "x")); }), 0);
    for (const std::string& other : {bad, hidden, good + "x", good.substr(0, good.size() - 1),
                                     "/proc/self/root" + bad, folder_ + "/./" + bad.substr(23)})
      EXPECT_EQ(inside([&] { return reach(type, Name(other)); }), EPERM) << other;
    enter(Phase::Serve);
    EXPECT_EQ(inside([&] { return reach(type, Name(good)); }), EPERM);
    EXPECT_EQ(right.heard(), 2);
    EXPECT_EQ(wrong.heard() + abstract.heard(), 0);
    const auto told = records();
    ASSERT_EQ(told.size(), 7U);
    EXPECT_EQ(policies::address_text(told[0]), "unix:" + bad);
    EXPECT_EQ(policies::address_text(told[1]), "unix:@moat-live-abstract");
    hooks_.reset();
    group_.clean();
  }
}

TEST_F(NamedUnix, AFolderIsWhatLiesInItAndAnAbstractNameIsExact) {
  const Named inside_it(SOCK_STREAM, folder_ + "/in"), abstract(SOCK_STREAM, {"\0moat-one", 9});
  if (!hold_names("'unix:" + folder_ + "/**', 'unix:@moat-one'"))
    GTEST_SKIP() << "before Linux 6.7";
  enter(Phase::Load);
  const std::string end(1, '\0');
  EXPECT_EQ(inside([&] { return reach(SOCK_STREAM, Name(folder_ + "/in")); }), 0);
  EXPECT_EQ(inside([&] { return reach(SOCK_STREAM, Name(folder_ + "/none")); }), ENOENT);
  EXPECT_EQ(inside([&] { return reach(SOCK_STREAM, Name(end + "moat-one")); }), 0);
  EXPECT_EQ(inside([&] { return reach(SOCK_STREAM, Name(end + "moat-one" + end)); }), EPERM);
  EXPECT_EQ(inside([&] { return reach(SOCK_STREAM, Name(folder_ + "/../x")); }), EPERM);
  EXPECT_EQ(inside([&] { return reach(SOCK_STREAM, Name(folder_ + "//in")); }), EPERM);
  EXPECT_EQ(inside([&] { return reach(SOCK_STREAM, Name(folder_ + "2/in")); }), EPERM);
}

// A list as long as a policy can have: the kernel's verifier must take it.
TEST_F(NamedUnix, ManyNamesAreTaken) {
  std::string list = "'unix:/srv/app/**'";
  for (int i = 0; i < 100; ++i)
    list += ", 'unix:/run/" + std::string(90, 'n') + std::to_string(i) + "'";
  if (!hold_names(list)) GTEST_SKIP() << "before Linux 6.7";
  enter(Phase::Load);
  const std::string last = "/run/" + std::string(90, 'n') + "99";
  EXPECT_EQ(inside([&] { return reach(SOCK_STREAM, Name(last)); }), ENOENT);
}

// The name is changed by a sibling, all the time; what is allowed is what the kernel looks up.
TEST_F(NamedUnix, ARacedNameReachesNobody) {
  for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
    const std::string good = folder_ + "/a" + std::to_string(type);
    const std::string bad = folder_ + "/b" + std::to_string(type);
    const Named right(type, good), wrong(type, bad);
    if (!hold_names("'unix:" + good + "'")) GTEST_SKIP() << "before Linux 6.7";
    enter(Phase::Load);
    EXPECT_EQ(inside([&] {
                Name name(good);
                char& letter = name.address.sun_path[folder_.size() + 1];
                std::atomic<bool> over{false};
                std::thread racer([&] {
                  while (!over.load(std::memory_order_relaxed)) {
                    std::atomic_ref(letter).store('b');
                    std::atomic_ref(letter).store('a');
                  }
                });
                int refused = 0, others = 0;
                for (int i = 0; i < 100000; ++i) ++(reach(type, name) == EPERM ? refused : others);
                over = true;
                racer.join();
                return refused > 0 && others > 0 ? 0 : 100;
              }),
              0);
    EXPECT_GT(right.heard(), 0);
    EXPECT_EQ(wrong.heard(), 0);
    hooks_.reset();
    group_.clean();
  }
}

}  // namespace
}  // namespace moat::shim::test_network
