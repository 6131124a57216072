#pragma once
// Autoencoders once more in float32, for what overflows in less.

#include <map>
#include <memory>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "core/model_info.h"
#include "engine/device/torch_guard.h"
#include "model/model_bundle.h"

namespace stepcast::engine {

// Each is loaded when it is first needed and kept until Forget.
//
// Thread-safety: none; owned by one executor.
class PreciseCodecs {
 public:
  // `log` may be empty; `guard` must outlive this.
  PreciseCodecs(ErrorLog log, const TorchGuard& guard) : log_(std::move(log)), guard_(guard) {}

  // Runs `work` with the float32 codec of a model whose own has computed nonsense. A failure, want of memory included,
  // is the caller's picture's alone: `work` was then not run, or not to its end.
  void Run(const model::ModelBundle& bundle, absl::FunctionRef<void(const model::LatentCodec&)> work);

  // Lets go of all, and of what is known of models that nobody else has any more. Returns whether there was one.
  bool Forget();

 private:
  struct Precise {
    std::unique_ptr<const model::LatentCodec> codec;  // null: not loaded
    bool told = false;
  };

  void DropUnloaded();

  const ErrorLog log_;
  const TorchGuard& guard_;
  std::map<SharedModelInfo, Precise> precise_;  // by what tells models apart, also those that came back
};

}  // namespace stepcast::engine
