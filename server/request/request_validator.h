#pragma once
// From a request on the wire to a GenerationRequest: every check, every default, once.

#include <cstdint>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/generation_request.h"
#include "core/mutex.h"
#include "server/catalog/adapters/adapter_catalog.h"
#include "server/catalog/model_registry.h"
#include "server/config/config.h"
#include "server/request/pictures/picture_files.h"
#include "stepcast/v1/image_generation.pb.h"

namespace stepcast {

class LoraCatalog;

// Seeds for requests that bring none.
//
// Thread-safety: Next() may be called from any thread.
class SeedSource {
 public:
  virtual ~SeedSource() = default;

  // A seed in [0, 2^32).
  virtual int64_t Next() = 0;
};

// Unpredictable seeds.
class RandomSeedSource final : public SeedSource {
 public:
  int64_t Next() override;

 private:
  Mutex mutex_;
  absl::BitGen generator_ ABSL_GUARDED_BY(mutex_);
};

// The model that a request names; the default model for "".
// Errors, made by MakeError: MODEL_NOT_FOUND, with those that exist; FIELD_INVALID for anything that cannot be an id.
absl::StatusOr<const RegisteredModel*> FindModel(std::string_view id, const ModelRegistry& models);

// What belongs to a request beside its message.
struct RequestOrigin {
  std::string tenant = {};                   // for whom the call is made
  const PictureFiles* pictures = nullptr;    // taken out of the message (TakePictures); nullptr: it had none
  const AdapterCatalog* adapters = nullptr;  // nullptr: there are none
  const LoraCatalog* loras = nullptr;        // likewise
};

// Checks `request` against `models` and `limits` and fills in every default. Pictures are judged by their headers; the
// result holds none of them: ReadPictures fills them in.
//
// Errors, made by MakeError: MODEL_NOT_FOUND; FIELD_INVALID with all wrong fields, each with what came, what is allowed
// and where to list allowed values; IMAGE_UNDECODABLE or IMAGE_TOO_LARGE when only pictures are wrong; WORK_LIMIT when
// every field is fine but together they ask for too much.
absl::StatusOr<SharedRequest> ValidateRequest(const v1::GenerateRequest& request, const ModelRegistry& models,
                                              const LimitsConfig& limits, SeedSource& seeds,
                                              const RequestOrigin& origin = {});

// Denoiser rows that all pictures of `request` take in one step.
int RowsOf(const GenerationRequest& request);

// Whether the answer of a unary call fits the message limit, judged by the size of the pictures' pixels: more than PNG
// ever needs, and than lossy formats need for anything but noise. Errors: WORK_LIMIT, naming Generate.
absl::Status CheckUnaryResponseFits(const GenerationRequest& request, const LimitsConfig& limits);

// The models whose own defaults `limits` refuse: a request that names nothing else must succeed.
std::vector<RefusedModel> FindMisfits(const ModelRegistry& models, const LimitsConfig& limits);

// The reverse of ValidateRequest: a request with every value that `request` resolved to. Validated again it gives an
// equal request. `validate_only` is not part of it.
v1::GenerateRequest ToEffectiveRequest(const GenerationRequest& request);

}  // namespace stepcast
