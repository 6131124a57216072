// The validator against the compiler: what the one accepts the other compiles, whatever is asked for.

#include <random>
#include <string>

#include "gtest/gtest.h"
#include "sampling/compile/compile.h"
#include "server/request/request_validator.h"
#include "tests/server/fake_models.h"
#include "tests/server/wire_requests.h"

namespace stepcast {
namespace {

// Requests of which about every second is valid: each field is left out, fine, or somewhere around a bound.
class RandomRequests {
 public:
  v1::GenerateRequest Next() {
    v1::GenerateRequest request;
    const char* const models[] = {"", "texty", "digits", "noise"};
    request.set_model(models[random_() % 4]);
    const bool text = random_() % 4 < 2 || request.model() == "texty" || request.model().empty();
    if (text) request.set_prompt("a red apple");
    if (Sometimes()) request.set_steps(Int(0, 51));
    if (Sometimes()) request.set_sampler(static_cast<v1::Sampler>(Int(0, 11)));
    if (Sometimes()) request.set_sigma_schedule(static_cast<v1::SigmaSchedule>(Int(0, 6)));
    if (Sometimes()) request.set_timestep_spacing(static_cast<v1::TimestepSpacing>(Int(0, 4)));
    if (Sometimes()) request.set_eta(Int(0, 5) / 4.0);
    if (Sometimes()) request.set_guidance_scale(Int(0, 31));
    if (Sometimes()) request.set_guidance_rescale(Int(0, 5) / 4.0);
    if (Sometimes()) request.set_guidance_start(Int(0, 5) / 4.0);
    if (Sometimes()) request.set_guidance_end(Int(0, 5) / 4.0);
    if (request.model() == "digits" && random_() % 2 == 0) request.set_class_index(Int(0, 10));
    if (Sometimes()) request.set_classifier_scale(Int(0, 5));
    if (Sometimes()) request.mutable_sampler_options()->set_solver_order(Int(0, 4));
    if (Sometimes()) request.mutable_sampler_options()->set_churn(Int(-1, 4) / 4.0);
    if (random_() % 10 == 0) AddTo(*request.mutable_timesteps(), 900, 100);
    if (random_() % 10 == 0) AddTo(*request.mutable_sigmas(), 10, 2);
    return request;
  }

 private:
  // A descending list; now and then it goes on below 0.
  void AddTo(google::protobuf::RepeatedField<double>& list, double first, double step) {
    for (int i = Int(1, 8); i > 0; --i, first -= step) list.Add(first);
  }
  bool Sometimes() { return random_() % 5 == 0; }
  int Int(int min, int max) { return min + static_cast<int>(random_() % static_cast<unsigned>(max - min + 1)); }

  std::mt19937 random_{20240607};
};

sampling::SamplerSpec SpecOf(const GenerationRequest& request) {
  sampling::SamplerSpec spec;
  spec.sampler = request.sampler;
  spec.steps = request.steps;
  spec.sigma_schedule = request.sigma_schedule;
  spec.timestep_spacing = request.timestep_spacing;
  spec.eta = request.eta;
  spec.guidance_scale = request.guidance_scale;
  spec.guidance_rescale = request.guidance_rescale;
  spec.guidance_start = request.guidance_start;
  spec.guidance_end = request.guidance_end;
  spec.classifier_scale = request.classifier_scale;
  spec.options = request.sampler_options;
  spec.timesteps = request.timesteps;
  spec.sigmas = request.sigmas;
  return spec;
}

TEST(ValidatorCompilerTest, WhatIsValidCompiles) {
  const ModelRegistry models = ThreeModels();
  FixedSeed seeds(1);
  RandomRequests requests;
  int valid = 0;
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    const v1::GenerateRequest wire = requests.Next();
    const auto request = ValidateRequest(wire, models, LimitsConfig(), seeds);
    if (!request.ok()) {
      ++refused;
      EXPECT_EQ(ReasonOf(request.status()), "FIELD_INVALID") << wire.ShortDebugString();
      EXPECT_FALSE(ViolationsOf(request.status()).empty()) << wire.ShortDebugString();
      continue;
    }
    ++valid;
    const auto program = sampling::Compile((*request)->model->noise_schedule, SpecOf(**request));
    EXPECT_TRUE(program.ok()) << wire.ShortDebugString() << ": " << program.status();
  }
  // The requests are worth something only while they are mixed.
  EXPECT_GT(valid, 200);
  EXPECT_GT(refused, 200);
}

}  // namespace
}  // namespace stepcast
