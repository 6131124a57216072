#pragma once
// LoRAs for tests that need no torch: a file's text is what it is.

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/lora_info.h"
#include "core/mutex.h"
#include "core/sha256.h"

namespace stepcast {

// Files with "bad" in their text are refused; "other" go with no model; "text" change text encoders, too; "fast" have
// defaults: 4 steps of LCM, guidance 1. Each takes 100 bytes, "wide" ones twice as many in memory. Counts what is held.
class FakeLoraHost final : public LoraHost {
 public:
  absl::StatusOr<SharedLoraInfo> Read(const std::string& name, const std::string& path) const override {
    std::ifstream in(path, std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(in), {});
    MutexLock lock(mutex_);
    ++reads_;
    if (absl::StrContains(text, "bad")) return absl::InvalidArgumentError("it is bad");
    auto lora = std::make_shared<LoraInfo>();
    lora->name = name;
    lora->family = absl::StrContains(text, "other") ? "Stable Diffusion XL" : "Stable Diffusion 1";
    lora->sha256 = Sha256Hex(text);
    lora->rank = absl::StrContains(text, "wide") ? 8 : 4;
    lora->changes_denoiser = true;
    lora->changes_text_encoders = absl::StrContains(text, "text");
    lora->bytes = 100;
    if (absl::StrContains(text, "fast")) {
      lora->defaults.sampler = Sampler::kLcm;
      lora->defaults.steps = 4;
      lora->defaults.guidance_scale = 1.0;
    }
    return lora;
  }

  absl::StatusOr<LoraFit> Fit(const LoraInfo& lora, const ModelInfo& model) const override {
    if (on_fit) on_fit();
    if (lora.family == "Stable Diffusion XL") {
      return absl::InvalidArgumentError(
          absl::StrCat("was made for Stable Diffusion XL, model '", model.id, "' is not"));
    }
    LoraFit fit{.defaults = model.defaults, .cost = 0.25};
    if (lora.defaults.sampler.has_value()) fit.defaults.sampler = *lora.defaults.sampler;
    if (lora.defaults.steps.has_value()) fit.defaults.steps = *lora.defaults.steps;
    if (lora.defaults.guidance_scale.has_value()) fit.defaults.guidance_scale = *lora.defaults.guidance_scale;
    return fit;
  }

  absl::StatusOr<int64_t> Load(const LoraInfo& lora, const ModelInfo& model) override {
    MutexLock lock(mutex_);
    if (fail_) return absl::InternalError("the disk is gone");
    ++loads_;
    ++held_[LoraKey(model, lora.sha256)];
    return lora.rank * 25;
  }

  void Unload(const std::string& key) override {
    {
      MutexLock lock(mutex_);
      held_.erase(key);
    }
    if (on_unload) on_unload();
  }

  // What happens meanwhile. Set before anybody calls.
  std::function<void()> on_fit = {};
  std::function<void()> on_unload = {};

  void set_fail(bool fail) {
    MutexLock lock(mutex_);
    fail_ = fail;
  }
  int reads() const {
    MutexLock lock(mutex_);
    return reads_;
  }
  int loads() const {
    MutexLock lock(mutex_);
    return loads_;
  }
  size_t held() const {
    MutexLock lock(mutex_);
    return held_.size();
  }

 private:
  mutable Mutex mutex_;
  mutable int reads_ = 0;
  int loads_ = 0;
  bool fail_ = false;
  std::map<std::string, int> held_;
};

// A model without anything but a name.
inline SharedModelInfo EmojiModel() {
  auto model = std::make_shared<ModelInfo>();
  model->id = "emoji";
  return model;
}

// A folder of files, by name.
inline std::string LoraFolder(const std::string& name, const std::vector<std::pair<std::string, std::string>>& files,
                              const std::string& below) {
  const std::filesystem::path folder = std::filesystem::path(below) / name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  for (const auto& [file, text] : files) std::ofstream(folder / file, std::ios::binary) << text;
  return folder.string();
}

}  // namespace stepcast
