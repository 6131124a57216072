#pragma once
// Paints jobs with the real engine, and compares pictures with those of a reference.

#include <ATen/core/Tensor.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <string>
#include <vector>

#include "core/metrics.h"
#include "engine/start/engine_factory.h"
#include "sampling/compile/compile.h"
#include "scheduler/words/job.h"

namespace stepcast {

std::string ReadFile(const std::string& path);

// One model on the CPU in float32, one thread of calls, no scheduler.
class Painter {
 public:
  // Loads `model_dir`, whose weights must be those that `manifest` names, and ControlNets. Fails the test when it
  // cannot.
  Painter(const std::string& model_dir, const nlohmann::json& manifest, std::vector<ControlNetSource> nets = {});

  const SharedModelInfo& model() const { return engine_.models.at(0); }

  // The sampler settings of a request of the manifest.
  static sampling::SamplerSpec SpecOf(const nlohmann::json& wanted);
  // A job with the manifest's size and seed; `request` brings what the picture is to show.
  std::unique_ptr<Job> MakeJob(const nlohmann::json& wanted, std::shared_ptr<GenerationRequest> request);

  // Reads the LoRA at `path` and puts it beside the model. Fails the test when it cannot.
  LoraInput Load(const std::string& name, const std::string& path);

  absl::Status Start(Job& job) { return engine_.devices.front().executor->Start(job); }

  // The finished latents of a job that was painted, [C, h, w] float32.
  static at::Tensor LatentsOf(const Job& job);

  // Paints jobs of one size together. Returns their pictures, null for those that failed.
  std::vector<SharedImage> Paint(const std::vector<Job*>& jobs);

 private:
  NullEngineMetrics metrics_;
  LoadedEngine engine_;
  int64_t next_id_ = 1;
};

// Fails the test unless `image` is the picture in `path` but for the rounding of sums in another order.
void ExpectEqualToReference(const std::string& path, const SharedImage& image);

// Fails the test unless the finished latents of `job`, which `what` names, are those of the reference but for the same.
void ExpectLatentsLike(const at::Tensor& reference, const Job& job, const std::string& what);

}  // namespace stepcast
