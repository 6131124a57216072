#include "engine/codecs/precise_codecs.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "model/files/load_report.h"

namespace stepcast::engine {

void PreciseCodecs::Run(const model::ModelBundle& bundle, absl::FunctionRef<void(const model::LatentCodec&)> work) {
  DropUnloaded();
  Precise& precise = precise_[bundle.info()];
  if (!std::exchange(precise.told, true) && log_) {
    log_(absl::StrCat("model '", bundle.info()->id, "': its autoencoder made values that are not finite in ",
                      model::DtypeName(bundle.codec().dtype()),
                      "; such pictures go through it again in fp32 (dtype: {vae: fp32} in its card makes that the "
                      "rule)"));
  }
  const absl::Status status = guard_.Run("autoencoder in fp32", [&] {
    if (precise.codec == nullptr) {
      absl::StatusOr<std::unique_ptr<const model::LatentCodec>> codec = bundle.LoadPreciseCodec();
      if (!codec.ok()) {
        if (log_) log_(absl::StrCat("model '", bundle.info()->id, "': ", codec.status().ToString()));
        return;
      }
      precise.codec = *std::move(codec);
    }
    work(*precise.codec);
  });
  if (!status.ok()) precise.codec = nullptr;
}

void PreciseCodecs::DropUnloaded() {
  std::erase_if(precise_, [](const auto& entry) { return entry.first.use_count() == 1; });
}

bool PreciseCodecs::Forget() {
  bool any = false;
  for (auto& [info, precise] : precise_) any = std::exchange(precise.codec, nullptr) != nullptr || any;
  DropUnloaded();
  return any;
}

}  // namespace stepcast::engine
