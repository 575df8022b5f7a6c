#include "tests/support/bpf.h"

#include <cstring>

namespace moat::test {
namespace {

bool jump_holds(const sock_filter& op, std::uint32_t a) {
  switch (BPF_OP(op.code)) {
    case BPF_JEQ:
      return a == op.k;
    case BPF_JGT:
      return a > op.k;
    case BPF_JGE:
      return a >= op.k;
    default:
      return (a & op.k) != 0;  // BPF_JSET
  }
}

bool load(const seccomp_data& call, std::uint32_t offset, std::uint32_t& a) {
  if (offset % 4 != 0 || offset + 4 > sizeof call) return false;
  std::memcpy(&a, reinterpret_cast<const char*>(&call) + offset, 4);
  return true;
}

}  // namespace

Result<std::uint32_t> run(const Program& program, const seccomp_data& call) {
  std::uint32_t a = 0;
  for (std::size_t pc = 0; pc < program.size(); ++pc) {
    const sock_filter& op = program[pc];
    switch (op.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (!load(call, op.k, a)) return fail(Code::Internal, "bpf: load outside seccomp_data");
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        a &= op.k;
        break;
      case BPF_JMP | BPF_JA:
        pc += op.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
      case BPF_JMP | BPF_JGT | BPF_K:
      case BPF_JMP | BPF_JGE | BPF_K:
      case BPF_JMP | BPF_JSET | BPF_K:
        pc += jump_holds(op, a) ? op.jt : op.jf;
        break;
      case BPF_RET | BPF_K:
        return op.k;
      default:
        return fail(Code::Internal, "bpf: instruction " + std::to_string(op.code));
    }
  }
  return fail(Code::Internal, "bpf: the program has no end");
}

}  // namespace moat::test
