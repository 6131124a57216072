#include "clients/cli/arguments/lora_options.h"

#include <vector>

#include <CLI/CLI.hpp>

#include "clients/cli/arguments/number.h"

namespace stepcast::cli {
namespace {

namespace v1 = ::stepcast::v1;

// Takes ":0.8" off the end of `text`, as far as it is there and a number.
std::string TakeNumber(std::string& text, std::optional<double>& number) {
  const size_t colon = text.find(':');
  if (colon == std::string::npos) return "";
  const size_t next = text.find(':', colon + 1);
  const std::string said = text.substr(colon + 1, next == std::string::npos ? next : next - colon - 1);
  double value = 0.0;
  if (!ParseNumber(said, value).empty()) return "'" + said + "' is no number";
  number = value;
  text = text.substr(0, colon) + (next == std::string::npos ? "" : text.substr(next));
  return "";
}

}  // namespace

std::string ParseLora(const std::string& text, LoraArgument& lora) {
  lora = {.name = text};
  if (std::string problem = TakeNumber(lora.name, lora.scale); !problem.empty()) return problem;
  if (std::string problem = TakeNumber(lora.name, lora.text_scale); !problem.empty()) return problem;
  if (lora.name.empty() || lora.name.find(':') != std::string::npos) {
    return "'" + text + "': NAME, NAME:SCALE or NAME:SCALE:TEXT_SCALE is needed";
  }
  return "";
}

void AddLoraOption(CLI::App& app, RequestEdits& edits) {
  app.add_option_function<std::vector<std::string>>(
         "--lora",
         [&edits](const std::vector<std::string>& arguments) {
           edits.AddFirst(
               [](v1::GenerateRequest& r, std::vector<std::string>& cleared) { ClearFields({"loras"}, r, cleared); });
           for (const std::string& argument : arguments) {
             LoraArgument parsed;
             if (std::string problem = ParseLora(argument, parsed); !problem.empty()) {
               throw CLI::ValidationError("--lora", problem);
             }
             edits.Add([parsed](v1::GenerateRequest& r) {
               v1::LoraInput& lora = *r.add_loras();
               lora.set_name(parsed.name);
               if (parsed.scale.has_value()) lora.set_scale(*parsed.scale);
               if (parsed.text_scale.has_value()) lora.set_text_scale(*parsed.text_scale);
             });
           }
         },
         "LoRA to paint with, its strength -4..4, and that in the text encoders; may be repeated")
      ->type_name("NAME[:SCALE[:TEXT]]")
      ->allow_extra_args(false);
}

}  // namespace stepcast::cli
