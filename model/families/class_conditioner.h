#pragma once
// Conditioning of models that paint by class, and of models that are told nothing.

#include <cstdint>
#include <vector>

#include <c10/core/Device.h>

#include "model/conditioner.h"

namespace stepcast::model {

// A class index per row. Immutable; const methods only, no threads.
class ClassConditioner final : public Conditioner {
 public:
  // Rows without a class get `null_class`.
  ClassConditioner(int64_t num_classes, int64_t null_class, c10::Device device)
      : num_classes_(num_classes), null_class_(null_class), device_(device) {}

  Conditioning Encode(const std::vector<ConditioningInput>& inputs) const override;
  int64_t vocab_size() const override { return 0; }
  bool runs_network() const override { return false; }

 private:
  int64_t num_classes_;
  int64_t null_class_;
  c10::Device device_;
};

// Nothing: the noise alone decides. Immutable; const methods only, no threads.
class EmptyConditioner final : public Conditioner {
 public:
  Conditioning Encode(const std::vector<ConditioningInput>&) const override { return {}; }
  int64_t vocab_size() const override { return 0; }
  bool runs_network() const override { return false; }
};

}  // namespace stepcast::model
