#include "tests/support/kernel_machine.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace moat::test {
namespace {

class Run {
 public:
  explicit Run(Machine& machine) : machine_(machine) {
    registers_[BPF_REG_1] = address(machine.context.data());
    registers_[BPF_REG_10] = address(frame_.data()) + frame_.size();
    frame_.fill(0xee);  // whatever was there before
    const std::uint64_t at = address(machine.name.data());
    const auto size = static_cast<std::uint32_t>(machine.name.size());
    std::memcpy(view_.data() + machine.names.address_at, &at, sizeof at);
    std::memcpy(view_.data() + machine.names.length_at, &size, sizeof size);
  }

  std::optional<std::uint64_t> go(const policies::KernelCode& code) {
    std::size_t at = 0;
    while (at < code.size()) {
      const bpf_insn& op = code[at];
      if (op.code == (BPF_JMP | BPF_EXIT)) return registers_[BPF_REG_0];
      const auto next = step(op);
      if (!next) return {};
      at += *next;
    }
    return {};
  }

 private:
  static std::uint64_t address(const void* to) { return reinterpret_cast<std::uintptr_t>(to); }

  template <class Owner>
  static bool lies_in(std::uint64_t at, std::size_t size, const Owner* from, std::size_t bytes) {
    const std::uint64_t begin = address(from);
    return at >= begin && at + size <= begin + bytes;
  }
  [[nodiscard]] bool readable(std::uint64_t at, std::size_t size) const {
    return lies_in(at, size, frame_.data(), frame_.size()) ||
           lies_in(at, size, machine_.context.data(), machine_.context.size()) ||
           lies_in(at, size, view_.data(), view_.size()) ||
           lies_in(at, size, &machine_.state, sizeof machine_.state);
  }

  static std::size_t size_of(std::uint8_t code) {
    switch (BPF_SIZE(code)) {
      case BPF_B:
        return 1;
      case BPF_H:
        return 2;
      case BPF_W:
        return 4;
      default:
        return 8;
    }
  }

  // How far to go on; nothing for what the machine does not know.
  std::optional<std::size_t> step(const bpf_insn& op) {
    switch (BPF_CLASS(op.code)) {
      case BPF_ALU:
      case BPF_ALU64:
        return compute(op) ? std::optional<std::size_t>(1) : std::nullopt;
      case BPF_LDX:
        return load(op) ? std::optional<std::size_t>(1) : std::nullopt;
      case BPF_STX:
        return store(op) ? std::optional<std::size_t>(1) : std::nullopt;
      case BPF_LD:
        registers_[op.dst_reg] = op.src_reg == BPF_PSEUDO_MAP_VALUE ? address(&machine_.state) : 0;
        return 2;
      case BPF_JMP:
      case BPF_JMP32:
        return jump(op);
      default:
        return {};
    }
  }

  bool compute(const bpf_insn& op) {
    std::uint64_t& to = registers_[op.dst_reg];
    const std::uint64_t from = BPF_SRC(op.code) == BPF_X
                                   ? registers_[op.src_reg]
                                   : static_cast<std::uint64_t>(std::int64_t{op.imm});
    switch (BPF_OP(op.code)) {
      case BPF_MOV:
        to = from;
        break;
      case BPF_ADD:
        to += from;
        break;
      case BPF_AND:
        to &= from;
        break;
      default:
        return false;
    }
    if (BPF_CLASS(op.code) == BPF_ALU) to &= 0xffffffff;
    return true;
  }

  bool load(const bpf_insn& op) {
    const std::uint64_t at =
        registers_[op.src_reg] + static_cast<std::uint64_t>(std::int64_t{op.off});
    if (!readable(at, size_of(op.code))) return false;
    registers_[op.dst_reg] = 0;
    std::memcpy(&registers_[op.dst_reg], reinterpret_cast<const void*>(at), size_of(op.code));
    return true;
  }

