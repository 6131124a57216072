#include "clients/cli/arguments/generate_arguments.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <utility>

#include <CLI/CLI.hpp>

#include "clients/cli/arguments/lora_options.h"
#include "clients/cli/arguments/number.h"
#include "clients/cli/arguments/picture_options.h"
#include "clients/cli/arguments/sampling_options.h"
#include "clients/cli/files/output_format.h"
#include "clients/cli/files/request_file.h"
#include "clients/cli/views/enum_names.h"

namespace stepcast::cli {
namespace {

namespace v1 = ::stepcast::v1;

constexpr char kFiles[] = "Files";
constexpr char kService[] = "Service";
constexpr char kCompareOption[] = "--compare";

// Options that make no sense for a sheet: it is one PNG, painted by several calls without previews.
constexpr const char* kNotWithCompare[] = {
    "--sampler",          "--from",          "--count",        "--quality", "--format",
    "--embed-parameters", "--preview-every", "--preview-side", "--watch",   "--checkpoint-every"};

// Another sampler begins with its own defaults, as GetModel tells them.
void MakeRoomForSampler(v1::Sampler sampler, v1::GenerateRequest& r, std::vector<std::string>& cleared) {
  if (r.sampler() == sampler) return;
  ClearFields({"eta", "sampler_options", "sigma_schedule", "timestep_spacing"}, r, cleared);
}

void AddSampler(CLI::App& app, GenerateArguments& a) {
  app.add_option_function<std::string>(
         "--sampler",
         [&a](const std::string& name) {
           const auto sampler = static_cast<v1::Sampler>(EnumNames(v1::Sampler_descriptor()).at(LowerCase(name)));
           a.edits.AddFirst([sampler](v1::GenerateRequest& r, std::vector<std::string>& cleared) {
             MakeRoomForSampler(sampler, r, cleared);
           });
           a.edits.Add([sampler](v1::GenerateRequest& r) { r.set_sampler(sampler); });
         },
         "Sampler")
      ->check(CLI::IsMember(EnumNames(v1::Sampler_descriptor()), CLI::ignore_case));
  app.add_option_function<std::string>(
         kCompareOption,
         [&a](const std::string& list) {
           const std::map<std::string, int> names = EnumNames(v1::Sampler_descriptor());
           for (const std::string& name : SplitAtCommas(list)) {
             const auto known = names.find(LowerCase(name));
             if (known == names.end()) {
               throw CLI::ValidationError(kCompareOption, "'" + name + "' is no sampler; allowed: " + Joined(names));
             }
             a.compare.push_back(static_cast<v1::Sampler>(known->second));
           }
         },
         "Paint with each of these samplers (ddim,euler,...), and write one sheet of them, a PNG")
      ->type_name("NAME,...");
}

void AddPicture(CLI::App& app, GenerateArguments& a) {
  const auto text = [&](const char* name, auto set, const char* help) {
    app.add_option_function<std::string>(
        name, [&a, set](const std::string& v) { a.edits.Add([set, v](v1::GenerateRequest& r) { set(r, v); }); }, help);
  };
  const auto integer = [&](const char* name, auto set, const char* help) {
    AddInt(app, name, [&a, set](int v) { a.edits.Add([set, v](v1::GenerateRequest& r) { set(r, v); }); }, help);
  };
  text("prompt", [](v1::GenerateRequest& r, const std::string& v) { r.set_prompt(v); }, "What to paint");
  text(
      "-n,--negative", [](v1::GenerateRequest& r, const std::string& v) { r.set_negative_prompt(v); }, "What to avoid");
  text(
      "-m,--model", [](v1::GenerateRequest& r, const std::string& v) { r.set_model(v); },
      "Model id; see `stepcast models`");
  AddInteger(
      app, "--seed", [&a](int64_t v) { a.edits.Add([v](v1::GenerateRequest& r) { r.set_seed(v); }); },
      "0..2^53-1; equal seeds give equal pictures");
  AddInt(
      app, "--steps",
      [&a](int v) {
        a.edits.AddFirst([](v1::GenerateRequest& r, std::vector<std::string>& cleared) {
          ClearFields({"timesteps", "sigmas"}, r, cleared);
          if (!r.sampler_options().langevin().has_levels()) return;
          r.mutable_sampler_options()->mutable_langevin()->clear_levels();
          cleared.emplace_back("sampler_options.langevin.levels");
        });
        a.edits.Add([v](v1::GenerateRequest& r) { r.set_steps(v); });
      },
      "Sampling steps");
  integer("--width", [](v1::GenerateRequest& r, int v) { r.set_width(v); }, "Pixels");
  integer("--height", [](v1::GenerateRequest& r, int v) { r.set_height(v); }, "Pixels");
  integer(
      "--count", [](v1::GenerateRequest& r, int v) { r.set_image_count(v); },
      "Pictures, with seeds seed, seed + 1, ...");
  integer(
      "--clip-skip", [](v1::GenerateRequest& r, int v) { r.set_clip_skip(v); },
      "Last layers of the text encoder to leave out");
  app.add_option_function<std::string>(
         "--syntax",
         [&a](const std::string& v) {
           const auto value = static_cast<v1::PromptSyntax>(EnumNames(v1::PromptSyntax_descriptor()).at(LowerCase(v)));
           a.edits.Add([value](v1::GenerateRequest& r) { r.set_prompt_syntax(value); });
         },
         "How prompts are read: a1111 knows (weights:1.2), BREAK, AND and long prompts")
      ->check(CLI::IsMember(EnumNames(v1::PromptSyntax_descriptor()), CLI::ignore_case));
}

void AddFiles(CLI::App& app, GenerateArguments& a) {
  std::vector<CLI::Option*> options;
  options.push_back(app.add_option("-o,--output", a.output,
                                   "File to write; '-' for stdout. Its extension says the format (default: "
                                   "stepcast.png)")
                        ->check([](const std::string& file) -> std::string {
                          return file.empty() ? "the name is empty; without -o it is stepcast.png" : "";
                        }));
  options.push_back(app.add_option(
      "--from", a.from,
      "Paint again what this file asks for: a picture with embedded parameters, or JSON; other options override"));
  options.push_back(app.add_option_function<std::string>(
                           "--format",
                           [&a](const std::string& v) {
                             a.format =
                                 static_cast<v1::ImageFormat>(EnumNames(v1::ImageFormat_descriptor()).at(LowerCase(v)));
                           },
                           "File format, where the name does not say it")
                        ->check(CLI::IsMember(EnumNames(v1::ImageFormat_descriptor()), CLI::ignore_case)));
  options.push_back(AddInt(
      app, "--quality",
      [&a](int v) {
        a.quality_given = true;
        a.edits.Add([v](v1::GenerateRequest& r) { r.mutable_output()->set_quality(v); });
      },
      "1..100, JPEG and WebP"));
  options.push_back(app.add_flag_function(
      "--embed-parameters",
      [&a](int64_t) { a.edits.Add([](v1::GenerateRequest& r) { r.mutable_output()->set_embed_parameters(true); }); },
      "Write the settings into the picture, for --from and other tools"));
  options.push_back(
      app.add_flag("--watch", a.watch, "Show the unfinished picture as NAME.preview.jpg while it is painted"));
  options.push_back(AddInt(
      app, "--preview-every",
      [&a](int v) { a.edits.Add([v](v1::GenerateRequest& r) { r.mutable_preview()->set_every_n_steps(v); }); },
      "Steps between previews; implies --watch"));
  options.push_back(AddInt(
      app, "--preview-side",
      [&a](int v) { a.edits.Add([v](v1::GenerateRequest& r) { r.mutable_preview()->set_max_side(v); }); },
      "Longer side of previews, pixels; implies --watch"));
  options.push_back(app.add_flag("--json", a.json, "Tell the result as JSON on stdout"));
  options.push_back(app.add_flag("-q,--quiet", a.quiet, "No progress bar, no notes"));
  for (CLI::Option* option : options) option->group(kFiles);
}

// For whom, how urgent, until when.
void AddService(CLI::App& app, GenerateArguments& a) {
  CLI::Option* const priority = app.add_option_function<std::string>(
      "--priority",
      [&a](const std::string& v) {
        const auto value = static_cast<v1::Priority>(EnumNames(v1::Priority_descriptor()).at(LowerCase(v)));
        a.edits.Add([value](v1::GenerateRequest& r) { r.set_priority(value); });
      },
      "How urgent; batch takes what the others leave");
  priority->check(CLI::IsMember(EnumNames(v1::Priority_descriptor()), CLI::ignore_case));
  CLI::Option* const deadline =
      AddReal(app, "--deadline", [&a](double v) { a.deadline_s = v; },
              "Seconds until the pictures must be done; refused at once if they cannot be", {0.001, kSeconds.most});
  CLI::Option* const tenant =
      app.add_option("--tenant", a.tenant, "For whom; the server shares its time between tenants");
  tenant->envname("STEPCAST_TENANT")->check([](const std::string& name) {
    const bool plain = std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f; });
    return plain ? std::string() : std::string("printable ASCII without spaces");
  });
  CLI::Option* const checkpoints = AddInt(
      app, "--checkpoint-every",
      [&a](int v) { a.edits.Add([v](v1::GenerateRequest& r) { r.set_checkpoint_every(v); }); },
      "Evaluations after which the server hands out where the picture is, to go on from when it dies");
  CLI::Option* const validate_only = app.add_flag_function(
      "--validate-only", [&a](int64_t) { a.edits.Add([](v1::GenerateRequest& r) { r.set_validate_only(true); }); },
      "Check the request and tell how long it would take; paint and write nothing");
  for (CLI::Option* option : {priority, deadline, tenant, checkpoints, validate_only}) option->group(kService);
}

