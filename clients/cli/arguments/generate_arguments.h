#pragma once
// The options of `stepcast generate`, and what they come to.

#include <string>
#include <vector>

#include "clients/cli/arguments/request_edits.h"
#include "clients/cli/call/connection.h"
#include "clients/cli/commands/compare.h"
#include "clients/cli/commands/generate.h"

namespace CLI {
class App;
}

namespace stepcast::cli {

// What the parser writes into.
struct GenerateArguments {
  RequestEdits edits;
  std::string from;    // --from; "": none
  std::string output;  // -o; "": not given
  stepcast::v1::ImageFormat format = stepcast::v1::IMAGE_FORMAT_UNSPECIFIED;
  std::vector<stepcast::v1::Sampler> compare;
  double deadline_s = 0;
  std::string tenant;
  bool quality_given = false;
  bool watch = false;
  bool json = false;
  bool quiet = false;
};

// Adds the options to `app`; `arguments` must outlive the parsing.
void AddGenerateOptions(CLI::App& app, GenerateArguments& arguments);

// Makes the request: that of --from, if any, edited by the options. Returns "" or what is wrong with the arguments.
std::string ToGenerateOptions(const GenerateArguments& arguments, GenerateOptions& options);

// The same for --compare.
std::string ToCompareOptions(const GenerateArguments& arguments, CompareOptions& options);

}  // namespace stepcast::cli
