#pragma once
// Hands the weights of one component to its layers, and keeps the account: what was asked for and was not there, had
// another shape, or was never asked for.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "core/lora_targets.h"
#include "model/layers/convolution_layouts.h"
#include "model/weights/weight_set.h"

namespace stepcast::model {

using Shape = std::vector<int64_t>;

class WeightScope;

// One load of one component. Not copyable; must outlive its scopes, not the layers made from them.
class WeightMap {
 public:
  // Tensors come from `set`, converted once to `dtype` on `device`. `set` must outlive this.
  WeightMap(const WeightSet& set, c10::Device device, c10::ScalarType dtype);

  // A walk without files: every tensor asked for is recorded and handed out as a shape without memory, so that a
  // model of any size can be described.
  WeightMap();

  WeightMap(const WeightMap&) = delete;
  WeightMap& operator=(const WeightMap&) = delete;

  WeightScope Root();

  // The tensor, or a shape without memory if it is missing or mis-shaped; Report() tells. Never fails, so that one
  // walk finds every problem.
  at::Tensor Get(const std::string& name, const Shape& shape);
  // Whether the files hold it. Describing: always false.
  bool Has(const std::string& name) const;

  // What went wrong with a file while it was read; else OK, or INVALID_ARGUMENT listing every missing, mis-shaped and
  // unused tensor; `component` leads the message.
  absl::Status Report(absl::string_view component) const;
  // Says that names which start with `prefix` are known and not wanted.
  void IgnorePrefix(absl::string_view prefix) { ignored_.emplace_back(prefix); }
  // Names in the files that nobody asked for and nobody ignores, sorted; with the type where it is not read.
  std::vector<std::string> Unused() const;

  c10::Device device() const { return device_; }
  c10::ScalarType dtype() const { return dtype_; }

  // Where the layers of this component keep convolution weights for other sizes; components of one model may share it.
  void ShareLayouts(std::shared_ptr<ConvolutionLayouts> layouts) { layouts_ = std::move(layouts); }
  const std::shared_ptr<ConvolutionLayouts>& layouts() const { return layouts_; }

  // What was asked for, by name.
  const std::map<std::string, Shape>& requested() const { return requested_; }
  int64_t parameter_count() const;

  // Counts a layer that LoRAs can change; returns its number.
  int AddSite(LoraSite site);
  // By number.
  const std::vector<LoraSite>& sites() const { return sites_; }

 private:
  at::Tensor Shapeless(const Shape& shape) const;

  const WeightSet* set_ = nullptr;
  std::shared_ptr<ConvolutionLayouts> layouts_ = std::make_shared<ConvolutionLayouts>();
  c10::Device device_;
  c10::ScalarType dtype_;
  std::map<std::string, Shape> requested_;
  std::vector<LoraSite> sites_;
  std::vector<std::string> ignored_;  // prefixes
  std::vector<std::string> missing_;
  std::vector<std::string> misshaped_;
  std::vector<std::string> unreadable_;  // of a type that is not read
  absl::Status read_;                    // of the files
};

// Joins weights of several layers along their first dimension. Lets go of each once it is copied.
at::Tensor CatWeights(std::vector<at::Tensor> weights);

// A name prefix in a map. Small; pass by value or reference.
class WeightScope {
 public:
  WeightScope(WeightMap& map, std::string prefix) : map_(&map), prefix_(std::move(prefix)) {}

  // root / "down_blocks" / 0 / "resnets"
  WeightScope operator/(absl::string_view name) const;
  WeightScope operator/(int64_t index) const;

  at::Tensor Get(absl::string_view name, const Shape& shape) const;
  bool Has(absl::string_view name) const;
  const std::shared_ptr<ConvolutionLayouts>& layouts() const { return map_->layouts(); }
  // Counts the layer of this name as one that LoRAs can change; `kernel` 0: a matrix.
  int AddSite(int64_t in, int64_t out, int64_t kernel = 0) const;

 private:
  std::string Full(absl::string_view name) const;

  WeightMap* map_;
  std::string prefix_;  // without the closing dot
};

}  // namespace stepcast::model
