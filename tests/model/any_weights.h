#pragma once
// Weights for a network of any config: as many as it asks for, all alike unless a test changes them.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "model/weights/weight_map.h"
#include "tests/model/safetensors_writer.h"

namespace stepcast::model {

using Values = std::map<std::string, std::vector<float>>;

// What `make` asks a WeightMap for: seeded values of the size that default initialisation gives.
template <typename Make>
Values ValuesFor(const Make& make, std::map<std::string, Shape>* shapes) {
  WeightMap asked;
  make(asked);
  *shapes = asked.requested();
  Values values;
  uint32_t state = 1;
  for (const auto& [name, shape] : *shapes) {
    int64_t size = 1;
    for (const int64_t side : shape) size *= side;
    std::vector<float>& tensor = values[name];
    const float bound = 0.3f;
    for (int64_t i = 0; i < size; ++i) {
      state = state * 1664525u + 1013904223u;
      tensor.push_back(bound * (static_cast<float>(state >> 8) / 8388608.0f - 1.0f));
    }
  }
  return values;
}

// Writes them as `path`.
inline void WriteWeights(const Values& values, const std::map<std::string, Shape>& shapes, const std::string& path) {
  SafetensorsWriter writer;
  for (const auto& [name, tensor] : values) writer.Add(name, shapes.at(name), tensor);
  WriteFile(path, writer.Build());
}

}  // namespace stepcast::model
