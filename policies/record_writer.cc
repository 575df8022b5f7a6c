#include "policies/record_writer.h"

namespace moat::policies::detail {

void RecordWriter::begin(bpf_func_id cgroup_of, const std::function<bool(Phase)>& free) {
  out_.move(kContext, BPF_REG_1);
  out_.call(cgroup_of);
  out_.state_address(kState);
  out_.load(BPF_DW, kTemp, kState, offsetof(NetworkState, session_cgroup));
  out_.jump_if_equal(kResult, kTemp, allow_);
  out_.load(BPF_W, kPhase, kState, offsetof(NetworkState, phase));
  if (audit_) out_.jump_if(kPhase, 0, allow_);
  for (Phase phase : kPhases)
    if (free(phase)) out_.jump_if(kPhase, static_cast<std::int32_t>(phase_word(phase)), allow_);
  out_.set(kTemp, 0);
  for (std::size_t at = 0; at < size_of_record(hook_); at += 8)
    out_.store(BPF_DW, kFrame, in_record(at), kTemp);
}

void RecordWriter::note(std::size_t member, std::uint32_t value) {
  out_.set(kTemp, static_cast<std::int32_t>(value));
  out_.store(BPF_W, kFrame, in_record(member), kTemp);
}

void RecordWriter::end(bool with_caller) {
  const auto done = out_.label();
  out_.here(refuse_);
  out_.store(BPF_W, kFrame, in_record(offsetof(NetworkRecord, phase)), kPhase);
  note(offsetof(NetworkRecord, hook), static_cast<std::uint32_t>(hook_));
  if (with_caller) {
    out_.call(BPF_FUNC_get_current_pid_tgid);
    out_.store(BPF_DW, kFrame, in_record(offsetof(NetworkRecord, pid_tgid)), kResult);
    out_.move(BPF_REG_1, kFrame);
    out_.add(BPF_REG_1, in_record(offsetof(NetworkRecord, comm)));
    out_.set(BPF_REG_2, sizeof(NetworkRecord::comm));
    out_.call(BPF_FUNC_get_current_comm);
  }
  out_.ring(BPF_REG_1);
  out_.move(BPF_REG_2, kFrame);
  out_.add(BPF_REG_2, kRecord);
  out_.set(BPF_REG_3, static_cast<std::int32_t>(size_of_record(hook_)));
  out_.set(BPF_REG_4, 0);
  out_.call(BPF_FUNC_ringbuf_output);
  out_.jump_if(kResult, 0, done);
  out_.increment(kState, offsetof(NetworkState, lost));
  out_.here(done);
  out_.set(kResult, audit_ ? 1 : 0);
  out_.exit();
  out_.here(allow_);
  out_.set(kResult, 1);
  out_.exit();
}

}  // namespace moat::policies::detail
