#include "clients/cli/arguments/sampling_options.h"

#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "clients/cli/arguments/number.h"
#include "clients/cli/views/enum_names.h"

namespace stepcast::cli {
namespace {

namespace v1 = ::stepcast::v1;

constexpr char kClass[] = "Class-conditional models";
constexpr char kGuidance[] = "Guidance";
constexpr char kSdxl[] = "Stable Diffusion XL";
constexpr char kSampler[] = "Samplers (see `stepcast samplers`)";

using SetInt = void (*)(v1::GenerateRequest&, int);
using SetReal = void (*)(v1::GenerateRequest&, double);

CLI::Option* Int(CLI::App& app, RequestEdits& edits, const char* name, SetInt set, const char* help) {
  return AddInt(app, name, [&edits, set](int v) { edits.Add([set, v](v1::GenerateRequest& r) { set(r, v); }); }, help);
}

CLI::Option* Real(CLI::App& app, RequestEdits& edits, const char* name, SetReal set, const char* help) {
  return AddReal(
      app, name, [&edits, set](double v) { edits.Add([set, v](v1::GenerateRequest& r) { set(r, v); }); }, help);
}

void AddClass(CLI::App& app, RequestEdits& edits) {
  auto* label = app.add_option_function<std::string>(
      "--class-label",
      [&edits](const std::string& v) { edits.Add([v](v1::GenerateRequest& r) { r.set_class_label(v); }); },
      "Class to paint; see `stepcast models`");
  auto* index = Int(
      app, edits, "--class-index", [](v1::GenerateRequest& r, int v) { r.set_class_index(v); },
      "The same by its number");
  auto* scale = Real(
      app, edits, "--classifier-scale", [](v1::GenerateRequest& r, double v) { r.set_classifier_scale(v); },
      "Strength of classifier guidance, 0..100; needs a class");
  label->excludes(index);
  for (CLI::Option* option : {label, index, scale}) option->group(kClass);
}

using SetSize = void (v1::SizeConditioning::*)(int);
using SetScore = void (v1::SizeConditioning::*)(double);

void AddSdxl(CLI::App& app, RequestEdits& edits) {
  const auto text = [&](const char* name, void (*set)(v1::GenerateRequest&, const std::string&), const char* help) {
    app.add_option_function<std::string>(
           name, [&edits, set](const std::string& v) { edits.Add([set, v](v1::GenerateRequest& r) { set(r, v); }); },
           help)
        ->group(kSdxl);
  };
  text(
      "--prompt-2", [](v1::GenerateRequest& r, const std::string& v) { r.set_prompt_2(v); },
      "Prompt of the second text encoder; else the first one's");
  text(
      "--negative-2", [](v1::GenerateRequest& r, const std::string& v) { r.set_negative_prompt_2(v); },
      "What to avoid, of the second text encoder; beside --negative");
  const auto size = [&](const char* name, SetSize set, const char* help) {
    AddInt(
        app, name,
        [&edits, set](int v) {
          edits.Add([set, v](v1::GenerateRequest& r) { (r.mutable_size_conditioning()->*set)(v); });
        },
        help)
        ->group(kSdxl);
  };
  size("--original-width", &v1::SizeConditioning::set_original_width, "Told: width before cropping");
  size("--original-height", &v1::SizeConditioning::set_original_height, "Told: height before cropping");
  size("--crop-left", &v1::SizeConditioning::set_crop_left, "Told: pixels cut off on the left");
  size("--crop-top", &v1::SizeConditioning::set_crop_top, "Told: pixels cut off at the top");
  size("--target-width", &v1::SizeConditioning::set_target_width, "Told: width aimed at");
  size("--target-height", &v1::SizeConditioning::set_target_height, "Told: height aimed at");
  size("--negative-original-width", &v1::SizeConditioning::set_negative_original_width,
       "Told beside the negative prompt; with the three like it");
  size("--negative-original-height", &v1::SizeConditioning::set_negative_original_height, "Likewise");
  size("--negative-crop-left", &v1::SizeConditioning::set_negative_crop_left, "Likewise; else 0");
  size("--negative-crop-top", &v1::SizeConditioning::set_negative_crop_top, "Likewise; else 0");
  size("--negative-target-width", &v1::SizeConditioning::set_negative_target_width, "Likewise");
  size("--negative-target-height", &v1::SizeConditioning::set_negative_target_height, "Likewise");
  const auto score = [&](const char* name, SetScore set, const char* help) {
    AddReal(
        app, name,
        [&edits, set](double v) {
          edits.Add([set, v](v1::GenerateRequest& r) { (r.mutable_size_conditioning()->*set)(v); });
        },
        help)
        ->group(kSdxl);
  };
  score("--aesthetic-score", &v1::SizeConditioning::set_aesthetic_score, "Told to a refiner: how well liked, 0..10");
  score("--negative-aesthetic-score", &v1::SizeConditioning::set_negative_aesthetic_score,
        "The same beside the negative prompt");
}

void AddGuidance(CLI::App& app, RequestEdits& edits) {
  Real(
      app, edits, "--guidance", [](v1::GenerateRequest& r, double v) { r.set_guidance_scale(v); },
      "Guidance scale; <= 1 turns guidance off")
      ->group(kGuidance);
  Real(
      app, edits, "--guidance-rescale", [](v1::GenerateRequest& r, double v) { r.set_guidance_rescale(v); },
      "Towards the contrast of unguided pictures, 0..1")
      ->group(kGuidance);
  Real(
      app, edits, "--guidance-start", [](v1::GenerateRequest& r, double v) { r.set_guidance_start(v); },
      "Fraction of the steps at which it begins, 0..1")
      ->group(kGuidance);
  Real(
      app, edits, "--guidance-end", [](v1::GenerateRequest& r, double v) { r.set_guidance_end(v); },
      "Fraction of the steps at which it ends, 0..1")
      ->group(kGuidance);
}

// A list stands instead of `steps` and what spreads them.
void MakeRoomForList(v1::GenerateRequest& r, std::vector<std::string>& cleared) {
  ClearFields({"steps", "sigma_schedule", "timestep_spacing", "timesteps", "sigmas"}, r, cleared);
}

void AddLists(CLI::App& app, RequestEdits& edits) {
  const auto list = [&app, &edits](const char* name, auto field, const char* help) {
    CLI::Option* const option = AddReals(
        app, name,
        [&edits, field](const std::vector<double>& v) {
          edits.AddFirst(MakeRoomForList);
          edits.Add([field, v](v1::GenerateRequest& r) { (r.*field)()->Assign(v.begin(), v.end()); });
        },
        help);
    return option->group(kSampler);
  };
  using List = google::protobuf::RepeatedField<double>* (v1::GenerateRequest::*)();
  auto* timesteps = list("--timesteps", static_cast<List>(&v1::GenerateRequest::mutable_timesteps),
                         "Training timesteps instead of --steps, as 999,850,...");
  auto* sigmas = list("--sigmas", static_cast<List>(&v1::GenerateRequest::mutable_sigmas),
                      "Noise levels instead of --steps, the last one (0) ends the last step");
  timesteps->excludes(sigmas);
}

// An option that takes the name of an enum's value.
void AddEnum(CLI::App& app, RequestEdits& edits, const char* name, const google::protobuf::EnumDescriptor* descriptor,
             std::pair<void (*)(v1::GenerateRequest&, int), const char*> set_and_help) {
  app.add_option_function<std::string>(
         name,
         [&edits, descriptor, set = set_and_help.first](const std::string& v) {
           const int number = EnumNames(descriptor).at(LowerCase(v));
           edits.Add([set, number](v1::GenerateRequest& r) { set(r, number); });
         },
         set_and_help.second)
      ->check(CLI::IsMember(EnumNames(descriptor), CLI::ignore_case))
      ->group(kSampler);
}

void AddOptions(CLI::App& app, RequestEdits& edits) {
  const auto group = [](CLI::Option* option) { option->group(kSampler); };
  group(Real(
      app, edits, "--eta", [](v1::GenerateRequest& r, double v) { r.set_eta(v); },
      "Share of fresh noise, 0..1 (DDIM, TCD, SDE_VP)"));
  group(Int(
      app, edits, "--solver-order",
      [](v1::GenerateRequest& r, int v) { r.mutable_sampler_options()->set_solver_order(v); },
      "Order of a multistep method"));
  group(Real(
      app, edits, "--churn", [](v1::GenerateRequest& r, double v) { r.mutable_sampler_options()->set_churn(v); },
      "Noise added back at each step"));
  group(Real(
      app, edits, "--s-noise", [](v1::GenerateRequest& r, double v) { r.mutable_sampler_options()->set_s_noise(v); },
      "Scale of the noise of --churn"));
  group(Int(
      app, edits, "--original-steps",
      [](v1::GenerateRequest& r, int v) { r.mutable_sampler_options()->set_original_inference_steps(v); },
      "Steps of the schedule that a consistency model was distilled with"));
}

void AddLangevin(CLI::App& app, RequestEdits& edits) {
  const auto group = [](CLI::Option* option) { option->group(kSampler); };
  group(AddInt(
      app, "--langevin-levels",
      [&edits](int v) {
        // Each is a step.
        edits.AddFirst(
            [](v1::GenerateRequest& r, std::vector<std::string>& cleared) { ClearFields({"steps"}, r, cleared); });
        edits.Add([v](v1::GenerateRequest& r) { r.mutable_sampler_options()->mutable_langevin()->set_levels(v); });
      },
      "Noise levels of annealed Langevin dynamics"));
  group(Int(
      app, edits, "--langevin-steps",
      [](v1::GenerateRequest& r, int v) { r.mutable_sampler_options()->mutable_langevin()->set_inner_steps(v); },
      "Steps at each level"));
  group(Real(
      app, edits, "--langevin-epsilon",
      [](v1::GenerateRequest& r, double v) { r.mutable_sampler_options()->mutable_langevin()->set_epsilon(v); },
      "Step size at the last level"));
  group(app.add_option_function<bool>(
      "--langevin-final-denoise",
      [&edits](bool v) {
        edits.Add(
            [v](v1::GenerateRequest& r) { r.mutable_sampler_options()->mutable_langevin()->set_final_denoise(v); });
      },
      "true or false: whether the picture is the last estimate without its noise"));
}

}  // namespace

void AddSamplingOptions(CLI::App& app, RequestEdits& edits) {
  AddEnum(app, edits, "--sigma-schedule", v1::SigmaSchedule_descriptor(),
          {[](v1::GenerateRequest& r, int v) { r.set_sigma_schedule(static_cast<v1::SigmaSchedule>(v)); },
           "Noise schedule"});
  AddEnum(app, edits, "--timestep-spacing", v1::TimestepSpacing_descriptor(),
          {[](v1::GenerateRequest& r, int v) { r.set_timestep_spacing(static_cast<v1::TimestepSpacing>(v)); },
           "How timesteps are picked"});
  AddClass(app, edits);
  AddGuidance(app, edits);
  AddSdxl(app, edits);
  AddLists(app, edits);
  AddOptions(app, edits);
  AddLangevin(app, edits);
}

}  // namespace stepcast::cli