// The request of --from, edited by the options.
std::string MakeRequest(const GenerateArguments& a, v1::GenerateRequest& request) {
  if (!a.from.empty()) {
    if (std::string problem = ReadRequestFile(a.from, request); !problem.empty()) return problem;
  }
  const std::vector<std::string> cleared = a.edits.Apply(request);
  if (cleared.empty() || a.quiet) return "";
  std::string names;
  for (const std::string& name : cleared) names += (names.empty() ? "" : ", ") + name;
  std::fprintf(stderr, "stepcast: of --from %s the options leave out: %s\n", a.from.c_str(), names.c_str());
  return "";
}

}  // namespace

void AddGenerateOptions(CLI::App& app, GenerateArguments& arguments) {
  AddPicture(app, arguments);
  AddPictureOptions(app, arguments.edits);
  AddLoraOption(app, arguments.edits);
  AddSampler(app, arguments);
  AddSamplingOptions(app, arguments.edits);
  AddFiles(app, arguments);
  AddService(app, arguments);
  for (const char* other : kNotWithCompare) app.get_option(kCompareOption)->excludes(app.get_option(other));
}

std::string ToGenerateOptions(const GenerateArguments& a, GenerateOptions& options) {
  v1::GenerateRequest& request = options.request;
  if (std::string problem = MakeRequest(a, request); !problem.empty()) return problem;
  v1::ImageFormat format = v1::IMAGE_FORMAT_UNSPECIFIED;
  if (std::string problem = SettleFormat(a.output, a.format, format); !problem.empty()) return problem;
  if (format != v1::IMAGE_FORMAT_UNSPECIFIED && format != request.output().format()) {
    // A quality that came with another format means nothing for this one; one that was asked for does.
    const bool from_file = !a.from.empty() && !a.quality_given;
    if (from_file) request.mutable_output()->clear_quality();
    request.mutable_output()->set_format(format);
  }
  options.output = a.output.empty() ? "stepcast" + ExtensionOf(request.output().format()) : a.output;
  options.watch = a.watch || request.has_preview();
  options.json = a.json;
  options.quiet = a.quiet;
  return "";
}

std::string ToCompareOptions(const GenerateArguments& a, CompareOptions& options) {
  if (std::string problem = MakeRequest(a, options.request); !problem.empty()) return problem;
  v1::ImageFormat format = v1::IMAGE_FORMAT_UNSPECIFIED;
  if (std::string problem = SettleFormat(a.output, v1::IMAGE_FORMAT_UNSPECIFIED, format); !problem.empty()) {
    return problem;
  }
  if (format != v1::IMAGE_FORMAT_UNSPECIFIED && format != v1::IMAGE_FORMAT_PNG) {
    return "-o " + a.output + ": the sheet of --compare is a PNG; name it .png";
  }
  options.request.mutable_output()->set_format(v1::IMAGE_FORMAT_PNG);
  options.samplers = a.compare;
  options.output = a.output.empty() ? "stepcast.png" : a.output;
  options.json = a.json;
  return "";
}

}  // namespace stepcast::cli
