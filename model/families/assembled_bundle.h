#pragma once
// A model put together from parts that are already loaded, whatever its family.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/model_bundle.h"

namespace stepcast::model {

// Makes a codec of weights that it keeps open.
using CodecLoader = std::function<absl::StatusOr<std::unique_ptr<const LatentCodec>>()>;

// Other models may have the same parts.
struct BundleParts {
  SharedModelInfo info;
  std::shared_ptr<const Conditioner> conditioner;
  std::shared_ptr<const Denoiser> denoiser;
  std::shared_ptr<const LatentCodec> codec;
  std::shared_ptr<const PreviewDecoder> preview;
  CodecLoader precise_codec = nullptr;           // null: codec computes in float32
  std::shared_ptr<const Classifier> classifier;  // null: none
  std::vector<std::string> warnings;
  std::vector<std::string> notes = {};
};

class AssembledBundle final : public ModelBundle {
 public:
  // REQUIRES: every part but the classifier is set.
  AssembledBundle(BundleParts parts, c10::Device device, c10::ScalarType dtype)
      : parts_(std::move(parts)), device_(device), dtype_(dtype) {}

  const SharedModelInfo& info() const override { return parts_.info; }
  const Conditioner& conditioner() const override { return *parts_.conditioner; }
  const Denoiser& denoiser() const override { return *parts_.denoiser; }
  const LatentCodec& codec() const override { return *parts_.codec; }
  const PreviewDecoder& preview() const override { return *parts_.preview; }
  absl::StatusOr<std::unique_ptr<const LatentCodec>> LoadPreciseCodec() const override {
    return parts_.precise_codec ? parts_.precise_codec() : ModelBundle::LoadPreciseCodec();
  }
  const Classifier* classifier() const override { return parts_.classifier.get(); }
  c10::Device device() const override { return device_; }
  c10::ScalarType dtype() const override { return dtype_; }
  const std::vector<std::string>& warnings() const override { return parts_.warnings; }
  std::vector<std::string> notes() const override { return parts_.notes; }

 private:
  BundleParts parts_;
  c10::Device device_;
  c10::ScalarType dtype_;
};

}  // namespace stepcast::model
