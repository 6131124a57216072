#pragma once
// A place for models, without an engine around it.

#include <vector>

#include "engine/start/model_place.h"

namespace stepcast::engine {

// The CPU, with one thread.
inline std::vector<ModelPlace> OnePlace() {
  std::vector<ModelPlace> places;
  ModelPlace& place = places.emplace_back();
  place.memory = {.device = "cpu", .loops = {"cpu"}};
  place.device = *OpenDevice("cpu", 1);
  place.threads = 1;
  return places;
}

}  // namespace stepcast::engine
