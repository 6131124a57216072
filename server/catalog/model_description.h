#pragma once
// What GetModel, ListModels and GetServerInfo tell of models and limits: the same numbers that the validator enforces.

#include "core/model_info.h"
#include "server/catalog/model_registry.h"
#include "server/catalog/model_store.h"
#include "server/config/config.h"
#include "stepcast/v1/model.pb.h"
#include "stepcast/v1/server_info.pb.h"

namespace stepcast {

// The model's limits and the server's, whichever is narrower.
ModelLimits NarrowLimits(const ModelInfo& model, const LimitsConfig& limits);

v1::Model DescribeModel(const RegisteredModel& model, bool is_default, const LimitsConfig& limits,
                        const ModelStanding& standing = {});

v1::ServerLimits DescribeLimits(const LimitsConfig& limits, int max_queued_jobs);

}  // namespace stepcast
