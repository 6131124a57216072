// `stepcast`, the command-line client. What each command does is in its own file.

#include <algorithm>
#include <cctype>
#include <map>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "clients/cli/compare.h"
#include "clients/cli/generate.h"
#include "clients/cli/queries.h"
#include "clients/cli/samplers.h"
#include "clients/cli/sampling_options.h"
#include "clients/cli/top.h"

namespace stepcast::cli {
namespace {

namespace v1 = ::stepcast::v1;

// What CLI11 writes into. Fields of the request are set only when given, so that the server's defaults apply.
struct GenerateArguments {
  GenerateOptions options;
  std::string prompt, sampler, sigma_schedule, format, priority;
  std::vector<std::string> compare;
};

std::string Lower(std::string s) {
  for (char& c : s) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return s;
}

// Names of enum values without prefix, lower case, as --help shows them.
std::map<std::string, int> Names(const google::protobuf::EnumDescriptor* descriptor, size_t prefix) {
  std::map<std::string, int> names;
  for (int i = 0; i < descriptor->value_count(); ++i) {
    if (descriptor->value(i)->number() == 0) continue;
    names[Lower(descriptor->value(i)->name().substr(prefix))] = descriptor->value(i)->number();
  }
  return names;
}

void AddGenerate(CLI::App& app, GenerateArguments& a) {
  v1::GenerateRequest& r = a.options.request;
  app.add_option("prompt", a.prompt, "What to paint");
  app.add_option("-o,--output", a.options.output, "File to write; '-' for stdout")->default_val("stepcast.png");
  app.add_option_function<std::string>(
      "-m,--model", [&r](const std::string& v) { r.set_model(v); }, "Model id; see `stepcast models`");
  app.add_option_function<std::string>(
      "-n,--negative", [&r](const std::string& v) { r.set_negative_prompt(v); }, "What to avoid");
  app.add_option_function<int64_t>(
      "--seed", [&r](int64_t v) { r.set_seed(v); }, "0..2^53-1; equal seeds give equal pictures");
  app.add_option_function<int>("--steps", [&r](int v) { r.set_steps(v); }, "Sampling steps");
  app.add_option_function<int>("--width", [&r](int v) { r.set_width(v); }, "Pixels");
  app.add_option_function<int>("--height", [&r](int v) { r.set_height(v); }, "Pixels");
  app.add_option_function<int>(
      "--count", [&r](int v) { r.set_image_count(v); }, "Pictures, with seeds seed, seed + 1, ...");
  app.add_option_function<double>(
      "--guidance", [&r](double v) { r.set_guidance_scale(v); }, "Guidance scale; <= 1 turns guidance off");
  app.add_option_function<double>(
      "--eta", [&r](double v) { r.set_eta(v); }, "share of fresh noise, 0..1 (DDIM, TCD, SDE_VP)");
  app.add_option_function<int>("--clip-skip", [&r](int v) { r.set_clip_skip(v); }, "Text encoder layers to skip");
  app.add_option("--sampler", a.sampler, "Sampler")
      ->check(CLI::IsMember(Names(v1::Sampler_descriptor(), 8), CLI::ignore_case));
  app.add_option("--compare", a.compare, "Paint with each of these samplers, and write one sheet of them")
      ->delimiter(',')
      ->excludes(app.get_option("--sampler"))
      ->check(CLI::IsMember(Names(v1::Sampler_descriptor(), 8), CLI::ignore_case));
  AddSamplingOptions(app, r);
  app.add_option("--sigma-schedule", a.sigma_schedule, "Noise schedule")
      ->check(CLI::IsMember(Names(v1::SigmaSchedule_descriptor(), 15), CLI::ignore_case));
  app.add_option("--format", a.format, "File format; default: from the output's extension, else png")
      ->check(CLI::IsMember(Names(v1::ImageFormat_descriptor(), 13), CLI::ignore_case));
  app.add_option_function<int>(
      "--quality", [&r](int v) { r.mutable_output()->set_quality(v); }, "1..100, JPEG and WebP");
  app.add_flag_function(
      "--embed-parameters", [&r](int64_t) { r.mutable_output()->set_embed_parameters(true); },
      "Write the settings into the PNG");
  app.add_option_function<int>(
      "--preview-every", [&r](int v) { r.mutable_preview()->set_every_n_steps(v); }, "Steps between previews");
  app.add_option_function<int>(
      "--preview-side", [&r](int v) { r.mutable_preview()->set_max_side(v); }, "Longer side of previews, pixels");
  app.add_flag("--watch", a.options.watch, "Write the unfinished picture to NAME.preview.jpg while it is painted");
  app.add_flag("--json", a.options.json, "Tell the result as JSON on stdout");
  app.add_flag("-q,--quiet", a.options.quiet, "No progress bar");
}

// For whom, how urgent, until when.
void AddService(CLI::App& app, GenerateArguments& a, ConnectionOptions& connection) {
  app.add_option("--priority", a.priority, "How urgent; batch takes what the others leave")
      ->check(CLI::IsMember(Names(v1::Priority_descriptor(), 9), CLI::ignore_case));
  app.add_option("--deadline", connection.timeout_s,
                 "Seconds until the pictures must be done; refused at once if they cannot be")
      ->check(CLI::PositiveNumber);
  app.add_option("--tenant", connection.tenant, "For whom; the server shares its time between tenants")
      ->envname("STEPCAST_TENANT")
      ->check([](const std::string& name) {
        const bool plain = std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f; });
        return plain ? std::string() : std::string("printable ASCII without spaces");
      });
  app.add_flag_function(
      "--validate-only", [&a](int64_t) { a.options.request.set_validate_only(true); },
      "Check the request and tell how long it would take; paint nothing");
}

