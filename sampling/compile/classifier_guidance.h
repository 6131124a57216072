#pragma once
// Fills in how strongly each evaluation follows the gradient of a classifier.

#include "absl/status/status.h"
#include "sampling/program/sampling_program.h"
#include "sampling/schedule/class_defaults.h"
#include "sampling/schedule/noise_schedule.h"

namespace stepcast::sampling {

// Sets Evaluation::classifier_coef for guidance of strength `scale` (Dhariwal & Nichol 2021, algorithm 2), so that
// model_output + coef * gradient of log p(class | x_t), x_t variance-preserving, moves the score by scale times the
// gradient. With alpha and sigma of the evaluation's noise level: -sigma * scale for models that predict noise,
// -sigma / alpha * scale for v, sigma^2 / alpha * scale for x0.
//
// Does nothing at scale 0. Errors: INVALID_ARGUMENT naming classifier_scale for samplers that do not work in the
// noise levels of the model's schedule, and where a level leaves no signal, so that the step has no bound.
absl::Status SetClassifierGuidance(double scale, const ScheduleSettings& settings, const NoiseSchedule& schedule,
                                   SamplingProgram& program);

}  // namespace stepcast::sampling
