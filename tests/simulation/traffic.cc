#include "tests/simulation/traffic.h"

#include <cmath>

namespace stepcast {

uint64_t Dice::Next() {
  state_ += 0x9e3779b97f4a7c15u;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

absl::Duration Dice::Wait(absl::Duration mean) {
  // In whole microseconds, so that a last bit of log() cannot reorder two events.
  const double waits = -std::log1p(-Uniform());
  return absl::Microseconds(std::llround(absl::ToDoubleMicroseconds(mean) * waits));
}

TestJob RandomJob(Dice& dice) {
  constexpr int kSides[] = {8, 16, 24};
  constexpr double kScales[] = {1.0, 2.5, 7.5};
  TestJob job;
  job.model = dice.Chance(0.8) ? "emoji" : "digits";
  job.width = kSides[dice.Roll(3)];
  job.height = kSides[dice.Roll(3)];
  job.steps = 1 + dice.Roll(20);
  job.evaluations_per_step = dice.Chance(0.2) ? 2 : 1;
  job.guidance_scale = kScales[dice.Roll(3)];
  job.unguided_tail = dice.Chance(0.2) ? 1 + dice.Roll(job.steps) : 0;
  job.seed = dice.Roll(1 << 20);
  job.image_count = dice.Chance(0.3) ? 2 + dice.Roll(3) : 1;
  job.preview_every = dice.Chance(0.3) ? 1 + dice.Roll(5) : 0;
  return job;
}

void ScheduleTraffic(Simulation& simulation, const TrafficOptions& options) {
  Dice dice(options.seed);
  absl::Duration when;
  for (int i = 0; i < options.requests; ++i) {
    when += dice.Wait(options.mean_gap);
    TestJob job = RandomJob(dice);
    if (dice.Chance(options.deadline)) job.deadline = absl::UnixEpoch() + when + dice.Wait(absl::Seconds(5));
    const bool cancels = dice.Chance(options.cancel);
    const absl::Duration patience = dice.Wait(absl::Seconds(2));
    simulation.At(when, [&simulation, job, cancels, patience] {
      const std::vector<JobId> ids = simulation.Submit(job);
      if (!cancels) return;
      simulation.At(simulation.elapsed() + patience, [&simulation, ids] {
        for (const JobId id : ids) simulation.Cancel(id);
      });
    });
  }
  // Faults have dice of their own: they are asked in the order of execution, which depends on the policy.
  simulation.device().SetFault([dice = Dice(options.seed + 1), chance = options.fault](const Job&, Phase) mutable {
    return dice.Chance(chance) ? absl::InternalError("scripted fault") : absl::OkStatus();
  });
}

}  // namespace stepcast
