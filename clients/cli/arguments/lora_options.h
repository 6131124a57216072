#pragma once
// The option of `stepcast generate` for LoRAs.

#include <optional>
#include <string>

#include "clients/cli/arguments/request_edits.h"

namespace CLI {
class App;
}

namespace stepcast::cli {

// Adds --lora. `edits` must outlive the parsing.
void AddLoraOption(CLI::App& app, RequestEdits& edits);

// What "style:0.8:0.5" names: a LoRA, then perhaps its scale, then perhaps that in the text encoders.
struct LoraArgument {
  std::string name = {};
  std::optional<double> scale = std::nullopt;
  std::optional<double> text_scale = std::nullopt;
};

// Returns "" or what is wrong with `text`.
std::string ParseLora(const std::string& text, LoraArgument& lora);

}  // namespace stepcast::cli
