#include "engine/codecs/prompt_encoder.h"

#include <ATen/ops/isfinite.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "core/error_reason.h"
#include "core/status_macros.h"

namespace stepcast::engine {
namespace {

PromptKey KeyOf(const DenoiseState& job, const ConditioningInput& input) {
  const ModelInfo& info = *job.bundle().info();
  PromptKey key = {.model = absl::StrCat(info.id, "@", info.sha256, "@", DescribeDtypes(info)),
                   .input = {.text = input.text,
                             .clip_skip = input.clip_skip,
                             .class_index = input.class_index,
                             .size_ids = input.size_ids,
                             .zero = input.zero}};
  for (const TextLora& lora : input.loras) {
    key.input.adapters.push_back({.key = lora.key, .scale = lora.scale, .towers = job.loras.at(lora.key)->towers});
  }
  return key;
}

// Conditionings that rows of the job's stage show, ascending.
std::vector<int> Shown(const DenoiseState& job) {
  std::vector<int> shown;
  for (const sampling::RowSet& set : job.stage().row_sets) {
    for (const sampling::Row& row : set.rows) shown.push_back(row.conditioning);
  }
  std::ranges::sort(shown);
  const auto rest = std::ranges::unique(shown);
  shown.erase(rest.begin(), rest.end());
  return shown;
}

const ConditioningInput& InputOf(const DenoiseState& job, int conditioning) {
  return job.recipe().conditionings[static_cast<size_t>(conditioning)];
}

absl::Status CheckIds(int prompt, const PromptTokens& text, int64_t vocab_size) {
  if (text.ids.empty()) return absl::InvalidArgumentError(absl::StrCat("prompt ", prompt, " has no token ids"));
  int vectors = 0;
  for (const UsedInversion& used : text.inversions) vectors += used.file->vectors;
  for (const std::vector<int32_t>& ids : text.ids) {
    for (const int32_t id : ids) {
      if (id < InversionId(vectors - 1) || id >= vocab_size) {
        return absl::InvalidArgumentError(
            absl::StrCat("prompt ", prompt, " has token id ", id, "; the text encoder knows 0 to ", vocab_size - 1));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status CheckClass(const ModelInfo& info, const std::optional<int>& index) {
  if (info.conditioning != ConditioningKind::kClassLabel) return absl::OkStatus();
  if (index.has_value() && !info.class_labels.contains(*index)) {
    return absl::InvalidArgumentError(absl::StrCat("model '", info.id, "' has no class ", *index));
  }
  if (!index.has_value() && !info.has_null_class) {
    return absl::InvalidArgumentError(absl::StrCat("model '", info.id, "' has no class that stands for any class"));
  }
  return absl::OkStatus();
}

// [R] on the host: whether all numbers of each row are finite.
at::Tensor FiniteRows(const model::Conditioning& rows) {
  at::Tensor finite = at::isfinite(rows.prompt_embeds).flatten(1).all(1);
  if (rows.text_embeds.defined()) finite = finite.logical_and(at::isfinite(rows.text_embeds).all(1));
  return finite.to(c10::Device(c10::DeviceType::CPU));
}

at::Tensor Row(const at::Tensor& rows, int64_t i) {
  // A copy, so that one cached prompt does not keep the whole batch alive.
  return rows.defined() ? rows.narrow(0, i, 1).clone() : at::Tensor();
}

model::Conditioning RowOf(const model::Conditioning& rows, int64_t i) {
  model::Conditioning row;
  row.prompt_embeds = Row(rows.prompt_embeds, i);
  row.text_embeds = Row(rows.text_embeds, i);
  row.time_ids = Row(rows.time_ids, i);
  row.class_labels = Row(rows.class_labels, i);
  return row;
}

}  // namespace

absl::StatusOr<bool> PromptEncoder::Start(DenoiseState& job) {
  if (!job.bundle().conditioner().runs_network()) {
    STEPCAST_RETURN_IF_ERROR(StartAtOnce(job));
    return false;
  }
  const int64_t vocab_size = job.bundle().conditioner().vocab_size();
  bool missing = false;
  for (const int shown : Shown(job)) {
    STEPCAST_RETURN_IF_ERROR(CheckIds(shown, InputOf(job, shown).text, vocab_size));
    job.Pin(shown, cache_.Find(KeyOf(job, InputOf(job, shown))));
    missing = missing || job.embedding(shown) == nullptr;
  }
  return missing;
}

absl::Status PromptEncoder::StartAtOnce(DenoiseState& job) {
  for (const int shown : Shown(job)) {
    STEPCAST_RETURN_IF_ERROR(CheckClass(*job.bundle().info(), InputOf(job, shown).class_index));
  }
  return guard_.Run("conditioning", [&] {
    const c10::InferenceMode inference_mode;
    for (const int shown : Shown(job)) job.Pin(shown, AtOnce(job.bundle(), KeyOf(job, InputOf(job, shown))));
  });
}

SharedEmbedding PromptEncoder::AtOnce(const model::ModelBundle& bundle, const PromptKey& key) {
  if (SharedEmbedding known = cache_.Peek(key)) return known;
  return cache_.Insert(key, bundle.conditioner().Encode({key.input}));
}

std::vector<absl::Status> PromptEncoder::Encode(absl::Span<DenoiseState* const> jobs) {
  struct Wish {
    DenoiseState* job;
    int conditioning;
    Task* task;
  };
  std::deque<Task> tasks;  // a deque, so that pointers into it stay valid
  absl::flat_hash_map<PromptKey, Task*> task_of;
  std::vector<Wish> wishes;
  std::vector<size_t> wishes_of_job;
  for (DenoiseState* job : jobs) {
    for (const int shown : Shown(*job)) {
      if (job->embedding(shown) != nullptr) continue;
      const PromptKey key = KeyOf(*job, InputOf(*job, shown));
      auto [it, fresh] = task_of.try_emplace(key, nullptr);
      if (fresh) it->second = &tasks.emplace_back(Task{key, cache_.Peek(key), absl::OkStatus()});
      wishes.push_back({job, shown, it->second});
    }
    wishes_of_job.push_back(wishes.size());
  }

  std::vector<Task*> missing;
  for (Task& task : tasks) {
    if (task.embedding == nullptr) missing.push_back(&task);
  }
  // One forward takes one clip_skip and one number of chunks; within one the order stays, that of the addresses. Not
  // std::stable_sort: the standard library's uses functions that C++20 deprecates, of which clang warns.
  const auto shape = [](const Task* task) { return std::pair(task->key.input.clip_skip, task->key.input.text.chunks); };
  std::ranges::sort(missing, {}, [&](const Task* task) { return std::pair(shape(task), task); });
  for (auto begin = missing.begin(); begin != missing.end();) {
    const auto end =
        alone_ ? begin + 1
               : std::find_if(begin, missing.end(), [&](const Task* task) { return shape(task) != shape(*begin); });
    EncodeTasks(jobs.front()->bundle(), {&*begin, static_cast<size_t>(end - begin)});
    begin = end;
  }

  std::vector<absl::Status> statuses;
  size_t next = 0;
  for (const size_t end : wishes_of_job) {
    absl::Status status;
    for (; next < end; ++next) {
      wishes[next].job->Pin(wishes[next].conditioning, wishes[next].task->embedding);
      status.Update(wishes[next].task->status);
    }
    statuses.push_back(std::move(status));
  }
  return statuses;
}

void PromptEncoder::EncodeTasks(const model::ModelBundle& bundle, absl::Span<Task* const> tasks) {
  std::vector<bool> finite;
  const absl::Status status = guard_.Run("encode", [&] {
    std::vector<model::ConditioningInput> inputs;
    for (const Task* task : tasks) inputs.push_back(task->key.input);
    const model::Conditioning rows = bundle.conditioner().Encode(inputs);
    const at::Tensor rows_finite = FiniteRows(rows);
    for (size_t i = 0; i < tasks.size(); ++i) {
      finite.push_back(rows_finite.data_ptr<bool>()[i]);
      if (finite[i]) {
        tasks[i]->embedding = cache_.Insert(tasks[i]->key, RowOf(rows, static_cast<int64_t>(i)));
      } else {
        tasks[i]->status = WithReason(absl::InternalError("the text encoder's output has values that are not finite"),
                                      "NUMERIC_FAULT");
      }
    }
  });
  if (status.ok()) return;
  if (tasks.size() == 1) {
    tasks.front()->status = status;
    return;
  }
  // Smaller batches: less memory, and a prompt that fails takes no other with it.
  EncodeTasks(bundle, tasks.subspan(0, tasks.size() / 2));
  EncodeTasks(bundle, tasks.subspan(tasks.size() / 2));
}

}  // namespace stepcast::engine
