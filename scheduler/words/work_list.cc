#include "scheduler/words/work_list.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <tuple>
#include <utility>

namespace stepcast {
namespace {

using sampling::Evaluation;

constexpr double kMostLoraRows = 1024.0;

int PaidRows(const WorkItem& item) { return item.rows + item.beside; }

// Rows of an evaluation that cost as much as its ControlNets and LoRAs. A net is the way down and the middle of a
// U-Net: less than half of it, and nothing at all of the rows that it does not see.
int CostBeside(const sampling::Stage& stage, size_t evaluation) {
  const auto at = static_cast<int>(evaluation);
  const sampling::RowSet& set = stage.RowsOf(stage.program->evaluations[evaluation]);
  int seen = 0;
  for (const sampling::StageControl& control : stage.control) {
    if (at < control.first_evaluation || at >= control.end_evaluation) continue;
    const auto sees = [&](const sampling::Row& row) { return !control.guess_mode || !row.cond.never(); };
    seen += static_cast<int>(std::count_if(set.rows.begin(), set.rows.end(), sees));
  }
  // LoRAs: a share of every row; what is less than half a row in all is not charged.
  double loras = 0.0;
  for (const sampling::StageLora& lora : stage.loras) loras += lora.cost * set.size();
  return (seen + 1) / 2 + static_cast<int>(std::lround(std::min(loras, kMostLoraRows)));
}

// Appends the evaluations of a stage, whose steps follow `steps` others of the picture.
class Runs {
 public:
  Runs(const sampling::Stage& stage, BatchKey key, int steps)
      : stage_(stage), evaluations_(stage.program->evaluations), key_(std::move(key)), steps_(steps) {}

  void AppendTo(std::vector<WorkItem>& items, int stage) const {
    for (size_t i = 0; i < evaluations_.size();) {
      items.push_back(From(i));
      items.back().stage = stage;
      i += static_cast<size_t>(items.back().count);
    }
  }

 private:
  int RowsOf(size_t i) const { return stage_.RowsOf(evaluations_[i]).size(); }

  // Evaluations from `first` on that one item can hold.
  WorkItem From(size_t first) const {
    WorkItem item{.key = key_,
                  .rows = RowsOf(first),
                  .step = evaluations_[first].step,
                  .beside = CostBeside(stage_, first),
                  .first = static_cast<int>(first)};
    // Sizes of the windows are those of all rows of a set.
    const sampling::Window& window = stage_.RowsOf(evaluations_[first]).rows.front().window;
    if (!window.whole()) {
      item.key.latent_height = window.height;
      item.key.latent_width = window.width;
    }
    const int set = RowSetOf(evaluations_[first]);
    const auto alike = [&](size_t i) {
      return i < evaluations_.size() && RowSetOf(evaluations_[i]) == set && CostBeside(stage_, i) == item.beside;
    };
    size_t next = first + 1;
    while (alike(next) && evaluations_[next].step == item.step) ++next;
    item.per_step = static_cast<int>(next - first);
    while (alike(next) && evaluations_[next].step == item.StepOf(static_cast<int>(next - first))) ++next;
    item.count = static_cast<int>(next - first);
    item.step += steps_;
    return item;
  }

