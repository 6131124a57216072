#pragma once
// Turns a sampler's update, written as small named steps, into a SamplingProgram.

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sampling/program/sampling_program.h"
#include "sampling/schedule/prediction.h"

namespace stepcast::sampling {

// A linear combination of slots as they are when an evaluation's transition begins, in double.
class LinearForm {
 public:
  LinearForm() = default;  // zero
  static LinearForm Of(Slot slot);

  double coefficient(Slot slot) const { return coefficients_[static_cast<size_t>(slot)]; }

  LinearForm& operator+=(const LinearForm& other);
  LinearForm& operator-=(const LinearForm& other);
  LinearForm& operator*=(double factor);
  LinearForm& operator/=(double divisor);

  friend LinearForm operator+(LinearForm a, const LinearForm& b) { return a += b; }
  friend LinearForm operator-(LinearForm a, const LinearForm& b) { return a -= b; }
  friend LinearForm operator*(LinearForm a, double factor) { return a *= factor; }
  friend LinearForm operator*(double factor, LinearForm a) { return a *= factor; }
  friend LinearForm operator/(LinearForm a, double divisor) { return a /= divisor; }
  friend bool operator==(const LinearForm&, const LinearForm&) = default;

 private:
  std::array<double, kSlotCount> coefficients_{};
};

// Composes the steps of each evaluation into one sparse matrix over slots.
//
// A sampler opens an evaluation, asks for the values it needs, combines them and assigns the results. Values read
// after an assignment are the assigned ones, so that a corrector followed by a predictor composes by itself. The
// composition is exact up to double rounding and never crosses a clip or threshold: x0 is inlined when nothing is
// done to it, and stays a slot of its own otherwise. Hence a transition reads kX0 only where post is not kNone.
//
// History is a ring resolved here: PushHistory overwrites the slot of the oldest entry, nothing is shifted.
//
// Thread-safety: none; one builder makes one program.
class ProgramBuilder {
 public:
  // `history`: how many values pushed in earlier evaluations are still read, 0..4 (an order-2 multistep method: 1).
  ProgramBuilder(Sampler sampler, int history);

  // Another number than the constructor's, for a sampler whose order is known only now. Before the first Evaluate.
  void set_history(int history);

  void set_start(Start start) { program_.start = start; }
  void set_finish(Finish finish) { program_.finish = finish; }

  // Opens the next evaluation, of 0-based step `step`, and closes the one before it.
  void Evaluate(int step, double timestep, double input_scale = 1.0);

  // Current values. REQUIRES: an open evaluation.
  LinearForm Value(Slot slot) const { return values_[static_cast<size_t>(slot)]; }
  LinearForm latents() const { return Value(Slot::kLatents); }

  // Where the latents stand as the evaluation finds them. `kept`: what the evaluation before leaves of a cell that is
  // kept, where that is something else.
  void SetLevel(Level level, std::optional<Level> kept = std::nullopt);

  // `form` of the latents as the evaluation found them and the denoiser's output.
  LinearForm Combine(PredictionForm form) const;

  // States x0 of this evaluation and returns its value after `post`. Once per evaluation.
  LinearForm PredictX0(PredictionForm form, Post post = {});

  // Normals drawn for this evaluation; the program draws them even if nothing reads them.
  LinearForm DrawNoise();

  // States the special of this evaluation: model output and noise are read as it leaves them. x0 is estimated before,
  // so a transition must not mix an inlined x0 with a special that changes the model output.
  void SetSpecial(Special special, SpecialCoefs coefs);

  // The value pushed `age` pushes ago, 0 the newest. REQUIRES: age < history_size().
  LinearForm History(int age) const { return history_.at(age).value; }
  int history_size() const { return static_cast<int>(history_.size()); }
  void PushHistory(const LinearForm& value);

  void Assign(Slot slot, const LinearForm& value) { values_[static_cast<size_t>(slot)] = value; }

  // The finished program: writes that nothing reads are gone, `steps` and `slots_used` are set.
  // Errors: INVALID_ARGUMENT when a coefficient, timestep or scale is not finite in float32.
  absl::StatusOr<SamplingProgram> Build() &&;

 private:
  struct HistoryEntry {
    LinearForm value;
    int slot = -1;  // index in the ring; -1: pushed in the open evaluation, not placed yet
  };

  void Close();
  void PlaceHistory();
  absl::Status CheckFinite() const;

  SamplingProgram program_;
  int history_capacity_;
  bool open_ = false;
  std::array<LinearForm, kSlotCount> values_;
  std::vector<HistoryEntry> history_;  // newest first
};

}  // namespace stepcast::sampling
