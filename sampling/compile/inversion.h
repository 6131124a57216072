#pragma once
// DDIM inversion: from a picture to the noise that it might have come from.

#include "absl/status/statusor.h"
#include "sampling/program/sampling_program.h"
#include "sampling/schedule/noise_schedule.h"

namespace stepcast::sampling {

// Of `painting` and the schedule it was compiled with: the program that ascends through its timesteps, beginning with
// the encoded picture and ending where `painting` begins, in variance-preserving latents. One evaluation a timestep,
// guided by nothing. As diffusers' DDIMInverseScheduler where the timesteps are DDIM's.
// Errors: INVALID_ARGUMENT for samplers that are told no timesteps of the table.
absl::StatusOr<SamplingProgram> Invert(const SamplingProgram& painting, const ScheduleSettings& settings,
                                       const NoiseSchedule& schedule);

// Makes `painting` begin with what that program ends with.
void StartInverted(SamplingProgram& painting);

}  // namespace stepcast::sampling
