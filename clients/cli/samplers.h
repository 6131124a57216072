#pragma once
// `stepcast samplers`: the samplers of a model, as a table.

#include <string>

#include "clients/cli/connection.h"
#include "clients/cli/exit_code.h"
#include "stepcast/v1/model.pb.h"

namespace stepcast::cli {

// Prints the samplers of `model` ("" for the default one). Errors are told on stderr.
ExitCode Samplers(const ConnectionOptions& connection, const std::string& model, bool json);

// The table: name, denoiser evaluations of a picture with the model's default steps, whether it draws noise while it
// paints, which noise schedules and options it takes. The model's default sampler is marked with *.
std::string SamplerTable(const stepcast::v1::Model& model);

}  // namespace stepcast::cli
