#include "shim/supervise/kernel_names.h"

#include <fcntl.h>
#include <linux/btf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "oci/sys.h"

namespace moat::shim {

namespace {

constexpr auto kFile = "/sys/kernel/btf/vmlinux";
constexpr std::size_t kWindow = 64U << 10;
constexpr std::uint32_t kMaxSection = 256U << 20;  // a kernel's have some 5 MB

enum Wanted : std::size_t { View, Context, Address, Length, kWanted };
constexpr std::array<std::string_view, kWanted> kNames{"bpf_cast_to_kern_ctx", "bpf_sock_addr_kern",
                                                       "uaddr", "uaddrlen"};

tl::unexpected<Error> unknown(const char* what) {
  return fail(Code::Unavailable, std::string("the kernel's types: ") + what);
}

// A part of the file, read in order through a window that is small.
class Stream {
 public:
  Stream(const ReadAt& read, std::uint64_t at, std::uint64_t size)
      : read_(read), at_(at), left_(size), window_(kWindow) {}

  bool take(void* into, std::size_t size) {
    auto* to = static_cast<char*>(into);
    while (size > 0) {
      if (from_ == filled_ && !fill()) return false;
      const std::size_t some = std::min(size, filled_ - from_);
      std::memcpy(to, window_.data() + from_, some);
      to += some;
      from_ += some;
      size -= some;
    }
    return true;
  }
  bool skip(std::size_t size) {
    while (size > 0) {
      if (from_ == filled_ && !fill()) return false;
      const std::size_t some = std::min(size, filled_ - from_);
      from_ += some;
      size -= some;
    }
    return true;
  }
  // What can be looked at without being copied; nothing at the end.
  std::string_view next() {
    if (from_ == filled_ && !fill()) return {};
    return {window_.data() + from_, filled_ - from_};
  }
  [[nodiscard]] bool done() const { return left_ == 0 && from_ == filled_; }

 private:
  bool fill() {
    const std::size_t wanted = std::min<std::uint64_t>(window_.size(), left_);
    const std::size_t came = wanted == 0 ? 0 : read_(window_.data(), wanted, at_);
    if (came == 0 || came > wanted) return false;
    from_ = 0;
    filled_ = came;
    at_ += came;
    left_ -= came;
    return true;
  }

  const ReadAt& read_;
  std::uint64_t at_, left_;
  std::vector<char> window_;
  std::size_t from_ = 0, filled_ = 0;
};

// Where each of the names stands in the table of strings; 0, the empty one, if nowhere.
std::array<std::uint32_t, kWanted> find_names(Stream strings) {
  std::array<std::uint32_t, kWanted> found{};
  std::string begun;  // of a string that goes on in the next window
  std::uint32_t start = 0;
  for (std::string_view part = strings.next(); !part.empty(); part = strings.next()) {
    const std::size_t end = part.find('\0');
    const std::string_view piece = part.substr(0, end);
    const bool whole = end != std::string_view::npos;
    (void)strings.skip(piece.size() + (whole ? 1 : 0));
    const std::size_t length = begun.size() + piece.size();
    for (std::size_t i = 0; whole && i < kWanted; ++i)
      if (length == kNames[i].size() && begun + std::string(piece) == kNames[i]) found[i] = start;
    if (!whole) {
      begun += piece;
      continue;
    }
    start += static_cast<std::uint32_t>(length + 1);
    begun.clear();
  }
  return found;
}

// What follows a type's head, besides a struct's members.
std::size_t rest_of(std::uint32_t kind, std::uint32_t count) {
  switch (kind) {  // numbers of a file, not an enumeration
    case BTF_KIND_INT:
    case BTF_KIND_VAR:
    case BTF_KIND_DECL_TAG:
      return sizeof(std::uint32_t);
    case BTF_KIND_ARRAY:
      return sizeof(btf_array);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
      return count * sizeof(btf_member);
    case BTF_KIND_ENUM:
      return count * sizeof(btf_enum);
    case BTF_KIND_FUNC_PROTO:
      return count * sizeof(btf_param);
    case BTF_KIND_DATASEC:
      return count * sizeof(btf_var_secinfo);
    case BTF_KIND_ENUM64:
      return count * 3 * sizeof(std::uint32_t);
    default:
      return 0;
  }
}

class Search {
 public:
  explicit Search(const std::array<std::uint32_t, kWanted>& names) : names_(names) {}

  // One type, whose number is `id`.
  bool type(Stream& types, std::uint32_t id) {
    btf_type head{};
    if (!types.take(&head, sizeof head)) return false;
    const std::uint32_t kind = BTF_INFO_KIND(head.info), count = BTF_INFO_VLEN(head.info);
    if (kind > BTF_KIND_ENUM64 || kind == BTF_KIND_UNKN) return false;
    if (kind == BTF_KIND_FUNC && head.name_off == names_[View]) found_.view = id;
    if (kind != BTF_KIND_STRUCT || head.name_off != names_[Context])
      return types.skip(rest_of(kind, count));
    for (std::uint32_t i = 0; i < count; ++i)
      if (btf_member member{}; !types.take(&member, sizeof member) || !note(member)) return false;
    return true;
  }

  [[nodiscard]] Result<policies::KernelNames> found() const {
    if (found_.view == 0) return unknown("no bpf_cast_to_kern_ctx");
    // Neither comes first in that structure, a socket does.
    if (found_.address_at == 0 || found_.length_at == 0) return unknown("no bpf_sock_addr_kern");
    return found_;
  }

 private:
  bool note(const btf_member& member) {
    std::int16_t* place = member.name_off == names_[Address]  ? &found_.address_at
                          : member.name_off == names_[Length] ? &found_.length_at
                                                              : nullptr;
    if (place == nullptr) return true;
    constexpr std::uint32_t kMost = 256 * 8;  // bits
    if (member.offset % 32 != 0 || member.offset > kMost) return false;
    *place = static_cast<std::int16_t>(member.offset / 8);
    return true;
  }

  std::array<std::uint32_t, kWanted> names_;
  policies::KernelNames found_;
};

}  // namespace

Result<policies::KernelNames> kernel_names_in(const ReadAt& read) {
  btf_header header{};
  Stream head(read, 0, sizeof header);
  if (!head.take(&header, sizeof header) || header.magic != BTF_MAGIC || header.version != 1 ||
      header.hdr_len < sizeof header || header.hdr_len > kWindow)
    return unknown("not in a known form");
  for (const std::uint32_t number :
       {header.type_off, header.type_len, header.str_off, header.str_len})
    if (number > kMaxSection) return unknown("too large");
  const std::uint64_t begin = header.hdr_len;
  const auto names = find_names({read, begin + header.str_off, header.str_len});
  if (std::ranges::find(names, 0U) != names.end()) return unknown("without a name that is needed");
  Search search(names);
  Stream types(read, begin + header.type_off, header.type_len);
  for (std::uint32_t id = 1; !types.done(); ++id)
    if (!search.type(types, id)) return unknown("cut off, or of an unknown kind");
  return search.found();
}

Result<policies::KernelNames> kernel_names() {
  const auto file = oci::open_file(kFile, O_RDONLY);
  if (!file) return fail(Error(file.error()));
  return kernel_names_in([&](char* into, std::size_t size, std::uint64_t offset) {
    const ssize_t came = ::pread(file->raw(), into, size, static_cast<off_t>(offset));
    return came > 0 ? static_cast<std::size_t>(came) : 0;
  });
}

}  // namespace moat::shim
