#pragma once
// Small networks with seeded weights, and what diffusers computes for them (tools/parity/make_layer_fixtures.py).

#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/container/flat_hash_map.h"
#include "model/weights/weight_map.h"
#include "model/weights/weight_set.h"
#include "nlohmann/json.hpp"

namespace stepcast::model {

// One network of a cases.json.
struct ParityCase {
  std::string folder;  // that holds its set
  std::string name;
  std::string kind;
  nlohmann::json config;
  nlohmann::json draws;
  std::vector<float> published;  // output[0, -1, -3:, -3:] in diffusers' own tests; may be empty
  std::vector<int64_t> output_shape;
  int64_t stride = 1;  // the expected values are every stride-th of the flattened output
};

// All of them; read once.
const std::vector<ParityCase>& ParityCases();
const ParityCase& FindCase(const std::string& name);
// What diffusers computed, float32.
at::Tensor Expected(const ParityCase& parity);

// Repeats the draws of a case: its weights, as a component folder, and its inputs.
class Replay {
 public:
  explicit Replay(const ParityCase& parity);

  // A safetensors folder with the weights, basename "model".
  const std::string& folder() const { return folder_; }
  const WeightSet& weights() const { return *weights_; }
  bool has_input(const std::string& name) const { return inputs_.contains(name); }
  at::Tensor input(const std::string& name) const { return inputs_.at(name); }
  // The config as a file would hold it.
  std::string config() const { return config_.dump(); }

 private:
  std::string folder_;
  nlohmann::json config_;
  std::unique_ptr<WeightSet> weights_;
  absl::flat_hash_map<std::string, at::Tensor> inputs_;
};

// Largest |a - b|, and |a - b| / |b| in the 2-norm.
struct Difference {
  double max = 0;
  double relative = 0;
};
Difference Compare(const at::Tensor& a, const at::Tensor& b);

}  // namespace stepcast::model
