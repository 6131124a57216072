#include "engine/job/denoise_state.h"

#include <ATen/ops/addcmul.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/lerp.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/types/span.h"
#include "core/status_macros.h"
#include "engine/device/upload.h"
#include "engine/job/latent_resize.h"
#include "engine/job/saved_job.h"

namespace stepcast::engine {
namespace {

using sampling::Evaluation;
using sampling::kSlotCount;
using sampling::SamplingProgram;
using sampling::Slot;

// Whether `evaluation` makes `slot` itself before its transition reads it.
bool MakesItself(const Evaluation& evaluation, Slot slot) {
  switch (slot) {
    case Slot::kModelOutput:
    case Slot::kX0:
      return true;
    case Slot::kNoise:
      return evaluation.draws_noise;
    default:
      return false;
  }
}

// The next normals of `generator`, on the device.
at::Tensor Normals(sampling::NoiseGenerator& generator, c10::IntArrayRef shape, const ComputeDevice& device) {
  const at::Tensor host = device.HostBuffer(shape, c10::ScalarType::Float);
  generator.Fill(absl::MakeSpan(host.data_ptr<float>(), static_cast<size_t>(host.numel())));
  return device.Upload(host);
}

// Latents of a picture, [C, h, w].
at::Tensor Draw(const EncodedPicture& picture, sampling::PictureUse use, const model::LatentCodec& codec,
                sampling::NoiseGenerator& generator, const ComputeDevice& device) {
  if (use == sampling::PictureUse::kMode) return picture.mean;
  at::Tensor code = picture.mean;
  if (picture.deviation.defined()) {
    code = at::addcmul(code, picture.deviation, Normals(generator, code.sizes(), device));
  }
  return codec.Scaled(code.unsqueeze(0)).squeeze(0);
}

}  // namespace

std::vector<Slot> PersistentSlots(const SamplingProgram& program) {
  std::array<bool, kSlotCount> survives{};
  survives[static_cast<size_t>(Slot::kLatents)] = true;
  for (const Evaluation& evaluation : program.evaluations) {
    for (const sampling::Term& term : evaluation.transition) {
      if (!MakesItself(evaluation, term.from)) survives[static_cast<size_t>(term.from)] = true;
    }
  }
  if (program.finish.x0_coef != 0.0f) survives[static_cast<size_t>(Slot::kX0)] = true;
  std::vector<Slot> slots;
  for (int i = 0; i < kSlotCount; ++i) {
    if (survives[static_cast<size_t>(i)]) slots.push_back(static_cast<Slot>(i));
  }
  return slots;
}

DenoiseState::DenoiseState(std::shared_ptr<const model::ModelBundle> bundle, sampling::SharedRecipe recipe,
                           int64_t seed)
    : bundle_(std::move(bundle)),
      recipe_(std::move(recipe)),
      seed_(static_cast<uint64_t>(seed)),
      embeddings_(recipe_->conditionings.size()),
      pictures_(recipe_->pictures.size()),
      generator_(seed_) {
  PlaceSlots();
}

void DenoiseState::PlaceSlots() {
  slots_ = PersistentSlots(program());
  index_.fill(-1);
  for (size_t i = 0; i < slots_.size(); ++i) index_[static_cast<size_t>(slots_[i])] = static_cast<int8_t>(i);
}

void DenoiseState::EnterNextStage(std::shared_ptr<const model::ModelBundle> bundle, const ComputeDevice& device) {
  Resume(device);
  const sampling::Stage& next = recipe_->stages[static_cast<size_t>(stage_) + 1];
  const sampling::Start& start = next.program->start;
  at::Tensor latents =
      Resized(FinishedLatents(), next.resize, next.latent_height, next.latent_width).mul(start.image_coef);
  sampling::NoiseGenerator generator = generator_;
  at::Tensor noise;
  if (start.noise_coef != 0.0f || next.blend.has_value()) {
    generator = sampling::NoiseGenerator(seed_);
    noise = Normals(generator, latents.sizes(), device);
    latents.add_(noise, start.noise_coef);
  }
  std::vector<at::Tensor> tensors = {latents};
  const size_t slots = PersistentSlots(*next.program).size();
  while (tensors.size() < slots) tensors.push_back(at::zeros(latents.sizes(), latents.options()));

  ++stage_;
  PlaceSlots();
  tensors_ = std::move(tensors);
  generator_ = generator;
  noise_.resize(static_cast<size_t>(latents.numel()));
  ConsumeNoise();
  begun_ = false;
  drawn_.clear();
  inputs_.clear();
  initial_noise_ = next.blend.has_value() ? noise : at::Tensor();
  if (bundle != bundle_) {
    embeddings_.assign(embeddings_.size(), nullptr);
    pictures_.assign(pictures_.size(), nullptr);
  }
  bundle_ = std::move(bundle);
  maps_.clear();
  sums_ = {};
}

void DenoiseState::Begin(int height, int width, const ComputeDevice& device) {
  Resume(device);
  if (begun_) return;
  const std::array<int64_t, 3> shape = {bundle_->info()->latent_channels, height, width};
  sampling::NoiseGenerator generator = generator_;
  std::map<int, at::Tensor> drawn;
  const auto draw_pictures = [&](bool before_noise) {
    for (const int picture : PicturesOf(stage())) {
      const sampling::PictureUse use = recipe_->pictures[static_cast<size_t>(picture)].use;
      if (use == sampling::PictureUse::kHint || DrawsBeforeNoise(stage(), picture) != before_noise) continue;
      drawn[picture] = Draw(*pictures_[static_cast<size_t>(picture)], use, bundle_->codec(), generator, device);
      TORCH_CHECK(drawn[picture].sizes() == c10::IntArrayRef(shape), "a picture of another size than the latents");
    }
  };
  draw_pictures(/*before_noise=*/true);
  std::vector<at::Tensor> tensors = tensors_;
  at::Tensor noise = initial_noise_;
  if (tensors.empty()) {
    noise = Normals(generator, shape, device);
    at::Tensor latents = noise.mul(program().start.noise_coef);
    if (stage().start == sampling::StageStart::kPicture) {
      at::Tensor picture = drawn.at(stage().start_picture);
      if (stage().noise_fill != nullptr) picture = picture.lerp(noise, MapOf(stage().noise_fill, device).squeeze(0));
      latents.add_(picture, program().start.image_coef);
    }
    tensors.push_back(std::move(latents));
    const bool draws = stage().blend.has_value() && picture(stage().blend->picture)->deviation.defined();
    for (int i = 0; draws && i < stage().spare_draws; ++i) Normals(generator, shape, device);
  }
  draw_pictures(/*before_noise=*/false);
  while (tensors.size() < slots_.size()) tensors.push_back(at::zeros(shape, tensors.front().options()));

  tensors_ = std::move(tensors);
  generator_ = generator;
  noise_.resize(static_cast<size_t>(tensors_.front().numel()));
  ConsumeNoise();
  drawn_ = std::move(drawn);
  if (stage().blend.has_value()) initial_noise_ = std::move(noise);
  begun_ = true;
}

const at::Tensor& DenoiseState::InputsOf(int inputs, const ComputeDevice& device) {
  at::Tensor& known = inputs_[inputs];
  if (known.defined()) return known;
  std::vector<at::Tensor> parts;
  for (const sampling::InputPart& part : stage().inputs[static_cast<size_t>(inputs)]) {
    if (part.map != nullptr) {
      parts.push_back(MapOf(part.map, device));
    } else if (part.zeros > 0) {
      const at::Tensor& latents = tensors_.front();
      parts.push_back(at::zeros({1, part.zeros, latents.size(1), latents.size(2)}, latents.options()));
    } else {
      parts.push_back(LatentsOf(part.picture).unsqueeze(0));
    }
  }
  return known = at::cat(parts, 1);
}

const at::Tensor& DenoiseState::MapOf(const sampling::SharedWeightMap& map, const ComputeDevice& device) {
  at::Tensor& uploaded = maps_[map.get()];
  if (!uploaded.defined()) uploaded = UploadFloats(device, map->values).view({1, 1, map->height, map->width});
  return uploaded;
}

std::vector<at::Tensor*> DenoiseState::Tensors() {
  std::vector<at::Tensor*> all;
  for (at::Tensor& slot : tensors_) all.push_back(&slot);
  for (auto& [picture, latents] : drawn_) all.push_back(&latents);
  if (stage().blend.has_value()) all.push_back(&initial_noise_);
  return all;
}

at::Tensor DenoiseState::HostCopy(const ComputeDevice& device) const {
  // Tensors only finds them.
  const std::vector<at::Tensor*> all = const_cast<DenoiseState*>(this)->Tensors();
  std::vector<int64_t> shape = tensors_.front().sizes().vec();
  shape.insert(shape.begin(), static_cast<int64_t>(all.size()));
  const at::Tensor host = device.HostBuffer(shape, c10::ScalarType::Float);
  for (size_t i = 0; i < all.size(); ++i) {
    host.select(0, static_cast<int64_t>(i)).copy_(*all[i], /*non_blocking=*/true);
  }
  device.Synchronize();
  return host;
}

SavedState DenoiseState::Save(const ComputeDevice& device) const {
  if (tensors_.empty() && !parked()) return nullptr;
  TORCH_CHECK(!noise_drawn_, "saved within an evaluation");
  const at::Tensor host = parked() ? parked_ : HostCopy(device);
  const absl::Span<const float> values(host.const_data_ptr<float>(), static_cast<size_t>(host.numel()));
  return std::make_shared<const std::string>(EncodeSaved(
      {.stage = stage_, .begun = begun_, .shape = host.sizes().vec(), .generator = generator_.state()}, values));
}

absl::Status DenoiseState::Restore(absl::string_view saved) {
  const absl::Status foreign = absl::InvalidArgumentError("what was saved is not of this picture");
  STEPCAST_ASSIGN_OR_RETURN(const SavedJob job, DecodeSaved(saved));
  if (job.stage < 0 || job.stage >= static_cast<int>(recipe_->stages.size())) return foreign;
  stage_ = job.stage;
  bundle_ = stage_bundles[static_cast<size_t>(stage_)];
  PlaceSlots();
  tensors_.resize(slots_.size());
  for (const int picture : PicturesOf(stage())) {
    const bool draws = recipe_->pictures[static_cast<size_t>(picture)].use != sampling::PictureUse::kHint;
    if (job.begun && draws) drawn_[picture] = at::Tensor();
  }
  const std::vector<int64_t> expected = {static_cast<int64_t>(Tensors().size()), bundle_->info()->latent_channels,
                                         stage().latent_height, stage().latent_width};
  if (job.shape != expected) return foreign;
  tensors_.clear();
  parked_ = at::empty(job.shape, c10::ScalarType::Float);
  absl::c_copy(job.values, parked_.data_ptr<float>());
  generator_ = sampling::NoiseGenerator(job.generator);
  noise_.resize(static_cast<size_t>(parked_.select(0, 0).numel()));
  begun_ = job.begun;
  return absl::OkStatus();
}

void DenoiseState::Park(const ComputeDevice& device) {
  tiling_.reset();
  if (tensors_.empty()) return;
  parked_ = HostCopy(device);
  for (at::Tensor* const tensor : Tensors()) tensor->reset();
  tensors_.clear();
  inputs_.clear();
  maps_.clear();
  sums_ = {};
}

void DenoiseState::Resume(const ComputeDevice& device) {
  if (!parked_.defined()) return;
  std::vector<at::Tensor> tensors;
  for (int64_t i = 0; i < parked_.size(0); ++i) {
    const at::Tensor host = parked_.select(0, i);
    tensors.push_back(at::empty(host.sizes(), host.options().device(device.device())));
    tensors.back().copy_(host, /*non_blocking=*/true);
  }
  tensors_.resize(slots_.size());
  const std::vector<at::Tensor*> all = Tensors();
  for (size_t i = 0; i < all.size(); ++i) *all[i] = std::move(tensors[i]);
  parked_.reset();
}

const std::vector<float>& DenoiseState::Noise() {
  if (!noise_drawn_) generator_.Fill(absl::MakeSpan(noise_));
  noise_drawn_ = true;
  return noise_;
}

at::Tensor DenoiseState::FinishedLatents() const {
  const sampling::Finish& finish = program().finish;
  at::Tensor latents = tensors_.front().mul(finish.latents_coef);
  if (finish.x0_coef != 0.0f) latents.add_(tensors_[static_cast<size_t>(IndexOf(Slot::kX0))], finish.x0_coef);
  return latents;
}

}  // namespace stepcast::engine
