#include "engine/denoise_state.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/types/span.h"
#include "engine/latent_resize.h"
#include "engine/upload.h"

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
  std::vector<float> noise(static_cast<size_t>(latents.numel()));
  sampling::NoiseGenerator generator = generator_;
  if (start.noise_coef != 0.0f) {
    generator = sampling::NoiseGenerator(seed_);
    generator.Fill(absl::MakeSpan(noise));
    latents.add_(UploadFloats(device, noise).view(latents.sizes()), start.noise_coef);
  }
  std::vector<at::Tensor> tensors = {latents};
  const size_t slots = PersistentSlots(*next.program).size();
  while (tensors.size() < slots) tensors.push_back(at::zeros(latents.sizes(), latents.options()));

  ++stage_;
  PlaceSlots();
  tensors_ = std::move(tensors);
  generator_ = generator;
  noise_ = std::move(noise);
  ConsumeNoise();
  if (bundle != bundle_) embeddings_.assign(embeddings_.size(), nullptr);
  bundle_ = std::move(bundle);
  maps_.clear();
  sums_ = {};
}

void DenoiseState::Begin(int height, int width, const ComputeDevice& device) {
  Resume(device);
  if (!tensors_.empty()) return;
  const int64_t channels = bundle_->info()->latent_channels;
  const std::array<int64_t, 3> shape = {channels, height, width};
  noise_.resize(static_cast<size_t>(channels * height * width));
  at::Tensor host = device.HostBuffer(shape, c10::ScalarType::Float);
  std::ranges::copy(Noise(), host.data_ptr<float>());
  std::vector<at::Tensor> tensors;
  tensors.push_back(device.Upload(host).mul(program().start.noise_coef));
  while (tensors.size() < slots_.size()) {
    tensors.push_back(at::zeros(shape, at::TensorOptions(c10::ScalarType::Float).device(device.device())));
  }
  tensors_ = std::move(tensors);
  ConsumeNoise();
}

const at::Tensor& DenoiseState::MapOf(const sampling::SharedWeightMap& map, const ComputeDevice& device) {
  at::Tensor& uploaded = maps_[map.get()];
  if (!uploaded.defined()) uploaded = UploadFloats(device, map->values).view({1, 1, map->height, map->width});
  return uploaded;
}

void DenoiseState::Park(const ComputeDevice& device) {
  if (tensors_.empty()) return;
  std::vector<int64_t> shape = tensors_.front().sizes().vec();
  shape.insert(shape.begin(), static_cast<int64_t>(tensors_.size()));
  const at::Tensor host = device.HostBuffer(shape, c10::ScalarType::Float);
  for (size_t i = 0; i < tensors_.size(); ++i) {
    host.select(0, static_cast<int64_t>(i)).copy_(tensors_[i], /*non_blocking=*/true);
  }
  device.Synchronize();
  parked_ = host;
  tensors_.clear();
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
  tensors_ = std::move(tensors);
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
