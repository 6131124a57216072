#pragma once
// What became of promises and refusals, and how much room that says to leave for surprises.

#include <array>
#include <limits>
#include <vector>

#include "core/generation_request.h"
#include "scheduler/words/snapshot.h"

namespace stepcast {

// A deadline is promised in what the device has left beside the work that more urgent classes are expected to bring:
// its mean, and `caution` standard deviations of its lumps. A fixed number is wrong nearly everywhere, because lumps
// are smoothed by other devices, by company in a tick and by what nobody asks for. So each priority class learns its
// own: a promise that is broken raises it, a hundredth as much a promise that is kept lowers it, and a third as much a
// refusal that proves needless, because the device then idled for as long as the picture would have taken.
// (Stochastic approximation: Robbins and Monro, 1951.) A full device never idles; there one promise in a hundred
// breaks.
//
// Times are seconds since the Unix epoch and do not go back. Thread-safety: none.
class PromiseBooks {
 public:
  static constexpr double kLeast = -1.0, kStart = 2.5, kMost = 4.0;

  // Standard deviations, kLeast..kMost.
  double caution(Priority priority) const { return caution_[static_cast<size_t>(priority)]; }

  // A job has ended. Who has no client's deadline, came to probe, was cancelled or failed teaches nothing.
  void Ended(const JobView& view, JobStatus outcome, bool in_time);
  // A picture that takes `alone` seconds of an idle device was refused at `now`; it was wanted by `due`.
  void Refused(Priority priority, double alone, double due, double now);
  // The device has worked for `seconds` until `now`. Judges the refusals whose time has come.
  void Worked(double seconds, double now) {
    worked_ += seconds;
    if (now >= next_) Judge(now);
  }

 private:
  static constexpr double kStep = 0.5;
  static constexpr double kMayBreak = 0.01;
  static constexpr double kNeedless = 1.0 / 3.0;
  static constexpr size_t kMostOpen = 64;

  struct Refusal {
    Priority priority;
    double alone;
    double since;
    double due;
    double worked;  // by the device until then
  };

  void Move(Priority priority, double by);
  void Judge(double now);

  std::array<double, 3> caution_ = {kStart, kStart, kStart};
  std::vector<Refusal> open_;                              // at most kMostOpen: more would tell no more
  double next_ = std::numeric_limits<double>::infinity();  // the earliest due of them
  double worked_ = 0.0;                                    // what needless refusals would have taken counts as worked
};

}  // namespace stepcast
