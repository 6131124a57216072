#pragma once
// A small model put together of committed components, its engine and its tokenizers.

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/parity/painter.h"
#include "text/tokenizer/clip_tokenizer.h"

namespace stepcast {

class Atelier {
 public:
  // `variant` of a manifest: "index" and "parts", paths below `root`. Fails the test when it cannot be loaded.
  Atelier(const std::string& name, const std::string& root, const nlohmann::json& variant,
          std::vector<ControlNetSource> nets = {});

  Painter& painter() { return painter_; }

  // Token ids for each text encoder; the second is asked `second` where that is not empty.
  std::vector<std::vector<int32_t>> Ids(const std::string& first, const std::string& second = "") const;

 private:
  Painter painter_;
  std::vector<std::unique_ptr<const ClipTokenizer>> tokenizers_;
};

// hint_picture of tools/parity/make_control_fixtures.py: RGB with edges and shades, another one for each number.
InputPicture HintPicture(int number, int width, int height);

// Those of `requests` that can share a forward: of one model, named under `model_key`, and of one size.
std::vector<std::vector<const nlohmann::json*>> GroupsOf(const nlohmann::json& requests, const std::string& model_key);

// The jobs, painted together.
std::vector<SharedImage> PaintTogether(Painter& painter, const std::vector<std::unique_ptr<Job>>& jobs);

// Tensors of the file `base`.safetensors in `folder`, by name.
std::map<std::string, at::Tensor> ReadTensors(const std::string& folder, const std::string& base,
                                              const std::vector<std::string>& names);

// Those of "latents.safetensors" that `requests` name.
std::map<std::string, at::Tensor> ReadLatents(const std::string& folder, const nlohmann::json& requests);

}  // namespace stepcast
