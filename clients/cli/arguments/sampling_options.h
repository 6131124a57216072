#pragma once
// Options of `stepcast generate` for the sampler, guidance and class-conditional models.

#include "clients/cli/arguments/request_edits.h"

namespace CLI {
class App;
}

namespace stepcast::cli {

// Adds one option per field of the request from `class_index` to `sampler_options`. Each edits its field when it is
// given, so that the server's defaults apply otherwise. `edits` must outlive the parsing.
void AddSamplingOptions(CLI::App& app, RequestEdits& edits);

}  // namespace stepcast::cli
