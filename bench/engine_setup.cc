#include "bench/engine_setup.h"

#include <algorithm>

#include "core/clock.h"
#include "sampling/compile/compile.h"

namespace stepcast {

DtypeWish DtypeNamed(const std::string& name) {
  const std::optional<Dtype> dtype = DtypeFromName(name);
  return {.whole =
              Require(dtype.has_value() ? absl::StatusOr<Dtype>(*dtype)
                                        : absl::InvalidArgumentError("--dtype: allowed: " + std::string(kDtypeNames)))};
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

PictureMaker::PictureMaker(SharedModelInfo model)
    : model_(std::move(model)), tokenizer_(Require(ClipTokenizer::Load(model_->tokenizer_dirs[0]))) {}

std::vector<JobSpec> PictureMaker::Specs(const BenchPicture& picture, std::shared_ptr<EventSink> sink) const {
  auto request = std::make_shared<GenerationRequest>();
  request->model = model_;
  request->prompt_parts = {
      {.tokens = {.ids = {tokenizer_->Encode(picture.index % 2 == 0 ? "a red apple" : "panda").ids}}}};
  request->negative_tokens = {.ids = {tokenizer_->Encode("").ids}};
  request->width = model_->defaults.width;
  request->height = model_->defaults.height;
  request->steps = picture.steps;
  request->guidance_scale = picture.guidance;
  request->seed = picture.index;
  request->preview.every_n_steps = picture.preview_every;
  sampling::SamplerSpec spec;
  spec.sampler = Sampler::kDdim;
  spec.steps = picture.steps;
  spec.guidance_scale = picture.guidance;
  JobSpec job = MakeJobSpec(std::move(request), Require(sampling::Compile(model_->noise_schedule, spec)));
  job.arrival = RealClock().Now();
  job.sink = std::move(sink);
  return {job};
}

}  // namespace stepcast
