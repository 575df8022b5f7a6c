// The few forms the kernel writes numbers in. Pure. A line in no known form is left out: the rest
// of the file still counts.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moat::shim {

// How a controller's file is read; nothing: it is not there.
using ReadFile =
    std::function<std::optional<std::string>(std::string_view controller, std::string_view file)>;

inline constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};

// "max" is kNoLimit, what is negative 0.
std::optional<std::uint64_t> parse_number(std::string_view text);

std::vector<std::string_view> split_lines(std::string_view text);
std::vector<std::string_view> split_words(std::string_view line, std::string_view separators = " ");

// Calls `take` for each line "key number".
void each_pair(std::string_view text,
               const std::function<void(std::string_view key, std::uint64_t value)>& take);
std::uint64_t value_of(std::string_view text, std::string_view key);  // 0: no such line

// "hugepages-2048kB", a folder of /sys/kernel/mm/hugepages, is "2MB" in the names of files.
std::optional<std::string> page_size_of(std::string_view folder);

// A line of rdma.current or rdma.max: "mlx4_0 hca_handle=2 hca_object=max".
struct RdmaLine {
  std::string_view device;
  std::uint32_t handles = 0, objects = 0;
};
std::optional<RdmaLine> parse_rdma(std::string_view line);

}  // namespace moat::shim
