#pragma once
// Pictures to paint in the engine's tests, as requests, compiled programs and jobs.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/generation_request.h"
#include "core/sampling_types.h"
#include "engine/job/denoise_state.h"
#include "sampling/program/sampling_program.h"
#include "sampling/recipe/recipe.h"
#include "scheduler/words/event_sink.h"
#include "scheduler/words/job.h"

namespace stepcast::engine {

// Prompts shorter than this are padded with token 0.
inline constexpr size_t kPromptLength = 4;

// A picture to begin with, by a number: equal numbers and sizes are equal pictures.
InputPicture PatternPicture(int pattern, int width, int height);
// 255 right of the middle and grey at the edge; falling from left to right, to 0 for the last 8, where `grey`.
SharedMask PatternMask(int width, int height, bool grey);

// What a request brings with it.
struct Brought {
  int pattern = 0;
  double strength = 0.6;
  bool masked = false;
  bool x0 = false;
  bool differential = false;
  bool noise_fill = false;
  bool invert = false;
  bool looked_at = false;  // by the denoiser of an ImageInput::kPicture model, and nothing else
};

// A request in words; what is unset is as a client would leave it.
struct Picture {
  std::vector<int32_t> prompt = {1, 2, 3, 0};
  std::vector<int32_t> negative = {1, 0, 0, 0};
  std::vector<int32_t> prompt_2 = {};    // of a second text encoder; empty: there is none
  std::vector<int32_t> negative_2 = {};  // beside prompt_2
  // Instead of those above.
  std::optional<PromptTokens> tokens = std::nullopt;
  std::optional<PromptTokens> negative_tokens = std::nullopt;
  bool negative_given = false;
  PictureSizes sizes = {};
  int clip_skip = 0;
  std::optional<int> class_index = std::nullopt;
  double classifier_scale = 0.0;
  int width = 32;   // pixels
  int height = 32;  // pixels
  int steps = 4;
  Sampler sampler = Sampler::kDdim;
  SigmaSchedule sigma_schedule = SigmaSchedule::kDefault;
  double guidance_scale = 2.5;
  double guidance_rescale = 0.0;
  double guidance_start = 0.0;
  double guidance_end = 1.0;
  std::optional<double> eta = std::nullopt;
  int64_t seed = 1;
  int preview_every = 0;
  bool vae_tiling = false;
  std::optional<Brought> brought = std::nullopt;
  std::vector<ControlInput> control = {};  // without their images, which are PatternPictures
};

// scaled_linear betas, v_prediction: the schedule of a small latent model.
NoiseScheduleConfig TestSchedule();

// Info of a model with TestSchedule, 4 latent channels and 4 pixels per cell.
SharedModelInfo MakePictureModel(const std::string& id);

// Aborts the test when the program does not compile.
sampling::SharedProgram CompilePicture(const NoiseScheduleConfig& schedule, const Picture& picture);

// A recipe of one stage for the model "fake": `program` with the prompt {1, 2}, guided away from {5, 6}.
sampling::SharedRecipe MakeRecipe(sampling::SharedProgram program);

// The embedding of a picture's prompt, and of what it is guided away from; null without it.
const SharedEmbedding& Cond(const DenoiseState& state);
const SharedEmbedding& Uncond(const DenoiseState& state);

JobSpec MakePictureSpec(const SharedModelInfo& model, const Picture& picture, std::shared_ptr<EventSink> sink);

// A job that no scheduler owns, with a sink that forgets.
std::unique_ptr<Job> MakePictureJob(int64_t id, const SharedModelInfo& model, const Picture& picture);

}  // namespace stepcast::engine
