#pragma once
// A loaded model, whole or not at all.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "absl/status/statusor.h"
#include "core/model_card.h"
#include "core/model_info.h"
#include "model/classifier.h"
#include "model/conditioner.h"
#include "model/denoiser.h"
#include "model/latent_codec.h"
#include "model/loading/compute_dtypes.h"
#include "model/preview_decoder.h"

namespace stepcast::model {

class ComponentCache;

struct LoadOptions {
  std::string id;       // becomes ModelInfo::id
  std::string path;     // a folder in diffusers layout, or a checkpoint in one .safetensors file
  ModelCard card = {};  // what the operator says of it; wins over the card beside it
  // Meta: the model is read and checked but for the numbers of its weights, and cannot be run.
  c10::Device device = c10::Device(c10::DeviceType::CPU);
  // What parts compute in that no card speaks of; weights are converted on load. Undefined: `auto`.
  c10::ScalarType dtype = c10::ScalarType::Float;
  AutoDtypes auto_dtypes = {c10::ScalarType::Float};
  // Bytes of convolution weights kept in the layouts of other sizes than the trained one; nullopt: a fifth of the
  // weights.
  std::optional<int64_t> packed_bytes = std::nullopt;
  // Where parts are looked for that another model has, and put. Null: none is shared.
  std::shared_ptr<ComponentCache> components = nullptr;
  bool digest = true;  // whether ModelInfo::sha256 is worked out, which reads every byte
  std::function<void(const std::string&)> notice = {};  // of what happens later and an operator should know; any thread
};

// Shared by every job that uses it; immutable.
class ModelBundle {
 public:
  // Reads model_index.json, the component configs and the weights; of a checkpoint in one file all that is in the file.
  // Errors: NOT_FOUND or INVALID_ARGUMENT, naming the component, the file and what is wrong, with all missing,
  // mis-shaped and unused weights listed at once; FAILED_PRECONDITION when the remedy is outside this program (a
  // git-lfs pull, a conversion). Throws c10::Error when the device fails; engine/device/torch_guard.h turns it into a
  // Status.
  static absl::StatusOr<std::shared_ptr<const ModelBundle>> Load(const LoadOptions& options);

  virtual ~ModelBundle() = default;

  virtual const SharedModelInfo& info() const = 0;
  virtual const Conditioner& conditioner() const = 0;
  virtual const Denoiser& denoiser() const = 0;
  virtual const LatentCodec& codec() const = 0;
  virtual const PreviewDecoder& preview() const = 0;
  // codec() once more, computing in float32, from the same weights. Throws as Load.
  // Errors: UNIMPLEMENTED where codec() does so itself.
  virtual absl::StatusOr<std::unique_ptr<const LatentCodec>> LoadPreciseCodec() const {
    return absl::UnimplementedError("the decoder computes in fp32 already");
  }
  // What classifier guidance asks; null: the model has none.
  virtual const Classifier* classifier() const { return nullptr; }
  virtual c10::Device device() const = 0;
  // Of the denoiser; other parts take and give float32, or are cast where they meet it.
  virtual c10::ScalarType dtype() const = 0;
  // What was odd about the folder and did no harm: unknown config keys, unused weights. For the log.
  virtual const std::vector<std::string>& warnings() const = 0;
  // Where its parts come from and what of the folder is not run. For the log.
  virtual std::vector<std::string> notes() const { return {}; }
};

}  // namespace stepcast::model
