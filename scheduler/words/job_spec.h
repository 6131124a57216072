#pragma once
// What is told of a picture when it comes.

#include <memory>

#include "absl/time/time.h"
#include "core/generation_request.h"
#include "sampling/program/sampling_program.h"
#include "sampling/recipe/recipe.h"
#include "scheduler/words/event_sink.h"
#include "scheduler/words/work_list.h"

namespace stepcast {

// Everything about a job that is fixed when it is admitted.
struct JobSpec {
  SharedRequest request = {};
  int image_index = 0;                 // 0 .. request->image_count - 1
  sampling::SharedRecipe recipe = {};  // for the executor
  SharedWorkList work = {};            // what `recipe` comes to, for everybody else
  absl::Time arrival = absl::InfinitePast();
  absl::Time deadline = absl::InfiniteFuture();
  std::shared_ptr<EventSink> sink = {};
};

// The first picture of `request`. It has come at no known time, has no deadline and no sink.
JobSpec MakeJobSpec(SharedRequest request, sampling::SharedRecipe recipe);
// Painted by `program`, where `inversion` is set from what that makes of the request's picture.
JobSpec MakeJobSpec(SharedRequest request, sampling::SharedProgram program,
                    sampling::SharedProgram inversion = nullptr);

}  // namespace stepcast
