#pragma once
// How fast a lane gets on while others take their turns.

#include <vector>

namespace stepcast {

// What becomes of a lane's work when its share and others divide the device by weight, and the lane and others of the
// share divide that equally; whoever has nothing left leaves his part to the rest. As if work were a fluid.
class FairPace {
 public:
  // Another share of the same class.
  struct Rival {
    double work = 0.0;  // seconds
    double weight = 1.0;
  };
  // Who else is in the share. Others count as if all had equally much.
  struct Company {
    double tenants = 1.0;  // with the lane's own
    double others_work = 0.0;
  };

  // Alone: the device is the lane's.
  FairPace() = default;
  FairPace(double weight, std::vector<Rival> rivals, Company company);

  // The work of the lane that is done within `seconds`, which may be negative: so is the work, then.
  double WorkIn(double seconds) const;

 private:
  // From `time` on, when the share has done `work`, it has this part of the device: a rival more has nothing left.
  struct Stretch {
    double time = 0.0;
    double work = 0.0;
    double rate = 1.0;
  };
  std::vector<Stretch> stretches_;  // by time; empty: alone
  Company company_;
};

}  // namespace stepcast
