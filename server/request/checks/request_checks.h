#pragma once
// The groups of checks that ValidateRequest is made of. Each reads its fields of the wire message, writes the resolved
// values and adds what is wrong; a value that is wrong leaves the default behind, so that later checks still make
// sense.

#include <string>
#include "absl/strings/string_view.h"

#include "core/generation_request.h"
#include "server/catalog/adapters/adapter_catalog.h"
#include "server/catalog/model_registry.h"
#include "server/config/config.h"
#include "server/request/errors/field_violations.h"
#include "server/request/pictures/picture_files.h"
#include "stepcast/v1/image_generation.pb.h"

namespace stepcast {

class LoraCatalog;

// What the checks read.
struct RequestContext {
  const v1::GenerateRequest& wire;
  const RegisteredModel& model;
  const LimitsConfig& limits;                // the server's
  ModelLimits model_limits;                  // the model's and the server's, whichever is narrower
  std::string tenant = "";                   // for whom the call is made
  const PictureFiles* pictures = nullptr;    // that the message brought; nullptr: none
  const AdapterCatalog* adapters = nullptr;  // of the server; nullptr: none
  const LoraCatalog* loras = nullptr;        // likewise

  const ModelInfo& info() const { return *model.info; }

  // "unset (emoji is a text model)": what is allowed in a field that the model has no use for.
  std::string Unset() const;
};

// width, height.
void CheckSize(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations);

// vae_tiling, and whether the picture can be decoded. After CheckSize.
void CheckDecoding(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations);

// size_conditioning. After CheckSize.
void CheckSizeConditioning(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations);

// prompt_syntax, prompt, negative_prompt, prompt_2, negative_prompt_2, clip_skip, class_index, class_label. Texts
// become token ids.
void CheckConditioning(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations);

// steps, timesteps, sigmas, sampler, sigma_schedule, timestep_spacing, eta.
void CheckSampling(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations);

// steps, or the list that stands for them: timesteps or sigmas. Part of CheckSampling.
void CheckSteps(const RequestContext& context, const SamplerSupport& support, GenerationRequest& resolved,
                FieldViolations& violations);

// sampler_options. After CheckSampling.
void CheckSamplerOptions(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations);

// classifier_scale. After CheckConditioning.
void CheckClassifierGuidance(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations);

// guidance_scale, guidance_rescale, guidance_start, guidance_end. After CheckSampling and CheckConditioning: warns of
// what has no effect.
void CheckGuidance(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations);

// output, preview. After CheckSize and CheckSampling.
void CheckOutput(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations);

// priority; the tenant.
void CheckService(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations);

// Most previews of a picture of `steps` steps with one after every n-th but the last.
int PreviewCount(int steps, int every_n_steps);

// Smallest n that makes at most `max_previews` previews. REQUIRES: steps >= 1, max_previews >= 0.
int SmallestPreviewInterval(int steps, int max_previews);

}  // namespace stepcast
