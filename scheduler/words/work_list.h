#pragma once
// All of a job's work, as a scheduler sees it.

#include <memory>
#include <vector>

#include "sampling/recipe/recipe.h"
#include "scheduler/words/batch_key.h"

namespace stepcast {

// Ticks of one kind, one after the other.
struct WorkItem {
  BatchKey key = {};
  int rows = 1;      // forward rows of each tick; 1 outside kDenoise
  int count = 1;     // ticks
  int step = 0;      // kDenoise: step of the picture that the first of them belongs to
  int per_step = 1;  // kDenoise: ticks of one step
  int beside = 0;    // rows, or jobs, that cost as much as what a tick does beside: ControlNets, long prompts
  // For the executor alone: the stage of the recipe, and what the first of them is there: the evaluation of the
  // program, the picture to encode, the tile of the picture.
  int stage = 0;
  int first = 0;

  // Of its i-th tick. REQUIRES: the phase is kDenoise.
  int StepOf(int i) const { return step + i / per_step; }

  friend bool operator==(const WorkItem&, const WorkItem&) = default;
};

// What equal ticks of a job cost together: the items of one key and cost.
struct WorkLine {
  BatchKey key = {};
  int rows = 1;   // that are paid for: those of the items and what is beside them
  int count = 0;  // ticks
};

// What a job does from its admission to its picture, run-length coded: its encodes, evaluations and decodes, of one
// stage or of many. Position, prices, forecasts, recordings and policies read nothing else; what a tick does to
// tensors is the executor's business.
//
// Encodes, of text or of a picture, stand in front of what needs them, and are the one kind of item that may turn out
// to be done already; each is one tick.
//
// Immutable; shared by the pictures of a request.
class WorkList {
 public:
  // REQUIRES: `items` is not empty and ends with what makes a picture; rows, counts and per_step are at least 1;
  // encodes have a count of 1. `steps`: of the whole picture.
  // `evaluations_before`: done before the first item, of a picture that is resumed.
  WorkList(std::vector<WorkItem> items, int steps, int evaluations_before = 0);

  const std::vector<WorkItem>& items() const { return items_; }

  // What prices are made of: no two lines have key and rows in common. From the last phase to the first.
  const std::vector<WorkLine>& lines() const { return lines_; }
  // The line of each item.
  int LineOf(int item) const { return line_of_[static_cast<size_t>(item)]; }

  int steps() const { return steps_; }
  int evaluations() const { return evaluations_; }  // ticks of kDenoise
  int evaluations_before() const { return evaluations_before_; }
  int most_rows() const { return most_rows_; }  // of an evaluation, at least 1
  // The first item of kDenoise; the first of all where there is none.
  const WorkItem& lead() const { return items_[static_cast<size_t>(lead_)]; }

 private:
  std::vector<WorkItem> items_;
  std::vector<WorkLine> lines_;
  std::vector<int> line_of_;
  int steps_;
  int evaluations_ = 0;
  int evaluations_before_ = 0;
  int most_rows_ = 1;
  int lead_ = 0;
};

using SharedWorkList = std::shared_ptr<const WorkList>;

// The work of one picture, or what is left of it after `evaluations_done`, in the same words: so a resumed picture is a
// shorter one to everybody but those who tell how far it is. Stages that are done leave nothing; the one it is in
// begins with its encodes. REQUIRES: CheckRecipe; 0 <= evaluations_done <= evaluations of all stages.
SharedWorkList CompileWork(const sampling::Recipe& recipe, int evaluations_done = 0);

}  // namespace stepcast
