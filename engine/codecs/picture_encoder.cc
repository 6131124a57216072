#include "engine/codecs/picture_encoder.h"

#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <deque>
#include <string_view>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "core/decoding.h"
#include "core/error_reason.h"
#include "core/status_macros.h"
#include "model/tiled_codec.h"

namespace stepcast::engine {
namespace {

using sampling::PictureSource;
using sampling::PictureUse;

constexpr uint8_t kErased = 128;  // and more

bool IsHint(const PictureSource& source) { return source.use == PictureUse::kHint; }

// [3, H, W] float32 on the device: in 0..1 for hints, else in [-1, 1] and 0 where it is erased.
at::Tensor Upload(const PictureSource& source, const ComputeDevice& device) {
  const Image& image = *source.picture.image;
  const size_t plane = static_cast<size_t>(image.width) * static_cast<size_t>(image.height);
  const at::Tensor host = device.HostBuffer({3, image.height, image.width}, c10::ScalarType::Float);
  float* out = host.data_ptr<float>();
  for (size_t channel = 0; channel < 3; ++channel) {
    for (size_t i = 0; i < plane; ++i) {
      const float share = static_cast<float>(image.pixels[3 * i + channel]) / 255.0f;
      const bool erased = source.erased != nullptr && source.erased->values[i] >= kErased;
      *out++ = IsHint(source) ? share : erased ? 0.0f : 2.0f * share - 1.0f;
    }
  }
  return device.Upload(host);
}

bool IsFinite(const EncodedPicture& picture) {
  const auto finite = [](const at::Tensor& tensor) {
    return !tensor.defined() || at::isfinite(tensor).all().item<bool>();
  };
  return finite(picture.mean) && finite(picture.deviation);
}

// A copy, so that one cached picture does not keep the whole batch alive.
at::Tensor Row(const at::Tensor& rows, size_t i) {
  return rows.defined() ? rows.select(0, static_cast<int64_t>(i)).clone() : at::Tensor();
}

model::EncodedPictures Encoded(const model::LatentCodec& codec, const at::Tensor& pictures, bool tiled) {
  return tiled ? codec.EncodeTiled(pictures) : codec.Encode(pictures);
}

}  // namespace

absl::StatusOr<PictureEncoder::Task> PictureEncoder::TaskOf(const PictureWish& wish) const {
  const PictureSource& source = wish.job->recipe().pictures[static_cast<size_t>(wish.picture)];
  const model::ModelBundle& bundle = wish.job->bundle();
  const ModelInfo& info = *bundle.info();
  Task task{.key = {.network = absl::StrCat(info.id, "@", info.sha256, "@", DescribeDtypes(info)),
                    .sha256 = source.picture.sha256,
                    .erased = source.erased,
                    .tiled = wish.tiled},
            .source = &source,
            .bundle = &bundle};
  if (!IsHint(source)) {
    if (bundle.codec().encodes()) return task;
    return absl::UnimplementedError(absl::StrCat("the autoencoder of model '", info.id, "' has no encoder"));
  }
  if (!parts_.hints) return absl::NotFoundError(absl::StrCat("there is no ControlNet '", source.network, "'"));
  STEPCAST_ASSIGN_OR_RETURN(task.hint, parts_.hints(source.network));
  task.key.network = task.hint.identity;
  task.key.tiled = false;
  return task;
}

absl::StatusOr<bool> PictureEncoder::Start(const PictureWish& wish) {
  STEPCAST_ASSIGN_OR_RETURN(const Task task, TaskOf(wish));
  SharedEncodedPicture known = parts_.cache.Find(task.key);
  const bool found = known != nullptr;
  wish.job->PinPicture(wish.picture, std::move(known));
  return found;
}

std::vector<absl::Status> PictureEncoder::Encode(absl::Span<const PictureWish> wishes) {
  std::vector<absl::Status> statuses(wishes.size());
  std::vector<PictureWish> whole;
  std::vector<size_t> places;
  for (size_t i = 0; i < wishes.size(); ++i) {
    if (wishes[i].share.ticks > 1) {
      statuses[i] = EncodeTiles(wishes[i]);
    } else {
      whole.push_back(wishes[i]);
      places.push_back(i);
    }
  }
  std::vector<absl::Status> others = EncodeWhole(whole);
  for (size_t i = 0; i < whole.size(); ++i) statuses[places[i]] = std::move(others[i]);
  return statuses;
}

absl::Status PictureEncoder::EncodeTiles(const PictureWish& wish) {
  DenoiseState& job = *wish.job;
  if (job.picture(wish.picture) != nullptr) return absl::OkStatus();  // somebody else's, meanwhile
  STEPCAST_ASSIGN_OR_RETURN(Task task, TaskOf(wish));
  task.encoded = parts_.cache.Find(task.key);
  const auto* const codec = dynamic_cast<const model::TiledCodec*>(&task.bundle->codec());
  if (task.encoded == nullptr && codec == nullptr && wish.share.last()) {
    Task* const alone[] = {&task};
    EncodeTasks(alone);
  } else if (task.encoded == nullptr && codec != nullptr) {
    STEPCAST_RETURN_IF_ERROR(parts_.guard.Run("encode a picture's tiles", [&] {
      if (!job.tiling().has_value() || job.tiling()->picture != wish.picture) {
        job.tiling().emplace(wish.picture, codec->BeginEncode(Upload(*task.source, parts_.device).unsqueeze(0)));
      }
      model::TiledWork& work = job.tiling()->work;
      while (work.tiles_done() < wish.share.DoneOf(work.tiles())) work.Next();
      if (!wish.share.last()) return;
      const model::EncodedPictures all = codec->Encoded(work.output());
      Keep(task,
           Precise(task, work.input().select(0, 0), {.mean = Row(all.mean, 0), .deviation = Row(all.deviation, 0)}));
    }));
  }
  if (task.encoded != nullptr || !task.status.ok()) job.tiling().reset();
  if (task.encoded != nullptr) job.PinPicture(wish.picture, task.encoded);
  return task.status;
}

std::vector<absl::Status> PictureEncoder::EncodeWhole(absl::Span<const PictureWish> wishes) {
  std::deque<Task> tasks;  // a deque, so that pointers into it stay valid
  std::vector<Task*> task_of;
  absl::flat_hash_map<PictureKey, Task*> known;
  std::vector<absl::Status> statuses(wishes.size());
  for (size_t i = 0; i < wishes.size(); ++i) {
    absl::StatusOr<Task> task = TaskOf(wishes[i]);
    statuses[i] = task.status();
    task_of.push_back(nullptr);
    if (!task.ok()) continue;
    const auto twin = known.find(task->key);
    task->place = i;
    task_of.back() = twin != known.end() ? twin->second : &tasks.emplace_back(*std::move(task));
    if (!task_of.back()->key.sha256.empty()) known.emplace(task_of.back()->key, task_of.back());
  }
  std::vector<Task*> missing;
  for (Task& task : tasks) {
    task.encoded = parts_.cache.Find(task.key);
    if (task.encoded == nullptr) missing.push_back(&task);
  }
  // Not std::stable_sort: the standard library's uses functions that C++20 deprecates, of which clang warns.
  std::ranges::sort(missing, {}, [](const Task* task) {
    return std::tuple(std::string_view(task->key.network), task->key.tiled, task->place);
  });
  for (absl::Span<Task* const> left = missing; !left.empty();) {
    const size_t count = Together(left);
    EncodeTasks(left.subspan(0, count));
    left.remove_prefix(count);
  }
  for (size_t i = 0; i < wishes.size(); ++i) {
    if (task_of[i] == nullptr) continue;
    wishes[i].job->PinPicture(wishes[i].picture, task_of[i]->encoded);
    statuses[i] = task_of[i]->status;
  }
  return statuses;
}

size_t PictureEncoder::Together(absl::Span<Task* const> tasks) const {
  const Task& first = *tasks.front();
  const Image& image = *first.source->picture.image;
  int64_t most = most_;
  if (!IsHint(*first.source)) {
    const Decoding& decoding = first.bundle->info()->decoding;
    const int64_t each = DecodeBytes(decoding, image.width, image.height, first.key.tiled);
    if (each > 0 && decoding.max_bytes > 0) most = std::clamp<int64_t>(decoding.max_bytes / each, 1, most);
  }
  const auto alike = [&](const Task* task) {
    const Image& other = *task->source->picture.image;
    return task->key.network == first.key.network && task->key.tiled == first.key.tiled && other.width == image.width &&
           other.height == image.height;
  };
  const auto end = tasks.begin() + std::min<int64_t>(most, static_cast<int64_t>(tasks.size()));
  return static_cast<size_t>(std::find_if_not(tasks.begin(), end, alike) - tasks.begin());
}

std::vector<EncodedPicture> PictureEncoder::Run(absl::Span<Task* const> tasks) {
  std::vector<at::Tensor> pictures;
  for (const Task* task : tasks) pictures.push_back(Upload(*task->source, parts_.device));
  const Task& first = *tasks.front();
  const at::Tensor batch = at::stack(pictures);
  std::vector<EncodedPicture> encoded;
  if (IsHint(*first.source)) {
    const at::Tensor hints = first.hint.embed(batch);
    for (size_t i = 0; i < tasks.size(); ++i) encoded.push_back({.mean = Row(hints, i), .deviation = {}});
    return encoded;
  }
  const model::LatentCodec& codec = first.bundle->codec();
  const model::EncodedPictures all = Encoded(codec, batch, first.key.tiled);
  for (size_t i = 0; i < tasks.size(); ++i) {
    encoded.push_back(Precise(first, pictures[i], {.mean = Row(all.mean, i), .deviation = Row(all.deviation, i)}));
  }
  return encoded;
}

// Once more in float32, where less has overflowed.
EncodedPicture PictureEncoder::Precise(const Task& task, const at::Tensor& picture, EncodedPicture encoded) {
  if (task.bundle->codec().dtype() == c10::ScalarType::Float || IsFinite(encoded)) return encoded;
  parts_.precise.Run(*task.bundle, [&](const model::LatentCodec& precise) {
    const model::EncodedPictures again = Encoded(precise, picture.unsqueeze(0), task.key.tiled);
    encoded = {.mean = Row(again.mean, 0), .deviation = Row(again.deviation, 0)};
  });
  return encoded;
}

void PictureEncoder::Keep(Task& task, EncodedPicture encoded) {
  if (IsFinite(encoded)) {
    task.encoded = parts_.cache.Insert(task.key, std::move(encoded));
  } else {
    task.status =
        WithReason(absl::InternalError("the encoded picture has values that are not finite"), "NUMERIC_FAULT");
  }
}

void PictureEncoder::EncodeTasks(absl::Span<Task* const> tasks) {
  const absl::Status status = parts_.guard.Run("encode pictures", [&] {
    std::vector<EncodedPicture> encoded = Run(tasks);
    for (size_t i = 0; i < tasks.size(); ++i) Keep(*tasks[i], std::move(encoded[i]));
  });
  if (status.ok()) return;
  if (IsOutOfMemory(status)) parts_.device.ReleaseCachedMemory();
  if (tasks.size() == 1) {
    tasks.front()->status = status;
    return;
  }
  // Smaller batches: less memory, and a picture that fails takes no other with it.
  EncodeTasks(tasks.subspan(0, tasks.size() / 2));
  EncodeTasks(tasks.subspan(tasks.size() / 2));
}

}  // namespace stepcast::engine