std::string FormatOfExtension(const std::string& output) {
  const auto ends = [&output](const std::string& s) {
    return output.size() > s.size() && output.compare(output.size() - s.size(), s.size(), s) == 0;
  };
  if (ends(".jpg") || ends(".jpeg")) return "jpeg";
  if (ends(".webp")) return "webp";
  return "";
}

void FinishRequest(GenerateArguments& a) {
  v1::GenerateRequest& r = a.options.request;
  r.set_prompt(a.prompt);
  if (!a.sampler.empty()) {
    r.set_sampler(static_cast<v1::Sampler>(Names(v1::Sampler_descriptor(), 8)[Lower(a.sampler)]));
  }
  if (!a.sigma_schedule.empty()) {
    r.set_sigma_schedule(
        static_cast<v1::SigmaSchedule>(Names(v1::SigmaSchedule_descriptor(), 15)[Lower(a.sigma_schedule)]));
  }
  if (!a.priority.empty()) {
    r.set_priority(static_cast<v1::Priority>(Names(v1::Priority_descriptor(), 9)[Lower(a.priority)]));
  }
  if (a.format.empty()) a.format = FormatOfExtension(a.options.output);
  if (!a.format.empty()) {
    r.mutable_output()->set_format(
        static_cast<v1::ImageFormat>(Names(v1::ImageFormat_descriptor(), 13)[Lower(a.format)]));
  }
}

CompareOptions ToCompare(const GenerateArguments& a) {
  CompareOptions options{a.options.request, {}, a.options.output};
  for (const std::string& name : a.compare) {
    options.samplers.push_back(static_cast<v1::Sampler>(Names(v1::Sampler_descriptor(), 8)[Lower(name)]));
  }
  options.request.clear_image_count();
  options.request.clear_preview();
  options.request.mutable_output()->set_format(v1::IMAGE_FORMAT_PNG);
  return options;
}

void AddTop(CLI::App& app, TopOptions& top, ConnectionOptions& admin) {
  app.add_option("--admin", admin.host, "host:port of the server's admin port")
      ->envname("STEPCAST_ADMIN")
      ->capture_default_str();
  app.add_option("--interval", top.interval_s, "Seconds between frames")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  app.add_flag("--once", top.once, "One frame, then end");
  app.add_flag("--json", top.json, "A JSON object per frame");
}

int Main(int argc, char** argv) {
  CLI::App app("Paints pictures with a Stepcast server.", "stepcast");
  app.require_subcommand(1);
  app.set_version_flag("--version", STEPCAST_VERSION);
  ConnectionOptions connection;
  app.add_option("--host", connection.host, "host:port of the server")->envname("STEPCAST_HOST")->capture_default_str();
  app.add_option("--timeout", connection.timeout_s, "Seconds one call may take; 0: no limit")
      ->check(CLI::NonNegativeNumber);
  app.fallthrough();

  GenerateArguments generate;
  CLI::App* generate_command = app.add_subcommand("generate", "Paint pictures");
  AddGenerate(*generate_command, generate);
  AddService(*generate_command, generate, connection);

  bool json = false;
  std::string model;
  CLI::App* models_command = app.add_subcommand("models", "List the models, or describe one");
  models_command->add_option("model", model, "Model id");
  models_command->add_flag("--json", json, "As JSON");
  CLI::App* samplers_command = app.add_subcommand("samplers", "The samplers of a model, and what each takes");
  samplers_command->add_option("model", model, "Model id");
  samplers_command->add_flag("--json", json, "As JSON");
  CLI::App* info_command = app.add_subcommand("info", "Version, devices, limits and queue of the server");
  info_command->add_flag("--json", json, "As JSON");

  HealthOptions health;
  CLI::App* health_command = app.add_subcommand("health", "Exit 0 if the server is ready, 4 if not");
  health_command->add_option("--service", health.service, "Name asked of grpc.health.v1")->capture_default_str();
  health_command->add_option("--wait", health.wait_s, "Seconds to wait for it")->check(CLI::NonNegativeNumber);
  health_command->add_option("--while-pid", health.while_pid, "Stop waiting when this process is gone");

  TopOptions top;
  ConnectionOptions admin{.host = "localhost:50052"};
  CLI::App* top_command = app.add_subcommand("top", "What the scheduler does, live, from the admin port");
  AddTop(*top_command, top, admin);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kUsage;
  }
  if (*generate_command) {
    FinishRequest(generate);
    if (!generate.compare.empty()) return Compare(connection, ToCompare(generate));
    return Generate(connection, std::move(generate.options));
  }
  if (*models_command) return Models(connection, model, json);
  if (*samplers_command) return Samplers(connection, model, json);
  if (*info_command) return Info(connection, json);
  if (*top_command) return Top(admin, top);
  return Health(connection, health);
}

}  // namespace
}  // namespace stepcast::cli

int main(int argc, char** argv) { return stepcast::cli::Main(argc, argv); }
