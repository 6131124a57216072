#pragma once
// Steers predictions towards a class by the gradient of the model's classifier.

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "engine/device/device.h"
#include "engine/job/active_job.h"

namespace stepcast::engine {

// Classifier guidance (Dhariwal & Nichol 2021, algorithm 1) for the jobs of a batch that ask for it.
//
// Thread-safety: none; owned by one executor. Throws what tensor code throws: call it inside TorchGuard::Run.
class ClassifierGuidance {
 public:
  // `device` must outlive this.
  explicit ClassifierGuidance(const ComputeDevice& device) : device_(device) {}

  // prediction += classifier_coef * gradient of log p(class | latents * input_scale), for every job whose evaluation
  // has a coefficient: one forward and one way back for all of them. latents and prediction [N, C, h, w] float32.
  // Returns the indices of jobs whose gradient is not finite: they are lost, their neighbours are not.
  // REQUIRES: all jobs use the same bundle; those that ask have a class index, and the bundle a classifier.
  std::vector<size_t> Apply(absl::Span<const ActiveJob> jobs, const at::Tensor& latents, at::Tensor& prediction) const;

 private:
  const ComputeDevice& device_;
};

}  // namespace stepcast::engine
