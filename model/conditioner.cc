#include "model/conditioner.h"

namespace stepcast::model {

std::unique_ptr<const RowAdapters> TowerAdapters(const std::vector<ConditioningInput>& inputs, size_t tower,
                                                 int64_t rows_each) {
  std::vector<AdapterRun> runs;
  for (size_t i = 0; i < inputs.size(); ++i) {
    for (const TextAdapter& adapter : inputs[i].adapters) {
      if (tower >= adapter.towers.size() || adapter.towers[tower] == nullptr) continue;
      runs.push_back({adapter.towers[tower], static_cast<int64_t>(i) * rows_each, rows_each, adapter.scale});
    }
  }
  return runs.empty() ? nullptr : std::make_unique<const RowAdapters>(std::move(runs));
}

}  // namespace stepcast::model
