#pragma once
// Random calls of a StepScheduler, beside a model of it that is too simple to be wrong.

#include <cstdint>
#include <string>

namespace stepcast {

// Runs `operations` random calls (submits, plans, completions with good, failed and missing results, up to two plans in
// flight, cancels, fails, dry runs, lower row caps, new costs, heartbeats, jumps of time) with everything chosen by
// `seed`, the policy and the limits included, then lets the rest finish. After every call the scheduler checks its
// invariants, and the model checks that
//   - plans hold live jobs that wait for just that, none of them in another plan, and fit the limits;
//   - each job's position, phase and place on the device are what the model says;
//   - every job ends once, with the status the model says, and nothing of it stays.
// Returns "", or what was wrong. The same seed does the same.
std::string FuzzScheduler(uint64_t seed, int operations);

}  // namespace stepcast
