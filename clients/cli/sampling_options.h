#pragma once
// Options of `stepcast generate` for class-conditional models and for what only some samplers know.

#include "stepcast/v1/image_generation.pb.h"

namespace CLI {
class App;
}

namespace stepcast::cli {

// Adds --class-label, --class-index, --classifier-scale, --timesteps, --sigmas and one option per field of
// SamplerOptions. Each sets its field of `request` when it is given, so that the server's defaults apply otherwise.
// `request` must outlive the parsing.
void AddSamplingOptions(CLI::App& app, stepcast::v1::GenerateRequest& request);

}  // namespace stepcast::cli