  bool store(const bpf_insn& op) {
    const std::uint64_t at =
        registers_[op.dst_reg] + static_cast<std::uint64_t>(std::int64_t{op.off});
    if (BPF_MODE(op.code) == BPF_ATOMIC) {
      if (at != address(&machine_.state.lost)) return false;
      machine_.state.lost += registers_[op.src_reg];
      return true;
    }
    if (!lies_in(at, size_of(op.code), frame_.data(), frame_.size())) return false;
    std::memcpy(reinterpret_cast<void*>(at), &registers_[op.src_reg], size_of(op.code));
    return true;
  }

  std::optional<std::size_t> jump(const bpf_insn& op) {
    const auto far = static_cast<std::size_t>(op.off + 1);
    if (op.code == (BPF_JMP | BPF_JA)) return far;
    if (op.code == (BPF_JMP | BPF_CALL)) {
      const bool known = op.src_reg == BPF_PSEUDO_KFUNC_CALL ? call_kernel(op.imm) : call(op.imm);
      return known ? std::optional<std::size_t>(1) : std::nullopt;
    }
    std::uint64_t left = registers_[op.dst_reg];
    std::uint64_t right = BPF_SRC(op.code) == BPF_X
                              ? registers_[op.src_reg]
                              : static_cast<std::uint64_t>(std::int64_t{op.imm});
    if (BPF_CLASS(op.code) == BPF_JMP32) {
      left &= 0xffffffff;
      right &= 0xffffffff;
    }
    if (BPF_OP(op.code) == BPF_JEQ) return left == right ? far : 1;
    if (BPF_OP(op.code) == BPF_JNE) return left != right ? far : 1;
    if (BPF_OP(op.code) == BPF_JGT) return left > right ? far : 1;
    return {};
  }

  bool call(std::int32_t function) {
    std::uint64_t& result = registers_[BPF_REG_0];
    const std::uint64_t second = registers_[BPF_REG_2];
    if (function == BPF_FUNC_get_current_cgroup_id)
      result = machine_.cgroup;
    else if (function == BPF_FUNC_get_current_pid_tgid)
      result = (7ULL << 32) | 8;
    else if (function == BPF_FUNC_get_current_comm)
      result = 0;
    else if (function == BPF_FUNC_ringbuf_output && readable(second, registers_[BPF_REG_3]))
      result = note(second, registers_[BPF_REG_3]);
    else if (function == BPF_FUNC_probe_read_kernel && copy_name())
      result = 0;
    else
      return false;
    forget();
    return true;
  }

  void forget() {  // as after any call
    for (std::size_t i = BPF_REG_1; i <= BPF_REG_5; ++i) registers_[i] = 0xdeadbeef;
  }

  bool call_kernel(std::int32_t function) {
    if (static_cast<std::uint32_t>(function) != machine_.names.view ||
        registers_[BPF_REG_1] != address(machine_.context.data()))
      return false;
    registers_[BPF_REG_0] = address(view_.data());
    forget();
    return true;
  }

  // Of the name, as much as it has, into the frame.
  bool copy_name() {
    const std::uint64_t to = registers_[BPF_REG_1], size = registers_[BPF_REG_2],
                        from = registers_[BPF_REG_3];
    if (!lies_in(to, size, frame_.data(), frame_.size()) ||
        !lies_in(from, size, machine_.name.data(), machine_.name.size()))
      return false;
    std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), size);
    return true;
  }

  std::uint64_t note(std::uint64_t at, std::size_t size) {
    if (machine_.full) return ~0ULL;
    std::memcpy(&machine_.records.emplace_back(), reinterpret_cast<const void*>(at),
                std::min(size, sizeof(policies::NetworkRecord)));
    return 0;
  }

  Machine& machine_;
  std::array<std::uint8_t, 512> frame_{};
  std::array<std::uint8_t, 64> view_{};  // of the context, by the kernel
  std::array<std::uint64_t, 11> registers_{};
};

}  // namespace

std::optional<std::uint64_t> Machine::run(const policies::KernelCode& code) {
  return Run(*this).go(code);
}

}  // namespace moat::test
