#include "sampling/compile/program_cache.h"

#include "core/status_macros.h"

namespace stepcast::sampling {
namespace {

int64_t CostOf(const SharedProgram& program) { return static_cast<int64_t>(program->evaluations.size()); }

}  // namespace

absl::StatusOr<SharedProgram> ProgramCache::Get(const NoiseScheduleConfig& schedule, const SamplerSpec& spec) {
  const KeyView key{&schedule, &spec};
  {
    MutexLock lock(mutex_);
    if (SharedProgram program = Find(key)) return program;
  }
  STEPCAST_ASSIGN_OR_RETURN(SharedProgram program, Compile(schedule, spec));
  if (CostOf(program) > max_evaluations_) return program;

  MutexLock lock(mutex_);
  // Another thread may have been faster; all callers share the first.
  if (SharedProgram other = Find(key)) return other;
  entries_.push_front({{schedule, spec}, program});
  const Key& stored = entries_.front().key;
  index_.emplace(KeyView{&stored.schedule, &stored.spec}, entries_.begin());
  evaluations_ += CostOf(program);
  while (evaluations_ > max_evaluations_) EvictOldest();
  return program;
}

size_t ProgramCache::size() const {
  MutexLock lock(mutex_);
  return entries_.size();
}

SharedProgram ProgramCache::Find(KeyView key) {
  const auto found = index_.find(key);
  if (found == index_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return entries_.front().program;
}

void ProgramCache::EvictOldest() {
  const Entry& oldest = entries_.back();
  evaluations_ -= CostOf(oldest.program);
  index_.erase(KeyView{&oldest.key.schedule, &oldest.key.spec});
  entries_.pop_back();
}

}  // namespace stepcast::sampling
