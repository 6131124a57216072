#pragma once
// What an engine is called when its costs, or its numbers, are compared with another's.

#include <string>

#include "engine/start/engine_factory.h"

namespace stepcast::engine {

// LoadedEngine::cost_fingerprint. `threads`: of all replicas together.
std::string CostFingerprint(const LoadedEngine& loaded, int threads, int strict_rows);

// LoadedEngine::numerics. `threads`: of each replica.
std::string Numerics(const LoadedEngine& loaded, int threads, int strict_rows);

}  // namespace stepcast::engine
