#pragma once
// What work costs on one device: measured, refined, asked by everyone who plans or promises.

#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "scheduler/costs/cost_curve.h"
#include "scheduler/words/batch_key.h"
#include "scheduler/words/job.h"
#include "scheduler/words/step_executor.h"

namespace stepcast {

// The curve of one key, as cache files, GetSchedule and tools/simulate exchange it.
struct CostEntry {
  BatchKey key;
  std::vector<CostPoint> points;
  int row_cap = 0;  // rows that fit the device's memory; 0: unknown

  friend bool operator==(const CostEntry&, const CostEntry&) = default;
};

// t(key, rows) for every key of one device. `rows` are forward rows for kDenoise and jobs for the other phases.
//
// A key that was never measured is guessed by its area from the nearest measured key of its phase, one of the same
// model if there is any. With nothing to guess from, costs are zero and batches are as large as the limits allow.
//
// Thread-safety: none; that of its scheduler.
class CostModel {
 public:
  explicit CostModel(const ExecutorLimits& limits);
  CostModel(CostModel&&);
  ~CostModel();

  // Replaces the curve of `key` by measurements of a profile or a cache. Without a usable point it changes nothing.
  void SetCurve(const BatchKey& key, std::vector<CostPoint> points);

  // The same for many keys, with their row caps.
  void SetCurves(const std::vector<CostEntry>& entries);

  // Takes note of one real tick.
  void Observe(const BatchKey& key, int rows, absl::Duration measured);

  // Takes note of a pause: what was slow may be quick again.
  void Rest();

  // Whether `key` was measured.
  bool Knows(const BatchKey& key) const;

  // Cost of one tick; zero when nothing is known. REQUIRES: rows >= 1.
  absl::Duration Predict(const BatchKey& key, int rows) const;
  double Seconds(const BatchKey& key, int rows) const;
  // The same for as many ticks as it takes where `rows` do not fit one.
  double SecondsOfWork(const BatchKey& key, int rows) const;

  // The smallest row count that reaches 90 % of the best rows per second; RowCap when nothing is known.
  int Knee(const BatchKey& key) const;

  // Rows that fit one tick: the executor's limit, or less after an out-of-memory.
  int RowCap(const BatchKey& key) const;

  // Takes note that no more than `rows` fit. Never raises the cap, never goes below 2 while denoising, 1 elsewhere.
  void LowerRowCap(const BatchKey& key, int rows);

  // What a job needs if it runs alone from now on / from its start.
  absl::Duration Remaining(const Job& job) const;
  absl::Duration Isolated(const JobSpec& spec) const;

  // Every measured curve as it stands, ordered by key.
  std::vector<CostEntry> Table() const;

  // What is worth keeping for another run: measured points alone, without the slowness of the moment and without row
  // caps, which are the limits of this run and of its neighbours in memory.
  std::vector<CostEntry> Learned() const;

  const ExecutorLimits& limits() const { return limits_; }

 private:
  struct Entry;

  const Entry& EntryOf(const BatchKey& key) const;
  void ForgetGuesses();
  std::unique_ptr<Entry> Guess(const BatchKey& key) const;
  template <typename CountOf>
  absl::Duration Sum(const WorkList& work, CountOf count_of) const;

  const ExecutorLimits limits_;
  // Guesses are made when first asked for and forgotten when something new is measured.
  mutable absl::flat_hash_map<BatchKey, std::unique_ptr<Entry>> entries_;
};

}  // namespace stepcast
