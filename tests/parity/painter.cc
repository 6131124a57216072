#include "tests/parity/painter.h"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>

#include "codec/files/image_codec.h"
#include "core/sha256.h"
#include "engine/job/denoise_state.h"
#include "sampling/recipe/picture_inputs.h"

namespace stepcast {
namespace {

// Float32 on both sides, but kernels sum in another order: with every weight perturbed by 1e-6 the worst picture of
// a large corpus moves by 0.44 of 255, so a value next to a rounding edge may land one byte away.
constexpr int kLargestDifference = 1;
// Float32 on both sides, sums in another order; of the latents' standard deviation.
constexpr double kLargestLatent = 2e-3;
constexpr double kMeanDifference = 0.05;

class NullSink final : public EventSink {
 public:
  void OnEvent(JobEvent) override {}
};

}  // namespace

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

Painter::Painter(const std::string& model_dir, const nlohmann::json& manifest, std::vector<ControlNetSource> nets) {
  for (const auto& [file, digest] : manifest["weights"].items()) {
    EXPECT_EQ(Sha256Hex(ReadFile(model_dir + "/" + file)), digest.get<std::string>())
        << file << " is not the file that the pictures were painted with; run the script of tools/parity again";
  }
  EngineOptions options;
  options.models = {{.id = "model", .path = model_dir}};
  options.control_nets = std::move(nets);
  options.device = "cpu";
  options.dtype = "fp32";
  absl::StatusOr<LoadedEngine> engine = CreateEngine(options, metrics_);
  EXPECT_TRUE(engine.ok()) << engine.status();
  if (engine.ok()) engine_ = *std::move(engine);
}

sampling::SamplerSpec Painter::SpecOf(const nlohmann::json& wanted) {
  sampling::SamplerSpec spec;
  spec.sampler = *SamplerFromName(wanted["sampler"].get<std::string>());
  spec.steps = wanted["steps"];
  const bool karras = wanted.value("sigma_schedule", "DEFAULT") == "KARRAS";
  spec.sigma_schedule = karras ? SigmaSchedule::kKarras : SigmaSchedule::kDefault;
  const std::string spacing = wanted.value("timestep_spacing", "DEFAULT");
  if (spacing == "LEADING") spec.timestep_spacing = TimestepSpacing::kLeading;
  if (spacing == "TRAILING") spec.timestep_spacing = TimestepSpacing::kTrailing;
  if (wanted.contains("timesteps")) spec.timesteps = wanted["timesteps"].get<std::vector<double>>();
  spec.eta = wanted["eta"];
  spec.guidance_scale = wanted["guidance_scale"];
  spec.guidance_rescale = wanted.value("guidance_rescale", 0.0);
  spec.classifier_scale = wanted.value("classifier_scale", 0.0);
  return spec;
}

std::unique_ptr<Job> Painter::MakeJob(const nlohmann::json& wanted, std::shared_ptr<GenerationRequest> request) {
  request->model = model();
  sampling::SamplerSpec spec = SpecOf(wanted);
  spec.strength = sampling::StrengthOf(*request);
  sampling::SharedProgram inversion;
  if (request->invert) {
    spec.inversion = sampling::Inversion::kInverts;
    inversion = *sampling::Compile(model()->noise_schedule, spec);
    spec.inversion = sampling::Inversion::kPaintsInverted;
  }
  const auto program = sampling::Compile(model()->noise_schedule, spec);
  EXPECT_TRUE(program.ok()) << program.status();
  request->width = wanted["width"];
  request->height = wanted["height"];
  request->seed = wanted["seed"];
  request->image_count = wanted["image_index"].get<int>() + 1;
  JobSpec job = MakeJobSpec(std::move(request), *program, inversion);
  job.image_index = wanted["image_index"];
  job.sink = std::make_shared<NullSink>();
  return std::make_unique<Job>(JobId{next_id_++}, std::move(job));
}

LoraInput Painter::Load(const std::string& name, const std::string& path) {
  LoraHost& host = *engine_.host->loras();
  const absl::StatusOr<SharedLoraInfo> lora = host.Read(name, path);
  EXPECT_TRUE(lora.ok()) << lora.status();
  if (!lora.ok()) return {};
  const auto fit = host.Fit(**lora, *model());
  EXPECT_TRUE(fit.ok()) << fit.status();
  const auto bytes = host.Load(**lora, *model());
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return {.name = name,
          .sha256 = (*lora)->sha256,
          .changes_denoiser = (*lora)->changes_denoiser,
          .changes_text_encoders = (*lora)->changes_text_encoders,
          .cost = fit.ok() ? fit->cost : 0.0};
}

at::Tensor Painter::LatentsOf(const Job& job) {
  return static_cast<const engine::DenoiseState&>(*job.state()).FinishedLatents();
}

std::vector<SharedImage> Painter::Paint(const std::vector<Job*>& jobs) {
  StepExecutor& executor = *engine_.devices.front().executor;
  std::map<const Job*, SharedImage> images;
  for (Job* job : jobs) EXPECT_EQ(executor.Start(*job), absl::OkStatus());
  for (std::vector<Job*> live = jobs; !live.empty(); std::erase_if(live, [](Job* job) { return job->done(); })) {
    // Whoever is behind first, so that all of one kind go together.
    const BatchKey key = (*std::ranges::min_element(live, {}, &Job::ticks))->key();
    StepPlan plan;
    plan.key = key;
    std::vector<Job*> batch;
    for (Job* job : live) {
      if (job->key() != key) continue;
      batch.push_back(job);
      plan.jobs.push_back(job->id());
    }
    const std::vector<StepResult> results = executor.Execute(plan, batch);
    for (size_t i = 0; i < batch.size(); ++i) {
      EXPECT_TRUE(results[i].status.ok()) << results[i].status;
      images[batch[i]] = results[i].image;
      batch[i]->Advance();
    }
  }
  std::vector<SharedImage> in_order;
  for (const Job* job : jobs) in_order.push_back(images[job]);
  return in_order;
}

void ExpectEqualToReference(const std::string& path, const SharedImage& image) {
  ASSERT_NE(image, nullptr) << path;
  const auto reference = DecodeImage(ReadFile(path), DecodeLimits{});
  ASSERT_TRUE(reference.ok()) << path << ": " << reference.status();
  ASSERT_EQ(image->width, reference->width) << path;
  ASSERT_EQ(image->height, reference->height) << path;
  int largest = 0;
  int64_t sum = 0;
  for (size_t i = 0; i < image->pixels.size(); ++i) {
    const int difference = std::abs(int{image->pixels[i]} - int{reference->pixels[i]});
    largest = std::max(largest, difference);
    sum += difference;
  }
  EXPECT_LE(largest, kLargestDifference) << path;
  EXPECT_LE(static_cast<double>(sum) / static_cast<double>(image->pixels.size()), kMeanDifference) << path;
}

void ExpectLatentsLike(const at::Tensor& reference, const Job& job, const std::string& what) {
  const at::Tensor difference = (Painter::LatentsOf(job) - reference).abs();
  EXPECT_LE(difference.max().item<double>() / reference.std().item<double>(), kLargestLatent) << what;
}

}  // namespace stepcast
