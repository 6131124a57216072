#pragma once
// What the configuration means to the engine loops.

#include "scheduler/loop/engine_loop.h"
#include "server/config/config.h"

namespace stepcast {

// `config.scheduler` with the tenants' weights and limits filled in.
EngineLoopOptions LoopOptions(const ServerConfig& config);

}  // namespace stepcast
