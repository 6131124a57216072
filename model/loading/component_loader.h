#pragma once
// Loads the parts of one model and gathers what the loading has to say at its end.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/model_info.h"
#include "core/status_macros.h"
#include "model/families/assembled_bundle.h"
#include "model/files/file_digests.h"
#include "model/files/json_config.h"
#include "model/files/model_index.h"
#include "model/latent_shape.h"
#include "model/loading/component_cache.h"
#include "model/loading/compute_dtypes.h"
#include "model/model_bundle.h"
#include "model/preview/linear_preview_decoder.h"
#include "model/vae/vae_config.h"
#include "model/weights/weight_map.h"
#include "model/weights/weight_set.h"

namespace stepcast::model {

// One load of one folder. The family decides which parts there are; every part is loaded through this, so that files,
// warnings and parameters are counted once. `index` and `options` must outlive it.
class ComponentLoader {
 public:
  ComponentLoader(const ModelIndex& index, const LoadOptions& options)
      : index_(index),
        options_(options),
        dtypes_(index.cards, options.dtype, options.auto_dtypes),
        layouts_(std::make_shared<ConvolutionLayouts>(options.packed_bytes, options.notice)),
        paths_({index.path()}),
        warnings_(index.warnings),
        decisions_(index.decisions) {}

  const ModelIndex& index() const { return index_; }
  const LoadOptions& options() const { return options_; }

  // Opens a config of `component`.
  absl::StatusOr<JsonConfig> Config(const std::string& component, const std::string& file = "config.json");
  // Warns of keys of `json` that nobody asked for.
  void NoteUnknownKeys(const JsonConfig& json);
  // The bytes of `path` decide what is painted.
  void AddPath(std::string path) { paths_.push_back(std::move(path)); }

  // Makes one network from the weights of its folder, or finds the equal one of another model. `make` takes a WeightMap
  // and makes a unique_ptr; where parts are shared it is called twice, first without memory. The network computes in
  // what the cards and the server's default come to, in `precision` where they leave that open.
  template <typename Make>
  auto Network(const std::string& component, const std::string& basename, NameRule rule, Make make,
               Precision precision = Precision::kAny) -> absl::StatusOr<PartOf<Make>> {
    STEPCAST_ASSIGN_OR_RETURN(const WeightSet set, OpenWeights(component, basename, rule, precision));
    AddToDigest(set);
    const c10::ScalarType dtype = dtypes_.For(component, precision, MostlyStoredAs(set));
    std::string digest, key;
    if (options_.components != nullptr) {
      // What is asked for is known without memory for it.
      WeightMap shapes(set, c10::Device(c10::DeviceType::Meta), dtype);
      const PartOf<Make> part = make(shapes);
      STEPCAST_ASSIGN_OR_RETURN(digest, DigestOf(component, set, shapes));
      key = PartKey(digest, {typeid(*part), typeid(typename PartOf<Make>::element_type)}, dtype, options_.device);
      if (const auto known = options_.components->Find(key)) {
        STEPCAST_RETURN_IF_ERROR(Account(component, set, shapes, digest));
        notes_.push_back(absl::StrCat(component, ": shared with a model that is loaded already, sha256 ", digest));
        return std::static_pointer_cast<typename PartOf<Make>::element_type>(known);
      }
    }
    WeightMap weights(set, options_.device, dtype);
    weights.ShareLayouts(layouts_);
    PartOf<Make> network = make(weights);
    STEPCAST_RETURN_IF_ERROR(Account(component, set, weights, digest));
    // Shapes without numbers are nobody's part.
    if (!key.empty() && !options_.device.is_meta()) options_.components->Insert(key, network);
    return network;
  }

  // Parts that several families have.
  absl::StatusOr<NoiseScheduleConfig> Schedule();
  absl::StatusOr<VaeConfig> AutoencoderSettings(const std::string& component = "vae");
  absl::StatusOr<std::shared_ptr<const LatentCodec>> Autoencoder(const VaeConfig& config,
                                                                 Precision precision = Precision::kAny,
                                                                 const std::string& component = "vae");
  void NoteEncoder(const LatentCodec& codec) { encodes_pictures_ = codec.encodes(); }
  // Says what another decoder takes at its peak.
  void NoteDecodeBytes(const AutoencoderConfig& decoder, c10::ScalarType dtype);
  // The decoder that a card names; else a matrix, that of preview.json or, without one, `otherwise`.
  absl::StatusOr<std::shared_ptr<const PreviewDecoder>> Preview(const LatentShape& shape,
                                                                const PreviewMatrix& otherwise);

  // What is told of every model: identity, schedule, sizes and their limits, device. `smallest_side` and
  // the multiples of it bound a request from below, in pixels.
  ModelInfo Describe(const NoiseScheduleConfig& schedule, const LatentShape& shape, int64_t smallest_side) const;
  // `info` with its model card, dtype and digest. Call last, once all parts are loaded.
  absl::StatusOr<SharedModelInfo> Finish(ModelInfo info);

  // Adds to what is told of the model beyond its files.
  void Decide(ModelDecision decision) { decisions_.push_back(std::move(decision)); }
  // Adds to what the log is warned of; "" adds nothing.
  void Warn(std::string warning);

  // What the denoiser computes in. REQUIRES: the component "unet" is loaded.
  c10::ScalarType denoiser_dtype() const { return denoiser_dtype_; }

  // What makes the autoencoder again in float32; null where it computes in that.
  CodecLoader TakePreciseCodec() { return std::move(precise_codec_); }
  std::vector<std::string> TakeWarnings() { return std::move(warnings_); }
  std::vector<std::string> TakeNotes() { return std::move(notes_); }

 private:
  absl::StatusOr<WeightSet> OpenWeights(const std::string& component, const std::string& basename, NameRule rule,
                                        Precision precision) const;
  void ApplyCards(NoiseScheduleConfig& schedule);
  void NoteDtype(const std::string& component, c10::ScalarType dtype);
  absl::StatusOr<std::shared_ptr<const PreviewDecoder>> LinearPreview(int64_t latent_channels,
                                                                      const PreviewMatrix& otherwise);
  absl::StatusOr<std::shared_ptr<const PreviewDecoder>> TinyPreview(const LatentShape& shape);
  absl::Status Account(const std::string& component, const WeightSet& set, const WeightMap& weights,
                       const std::string& digest);
  // With LoadOptions::components.
  absl::StatusOr<std::string> DigestOf(const std::string& component, const WeightSet& set, const WeightMap& shapes);
  void AddToDigest(const WeightSet& set);

  const ModelIndex& index_;
  const LoadOptions& options_;
  const ComputeDtypes dtypes_;
  const std::shared_ptr<ConvolutionLayouts> layouts_;
  FileDigests digests_;
  std::vector<std::string> paths_;
  std::vector<std::string> warnings_;
  std::vector<std::string> notes_;
  std::vector<ModelDecision> decisions_;
  std::vector<ModelComponent> components_;
  std::map<std::string, std::string> settings_;  // of each component, for its digest
  std::vector<std::string> said_;                // by people, and decides what is painted
  int64_t parameters_ = 0;
  c10::ScalarType denoiser_dtype_ = c10::ScalarType::Undefined;
  Decoding decoding_;
  bool encodes_pictures_ = false;
  CodecLoader precise_codec_;
};

}  // namespace stepcast::model
