// Writes instructions for the kernel's BPF machine: no more of it than programs on a container's
// network need. Needs no compiler and no library at run time.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <vector>

namespace moat::policies {

using KernelCode = std::vector<bpf_insn>;

class Assembler {
 public:
  // A place that jumps name before it is known.
  using Label = std::size_t;
  Label label();
  void here(Label label);

  void move(std::uint8_t to, std::uint8_t from);
  void set(std::uint8_t to, std::int32_t value);
  void add(std::uint8_t to, std::int32_t value);
  void add_register(std::uint8_t to, std::uint8_t from);
  void mask(std::uint8_t to, std::uint32_t bits);  // 32 bits wide
  void shift_left(std::uint8_t to, std::int32_t bits);
  void shift_right(std::uint8_t to, std::int32_t bits);

  // `size`: BPF_B, BPF_H, BPF_W or BPF_DW.
  void load(std::uint8_t size, std::uint8_t to, std::uint8_t base, std::int16_t offset);
  void store(std::uint8_t size, std::uint8_t base, std::int16_t offset, std::uint8_t from);
  void increment(std::uint8_t base, std::int16_t offset);  // 64 bits, atomically

  // The state's memory, or the ring itself: the loader puts the descriptors in.
  void state_address(std::uint8_t to) { wide(to, BPF_PSEUDO_MAP_VALUE); }
  void ring(std::uint8_t to) { wide(to, BPF_PSEUDO_MAP_FD); }

  void jump(Label label);
  void jump_if_equal(std::uint8_t left, std::uint8_t right, Label label);  // 64 bits wide
  void jump_if(std::uint8_t left, std::int32_t value, Label label);        // 64 bits, equal
  void jump_unless(std::uint8_t left, std::uint32_t value, Label label);   // 32 bits wide
  void jump_if_above(std::uint8_t left, std::int32_t value, Label label);  // 64 bits, unsigned
  void call(bpf_func_id function);
  void call_kernel(std::uint32_t function);  // one of its own, by its number in the kernel's BTF
  void exit();

  // Empty when a jump is too long for its 16 bits.
  [[nodiscard]] KernelCode finish() &&;

 private:
  struct Jump {
    std::size_t at;
    Label to;
  };
  void emit(std::uint8_t code, std::uint8_t to, std::uint8_t from, std::int16_t offset,
            std::int32_t value);
  void wide(std::uint8_t to, std::uint8_t kind);
  void to_label(Label label) { jumps_.push_back({code_.size(), label}); }

  KernelCode code_;
  std::vector<std::size_t> labels_;
  std::vector<Jump> jumps_;
};

}  // namespace moat::policies
