// The kernel's description of its types, as bytes: the right ones, and any others.
#include "shim/supervise/kernel_names.h"

#include <gtest/gtest.h>
#include <linux/btf.h>

#include <cstring>
#include <random>

namespace moat::shim {
namespace {

template <class T>
void append(std::string& to, const T& value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::uint32_t info(std::uint32_t kind, std::uint32_t count) {
  return kind << 24 | count;
}

// An int, a function of another name, the structure, the function.
std::string description() {
  const std::string strings(
      "\0int\0bpf_sock_addr_kern\0uaddr\0uaddrlen\0bpf_cast_to_kern_ctx\0other", 71);
  const auto name = [&](std::string_view text) {
    const std::string whole = std::string(1, '\0') + std::string(text) + '\0';
    return static_cast<std::uint32_t>(strings.find(whole) + 1);
  };
  std::string types;
  append(types, btf_type{name("int"), info(BTF_KIND_INT, 0), {4}});
  append(types, 32U);
  append(types, btf_type{name("other"), info(BTF_KIND_FUNC, 0), {1}});
  append(types, btf_type{name("bpf_sock_addr_kern"), info(BTF_KIND_STRUCT, 3), {40}});
  append(types, btf_member{name("int"), 1, 0});
  append(types, btf_member{name("uaddr"), 1, 64});
  append(types, btf_member{name("uaddrlen"), 1, 256});
  append(types, btf_type{name("bpf_cast_to_kern_ctx"), info(BTF_KIND_FUNC, 0), {1}});
  btf_header header{BTF_MAGIC,
                    1,
                    0,
                    sizeof header,
                    0,
                    static_cast<std::uint32_t>(types.size()),
                    static_cast<std::uint32_t>(types.size()),
                    static_cast<std::uint32_t>(strings.size())};
  std::string all;
  append(all, header);
  return all + types + strings;
}

Result<policies::KernelNames> names_in(const std::string& bytes, std::size_t at_once = 1U << 20) {
  return kernel_names_in([&](char* into, std::size_t size, std::uint64_t offset) -> std::size_t {
    if (offset >= bytes.size()) return 0;
    const std::size_t some = std::min({size, at_once, bytes.size() - offset});
    std::memcpy(into, bytes.data() + offset, some);
    return some;
  });
}

TEST(KernelNames, AreFoundHoweverTheyAreRead) {
  for (const std::size_t at_once : {1U, 3U, 1U << 20}) {
    const auto names = names_in(description(), at_once);
    ASSERT_TRUE(names) << names.error().what;
    EXPECT_EQ(names->view, 4U);
    EXPECT_EQ(names->address_at, 8);
    EXPECT_EQ(names->length_at, 32);
  }
}

TEST(KernelNames, AreNotFoundInWhatIsCutOff) {
  const std::string whole = description();
  for (std::size_t size = 0; size < whole.size(); ++size)
    if (const auto names = names_in(whole.substr(0, size)); names) {
      EXPECT_GE(size, whole.find("other")) << "only the last string, which is not needed, may lack";
    }
}

TEST(KernelNames, OfNoiseAreAnErrorOrSmallNumbers) {
  std::mt19937 random(7);  // the same noise in every run
  const std::string whole = description();
  for (int i = 0; i < 20000; ++i) {
    std::string noise = whole;
    for (unsigned changes = 1 + random() % 4; changes > 0; --changes)
      noise[random() % noise.size()] = static_cast<char>(random());
    const auto names = names_in(noise);
    if (names) {
      EXPECT_TRUE(names->address_at > 0 && names->address_at <= 256);
      EXPECT_TRUE(names->length_at > 0 && names->length_at <= 256);
    }
  }
}

TEST(KernelNames, AFunctionThatIsMissingIsAnError) {
  std::string without = description();
  without[without.find("bpf_cast")] = 'x';
  EXPECT_FALSE(names_in(without));
}

}  // namespace
}  // namespace moat::shim
