#pragma once
// Where models are held.

#include <memory>

#include "core/model_host.h"
#include "engine/device/device.h"
#include "engine/shelves/control_shelf.h"
#include "engine/shelves/lora_shelf.h"
#include "engine/shelves/model_shelf.h"

namespace stepcast::engine {

// A device that holds models, for as many executors as compute there.
struct ModelPlace {
  ModelMemory memory;
  std::unique_ptr<ComputeDevice> device;  // of the thread that loads
  int threads = 0;                        // of a tick there, on the CPU
  std::shared_ptr<ModelShelf> shelf = std::make_shared<ModelShelf>();
  std::shared_ptr<ControlShelf> nets = std::make_shared<ControlShelf>();
  std::shared_ptr<LoraShelf> loras = std::make_shared<LoraShelf>();
};

}  // namespace stepcast::engine
