#pragma once
// All live jobs in the order in which `slo` wants them.

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/types/span.h"
#include "scheduler/decide/policies/on_time_order.h"
#include "scheduler/words/snapshot.h"

namespace stepcast {

// Classes one after the other; within a class shares take turns, whoever has used least of its own first, and within a
// share its tenants; within a tenant pictures that only want their decode, then the on-time order. Orders are made lane
// by lane, when reached. With `promises`, whoever was let in with a client's deadline goes out of turn when it would be
// late otherwise: the next in turn goes as long as no such job of the class becomes late by it.
class LaneSequence {
 public:
  struct Options {
    double now = 0.0;  // seconds since the Unix epoch
    int fronts = 16;   // as in OnTimeOptions
    bool promises = true;
  };
  // `snapshot` must outlive the sequence.
  LaneSequence(const SchedulerSnapshot& snapshot, const Options& options);
  ~LaneSequence();

  // The next job, null at the end. Jobs in flight are among them.
  const JobView* Next();

  // Whether the job Next returned last is expected to meet its deadline.
  bool on_time() const { return on_time_; }

  // Tells that the job Next returned last got `seconds` of device time: its tenant's turn comes later now.
  void Charge(double seconds);

 private:
  struct Order;
  struct Turn;
  struct ShareTurns;

  // Opens the next class that has jobs; false when there is none.
  bool OpenClass();
  void OpenLane(const LaneView& lane);
  void GatherPromises(absl::Span<const LaneView* const> lanes);
  // Each the next of its kind, null when there is none.
  const JobView* NextDone();
  const JobView* NextInTurn();
  const JobView* NextPromised();
  bool GoesFirst(const JobView& view);
  const JobView* Leave(const JobView* view, const JobView& payer);
  // The next job of a lane.
  const JobView* NextOf(const ShareTurns& share, Turn& turn) const;
  FairPace PaceOf(const ShareTurns& share, const LaneView& lane) const;

  const SchedulerSnapshot& snapshot_;
  const Options options_;
  double start_;       // when the open class' turn comes
  double next_start_;  // and that of the next
  size_t next_lane_ = 0;
  std::vector<ShareTurns> shares_;                          // of the open class
  std::vector<const JobView*> firm_;                        // its jobs with a client's deadline, by it
  std::optional<OnTimeSet> promised_;                       // of those
  size_t next_done_ = 0;                                    // of firm_, to be looked at
  int fronts_ = 0;                                          // that may still go in front of them
  const JobView* in_turn_ = nullptr;                        // next in turn, if somebody went out of turn
  absl::flat_hash_set<const JobView*> left_;                // who went out of turn
  std::vector<std::pair<const ShareView*, double>> works_;  // theirs, seconds, when it was opened
  size_t turn_ = 0;                                         // whose turn it is
  const JobView* payer_ = nullptr;                          // whose tenant pays for what Next returned last
  bool on_time_ = false;
  bool in_turn_on_time_ = false;
};

}  // namespace stepcast
