#include "policies/kernel_code.h"

#include <limits>
#include <utility>

namespace moat::policies {

Assembler::Label Assembler::label() {
  labels_.push_back(0);
  return labels_.size() - 1;
}

void Assembler::here(Label label) {
  labels_[label] = code_.size();
}

void Assembler::emit(std::uint8_t code, std::uint8_t to, std::uint8_t from, std::int16_t offset,
                     std::int32_t value) {
  bpf_insn instruction{};
  instruction.code = code;
  instruction.dst_reg = to & 0xfU;
  instruction.src_reg = from & 0xfU;
  instruction.off = offset;
  instruction.imm = value;
  code_.push_back(instruction);
}

void Assembler::move(std::uint8_t to, std::uint8_t from) {
  emit(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}
void Assembler::set(std::uint8_t to, std::int32_t value) {
  emit(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}
void Assembler::add(std::uint8_t to, std::int32_t value) {
  emit(BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value);
}
void Assembler::add_register(std::uint8_t to, std::uint8_t from) {
  emit(BPF_ALU64 | BPF_ADD | BPF_X, to, from, 0, 0);
}
void Assembler::mask(std::uint8_t to, std::uint32_t bits) {
  emit(BPF_ALU | BPF_AND | BPF_K, to, 0, 0, static_cast<std::int32_t>(bits));
}
void Assembler::shift_left(std::uint8_t to, std::int32_t bits) {
  emit(BPF_ALU | BPF_LSH | BPF_K, to, 0, 0, bits);
}
void Assembler::shift_right(std::uint8_t to, std::int32_t bits) {
  emit(BPF_ALU | BPF_RSH | BPF_K, to, 0, 0, bits);
}

void Assembler::load(std::uint8_t size, std::uint8_t to, std::uint8_t base, std::int16_t offset) {
  emit(static_cast<std::uint8_t>(BPF_LDX | BPF_MEM | size), to, base, offset, 0);
}
void Assembler::store(std::uint8_t size, std::uint8_t base, std::int16_t offset,
                      std::uint8_t from) {
  emit(static_cast<std::uint8_t>(BPF_STX | BPF_MEM | size), base, from, offset, 0);
}
void Assembler::increment(std::uint8_t base, std::int16_t offset) {
  set(BPF_REG_1, 1);
  emit(BPF_STX | BPF_DW | BPF_ATOMIC, base, BPF_REG_1, offset, BPF_ADD);
}

void Assembler::wide(std::uint8_t to, std::uint8_t kind) {
  emit(BPF_LD | BPF_DW | BPF_IMM, to, kind, 0, 0);
  emit(0, 0, 0, 0, 0);
}

void Assembler::jump(Label label) {
  to_label(label);
  emit(BPF_JMP | BPF_JA, 0, 0, 0, 0);
}
void Assembler::jump_if_equal(std::uint8_t left, std::uint8_t right, Label label) {
  to_label(label);
  emit(BPF_JMP | BPF_JEQ | BPF_X, left, right, 0, 0);
}
void Assembler::jump_if(std::uint8_t left, std::int32_t value, Label label) {
  to_label(label);
  emit(BPF_JMP | BPF_JEQ | BPF_K, left, 0, 0, value);
}
void Assembler::jump_unless(std::uint8_t left, std::uint32_t value, Label label) {
  to_label(label);
  emit(BPF_JMP32 | BPF_JNE | BPF_K, left, 0, 0, static_cast<std::int32_t>(value));
}
void Assembler::jump_if_above(std::uint8_t left, std::int32_t value, Label label) {
  to_label(label);
  emit(BPF_JMP | BPF_JGT | BPF_K, left, 0, 0, value);
}
void Assembler::call(bpf_func_id function) {
  emit(BPF_JMP | BPF_CALL, 0, 0, 0, function);
}
void Assembler::call_kernel(std::uint32_t function) {
  emit(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, static_cast<std::int32_t>(function));
}
void Assembler::exit() {
  emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

KernelCode Assembler::finish() && {
  for (const Jump& jump : jumps_) {
    const std::size_t distance = labels_[jump.to] - jump.at - 1;  // forward only: no loops
    if (distance > static_cast<std::size_t>(std::numeric_limits<std::int16_t>::max())) return {};
    code_[jump.at].off = static_cast<std::int16_t>(distance);
  }
  return std::move(code_);
}

}  // namespace moat::policies