  const sampling::Stage& stage_;
  const std::vector<Evaluation>& evaluations_;
  const BatchKey key_;
  const int steps_;
};

// Appends the pictures of a stage that no stage before has encoded; `encoded` is (model or network, picture).
void AppendPictures(const sampling::Recipe& recipe, int number, const BatchKey& key,
                    std::set<std::pair<std::string, int>>& encoded, std::vector<WorkItem>& items) {
  for (const int picture : PicturesOf(recipe.stages[static_cast<size_t>(number)])) {
    const std::string& network = recipe.pictures[static_cast<size_t>(picture)].network;
    if (!encoded.emplace(network.empty() ? key.model : network, picture).second) continue;
    items.push_back({.key = key, .stage = number, .first = picture});
  }
}

// Chunks of text, at least one of each conditioning, that rows of `stage` show its model and nobody did before; `shown`
// is (model, conditioning).
int ChunksShown(const sampling::Recipe& recipe, const sampling::Stage& stage,
                std::set<std::pair<std::string, int>>& shown) {
  int chunks = 0;
  for (const sampling::RowSet& set : stage.row_sets) {
    for (const sampling::Row& row : set.rows) {
      const bool more = shown.emplace(stage.model->id, row.conditioning).second;
      if (more) chunks += recipe.conditionings[static_cast<size_t>(row.conditioning)].text.chunks;
    }
  }
  return chunks;
}

// What is paid for `chunks` beside what most pictures need, a chunk of a prompt and one of a negative prompt.
int CostBeside(int chunks) { return std::max(0, (chunks + 1) / 2 - 1); }

// Appends what a stage has to encode before it, if no stage before has.
void AppendEncodes(const sampling::Recipe& recipe, int number, BatchKey key,
                   std::set<std::pair<std::string, int>>& shown, std::set<std::pair<std::string, int>>& encoded,
                   std::vector<WorkItem>& items) {
  const sampling::Stage& stage = recipe.stages[static_cast<size_t>(number)];
  if (const int chunks = ChunksShown(recipe, stage, shown); chunks > 0) {
    items.push_back(
        {.key = {.phase = Phase::kEncode, .model = key.model}, .beside = CostBeside(chunks), .stage = number});
  }
  key.phase = Phase::kEncodePicture;
  AppendPictures(recipe, number, key, encoded, items);
}

// What is left of evaluations of one kind after the first `done`: a step that was begun is an item of its own.
void AppendRest(const WorkItem& item, int done, std::vector<WorkItem>& items) {
  WorkItem rest = item;
  rest.first += done;
  rest.count -= done;
  rest.step = item.StepOf(done);
  const int begun = done % item.per_step;
  if (begun > 0) {
    WorkItem step = rest;
    step.count = std::min(rest.count, item.per_step - begun);
    rest.first += step.count;
    rest.count -= step.count;
    ++rest.step;
    items.push_back(std::move(step));
  }
  if (rest.count > 0) items.push_back(std::move(rest));
}

}  // namespace

WorkList::WorkList(std::vector<WorkItem> items, int steps, int evaluations_before)
    : items_(std::move(items)), steps_(steps), evaluations_before_(evaluations_before) {
  // A decode first, as what is left to do at the end.
  std::vector<int> order(items_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  const auto item = [this](int i) -> const WorkItem& { return items_[static_cast<size_t>(i)]; };
  // Not std::stable_sort: the standard library's uses functions that C++20 deprecates, of which clang warns.
  std::sort(order.begin(), order.end(), [&](int a, int b) {
    return std::tuple(item(b).key.phase, item(a).key, PaidRows(item(a)), a) <
           std::tuple(item(a).key.phase, item(b).key, PaidRows(item(b)), b);
  });
  line_of_.resize(items_.size());
  for (const int i : order) {
    const WorkItem& each = item(i);
    if (lines_.empty() || lines_.back().key != each.key || lines_.back().rows != PaidRows(each)) {
      lines_.push_back({.key = each.key, .rows = PaidRows(each)});
    }
    lines_.back().count += each.count;
    line_of_[static_cast<size_t>(i)] = static_cast<int>(lines_.size()) - 1;
  }
  const auto denoises = [](const WorkItem& each) { return each.key.phase == Phase::kDenoise; };
  for (const WorkItem& each : items_) {
    if (!denoises(each)) continue;
    evaluations_ += each.count;
    most_rows_ = std::max(most_rows_, each.rows);
  }
  const auto lead = std::find_if(items_.begin(), items_.end(), denoises);
  lead_ = lead == items_.end() ? 0 : static_cast<int>(lead - items_.begin());
}

SharedWorkList CompileWork(const sampling::Recipe& recipe, int evaluations_done) {
  std::vector<WorkItem> items;
  std::set<std::pair<std::string, int>> shown, encoded;
  int steps = 0;
  int to_skip = evaluations_done;
  for (size_t i = 0; i < recipe.stages.size(); ++i) {
    const sampling::Stage& stage = recipe.stages[i];
    const int number = static_cast<int>(i);
    const auto evaluations = static_cast<int>(stage.program->evaluations.size());
    BatchKey key{.phase = Phase::kDecode,
                 .model = stage.model->id,
                 .latent_height = stage.latent_height,
                 .latent_width = stage.latent_width};
    if (evaluations_done == 0 || to_skip < evaluations) {
      AppendEncodes(recipe, number, key, shown, encoded, items);
      key.phase = Phase::kDenoise;
      std::vector<WorkItem> runs;
      Runs(stage, key, steps).AppendTo(runs, number);
      for (const WorkItem& item : runs) {
        const int done = std::min(to_skip, item.count);
        to_skip -= done;
        if (done < item.count) AppendRest(item, done, items);
      }
    } else {
      to_skip -= evaluations;
    }
    steps += stage.program->steps;
    key.phase = Phase::kDecode;
    if (i + 1 == recipe.stages.size()) items.push_back({.key = key, .stage = number});
  }
  return std::make_shared<const WorkList>(std::move(items), steps, evaluations_done);
}

}  // namespace stepcast
