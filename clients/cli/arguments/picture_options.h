#pragma once
// Options of `stepcast generate` for pictures that the request brings.

#include <string>

#include "clients/cli/arguments/request_edits.h"

namespace CLI {
class App;
}

namespace stepcast::cli {

// Adds --image, --mask, --control and what goes with them. Files are read while parsing: one that cannot be read throws
// CLI::ValidationError. `edits` must outlive the parsing.
void AddPictureOptions(CLI::App& app, RequestEdits& edits);

// What "sketch.png:edges:0.8" names: a file, then perhaps a ControlNet, then perhaps its scale.
struct ControlArgument {
  std::string file = {};
  std::string model = {};
  double scale = 1.0;
  bool has_scale = false;
};

// Returns "" or what is wrong with `text`. A file that exists by the whole name is that file.
std::string ParseControl(const std::string& text, ControlArgument& control);

}  // namespace stepcast::cli
