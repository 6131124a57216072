#pragma once
// The samplers of a model as text.

#include <string>

#include "stepcast/v1/model.pb.h"

namespace stepcast::cli {

// The table: name, denoiser evaluations of a picture with the model's default steps, whether it draws noise while it
// paints, which noise schedules and options it takes. The model's default sampler is marked with *.
std::string SamplerTable(const stepcast::v1::Model& model);

}  // namespace stepcast::cli
