#include "scheduler/dispatch/loop_books.h"

#include <algorithm>

#include "absl/hash/hash.h"

namespace stepcast {
namespace {

constexpr size_t kMaxPrompts = 4096;
constexpr size_t kMaxKeys = 1024;

const BatchKey& DenoiseKey(const JobSpec& spec) { return spec.work->lead().key; }

// Forward rows of all evaluations of `key`.
int RowsOf(const WorkList& work, const BatchKey& key) {
  int rows = 0;
  for (const WorkLine& line : work.lines()) {
    if (line.key == key) rows += line.rows * line.count;
  }
  return rows;
}

// Whether all evaluations have one key.
bool HasOneSize(const WorkList& work) {
  for (const WorkLine& line : work.lines()) {
    if (line.key.phase == Phase::kDenoise && line.key != work.lead().key) return false;
  }
  return true;
}

size_t PromptHash(const GenerationRequest& request) {
  const SizeConditioning kind = request.model->size_conditioning;
  return absl::HashOf(request.model->id, request.prompt_parts, request.negative_tokens, request.negative_prompt_given,
                      request.clip_skip, SizeIds(kind, request.sizes, /*negative=*/false),
                      SizeIds(kind, request.sizes, /*negative=*/true));
}

}  // namespace

absl::Duration LoopBooks::CostOf(const Loop& loop, const JobSpec& spec) const {
  absl::Duration cost;
  for (const WorkLine& line : spec.work->lines()) {
    const auto found = loop.row_cost.find(line.key);
    if (found != loop.row_cost.end()) cost += found->second * line.rows * line.count;
  }
  return cost;
}

std::vector<LoopLoad> LoopBooks::LoadsFor(const JobSpec& spec, absl::Span<const EngineStatus> statuses) {
  const BatchKey key = DenoiseKey(spec);
  const auto prompt = prompts_.find(PromptHash(*spec.request));
  std::vector<LoopLoad> loads;
  for (size_t i = 0; i < loops_.size(); ++i) {
    Loop& loop = loops_[i];
    const EngineStatus& status = statuses[i];
    LoopLoad load{.usable = !status.lost,
                  .busy = status.backlog,
                  .jobs = status.waiting + status.running,
                  .own = CostOf(loop, spec),
                  .room = max_queued_jobs_ - status.waiting};
    for (const Sent& sent : loop.sent) {
      load.busy += sent.cost;
      load.jobs += sent.images;
      load.room -= sent.images;
    }
    if (load.jobs == 0) loop.keys.clear();
    load.same_key = loop.keys.contains(key);
    load.knows_prompt = prompt != prompts_.end() && prompt->second == i;
    loads.push_back(load);
  }
  return loads;
}

int64_t LoopBooks::OnSent(size_t loop, const JobSpec& spec, int images) {
  Loop& books = loops_[loop];
  books.sent.push_back({.number = ++last_number_, .images = images, .cost = images * CostOf(books, spec)});
  if (books.keys.size() < kMaxKeys) books.keys.insert(DenoiseKey(spec));
  const size_t prompt = PromptHash(*spec.request);
  if (prompts_.insert_or_assign(prompt, loop).second) prompt_order_.push_back(prompt);
  if (prompt_order_.size() > kMaxPrompts) {
    prompts_.erase(prompt_order_.front());
    prompt_order_.pop_front();
  }
  return last_number_;
}

void LoopBooks::OnDecided(size_t loop, int64_t number) {
  std::erase_if(loops_[loop].sent, [number](const Sent& sent) { return sent.number == number; });
}

void LoopBooks::OnCost(size_t loop, const JobSpec& spec, absl::Duration alone) {
  auto& row_cost = loops_[loop].row_cost;
  const int rows = RowsOf(*spec.work, DenoiseKey(spec));
  if (alone <= absl::ZeroDuration() || rows == 0 || !HasOneSize(*spec.work)) return;
  if (row_cost.size() >= kMaxKeys) row_cost.clear();
  row_cost[DenoiseKey(spec)] = alone / rows;
}

}  // namespace stepcast
