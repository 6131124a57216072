#pragma once
// Requests, programs and jobs for tests, from the few things a scheduler looks at.

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "core/generation_request.h"
#include "sampling/program/sampling_program.h"
#include "sampling/recipe/recipe.h"
#include "scheduler/words/event_sink.h"
#include "scheduler/words/job.h"

namespace stepcast {

// A request in words. The defaults are a small guided picture: four steps of two rows on 16x16 latents.
struct TestJob {
  std::string model = "emoji";  // vae_scale_factor 4
  int width = 64;               // pixels
  int height = 64;              // pixels
  int steps = 4;
  int evaluations_per_step = 1;  // 2: a Heun-like sampler
  double guidance_scale = 2.5;   // <= 1: one row per evaluation
  int unguided_tail = 0;         // last evaluations that run unguided, as with a guidance interval
  int rows = 0;                  // of a guided evaluation; 0: the plain pair
  int tile = 0;                  // side of the windows of those rows, cells; 0: they see the whole picture
  int second_steps = 0;          // of a second pass over the picture in twice its size; 0: none
  int64_t seed = 1;
  int image_count = 1;
  int preview_every = 0;
  bool network_previews = false;  // by a small decoder; false: by a matrix
  std::string tenant = "";
  Priority priority = Priority::kStandard;
  absl::Time arrival = absl::InfinitePast();
  absl::Time deadline = absl::InfiniteFuture();
};

SharedModelInfo MakeModelInfo(const std::string& id);
SharedRequest MakeRequest(const TestJob& job);

// A program with the right number of evaluations and rows; its coefficients are those of an identity.
sampling::SharedProgram MakeProgram(const TestJob& job);

// One stage, or two with a second pass.
sampling::SharedRecipe MakeRecipe(const TestJob& job);

// One spec per image of the request.
std::vector<JobSpec> MakeSpecs(const TestJob& job, std::shared_ptr<EventSink> sink);

// One job, not submitted. It needs encoding until a test or an executor says otherwise.
std::unique_ptr<Job> MakeJob(int64_t id, const TestJob& job, std::shared_ptr<EventSink> sink);

// Moves a job that was not submitted to `position`, past its encode.
std::unique_ptr<Job> MakeJobAt(int64_t id, const TestJob& job, int position, std::shared_ptr<EventSink> sink);

}  // namespace stepcast
