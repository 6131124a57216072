#pragma once
// How the server stops: in which order, and when the next step is due.

#include "absl/time/time.h"
#include "core/clock.h"
#include "server/config/config.h"

namespace stepcast {

// What a drain does to a server.
//
// Thread-safety: called on the thread that advances the drain.
class DrainActions {
 public:
  virtual ~DrainActions() = default;

  virtual void AnnounceNotReady() = 0;                   // health says so; calls are still served
  virtual void RefuseNew() = 0;                          // UNAVAILABLE / DRAINING
  virtual void FinishAdmitted(absl::Time deadline) = 0;  // what is left then is cancelled
  virtual void CancelRest() = 0;                         // now
  virtual bool Idle() const = 0;                         // no painting call is left
};

enum class DrainStage {
  kServing,
  kLingering,   // not ready, but serving: balancers have yet to look
  kFinishing,   // refusing; admitted calls finish
  kCancelling,  // the rest is told and has a moment to leave
  kDone,        // ports may close: gRPC's own shutdown fails calls at once, so it comes last
};

// A state machine without threads or waiting: its owner sleeps for what Advance returns, or until something happens.
//
// Thread-safety: none.
class Drain {
 public:
  // How long cancelled calls have to leave.
  static constexpr absl::Duration kCancelGrace = absl::Seconds(5);

  // `actions` and `clock` must outlive it.
  Drain(const DrainConfig& config, DrainActions& actions, const Clock& clock)
      : config_(config), actions_(actions), clock_(clock) {}

  // The first begins the drain, any further one skips to cancelling.
  void Signal();

  // Does what is due. Returns how long nothing more is due, if nothing happens: infinite while serving, zero when done.
  absl::Duration Advance();

  DrainStage stage() const { return stage_; }

 private:
  void Enter(DrainStage stage, absl::Time now);

  const DrainConfig config_;
  DrainActions& actions_;
  const Clock& clock_;
  DrainStage stage_ = DrainStage::kServing;
  absl::Time until_ = absl::InfiniteFuture();  // when the stage ends by itself
  bool hurried_ = false;
};

}  // namespace stepcast
