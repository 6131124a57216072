#pragma once
// What the configuration means to the engine loops.

#include "scheduler/engine_loop.h"
#include "server/config.h"

namespace stepcast {

// `config.scheduler` with the tenants' weights and limits filled in.
EngineLoopOptions LoopOptions(const ServerConfig& config);

}  // namespace stepcast
