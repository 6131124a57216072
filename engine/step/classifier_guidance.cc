#include "engine/step/classifier_guidance.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/isfinite.h>

#include <cstdint>

#include "engine/device/upload.h"
#include "model/classifier.h"

namespace stepcast::engine {

std::vector<size_t> ClassifierGuidance::Apply(absl::Span<const ActiveJob> jobs, const at::Tensor& latents,
                                              at::Tensor& prediction) const {
  std::vector<int64_t> asking;
  std::vector<int64_t> labels;
  std::vector<float> numbers;  // timesteps, then input scales, then coefficients
  for (size_t n = 0; n < jobs.size(); ++n) {
    if (jobs[n].evaluation->classifier_coef == 0.0f) continue;
    asking.push_back(static_cast<int64_t>(n));
    labels.push_back(*jobs[n].state->class_index);
  }
  if (asking.empty()) return {};
  const auto evaluation = [&jobs](int64_t n) -> const sampling::Evaluation& {
    return *jobs[static_cast<size_t>(n)].evaluation;
  };
  for (const int64_t n : asking) numbers.push_back(evaluation(n).timestep);
  for (const int64_t n : asking) numbers.push_back(evaluation(n).input_scale);
  for (const int64_t n : asking) numbers.push_back(evaluation(n).classifier_coef);
  const at::Tensor uploaded = UploadFloats(device_, numbers).view({3, -1});
  const at::Tensor rows = UploadIndices(device_, asking);
  const at::Tensor input = at::index_select(latents, 0, rows).mul_(uploaded.select(0, 1).view({-1, 1, 1, 1}));
  const model::Classifier& classifier = *jobs.front().state->bundle().classifier();
  const at::Tensor gradient = classifier.Gradient(input, uploaded.select(0, 0), UploadIndices(device_, labels));
  prediction.narrow(1, 0, latents.size(1)).index_add_(0, rows, gradient * uploaded.select(0, 2).view({-1, 1, 1, 1}));

  const at::Tensor finite = at::isfinite(gradient).flatten(1).all(1).to(c10::Device(c10::DeviceType::CPU));
  std::vector<size_t> lost;
  for (size_t i = 0; i < asking.size(); ++i) {
    if (!finite.data_ptr<bool>()[i]) lost.push_back(static_cast<size_t>(asking[i]));
  }
  return lost;
}

}  // namespace stepcast::engine
