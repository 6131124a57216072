#include "server/request/pictures/picture_parameters.h"

#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "codec/files/exif.h"
#include "core/sampling_types.h"
#include "core/shortest_number.h"
#include "core/string_view.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/wrappers.pb.h"
#include "server/request/errors/field_violations.h"
#include "server/request/request_validator.h"
#include "server/wire/version.h"

namespace stepcast {
namespace {

constexpr size_t kHashDigits = 10;  // of A1111's "Model hash"

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  (void)google::protobuf::util::MessageToJsonString(message, &json, options);  // fails for no message that was parsed
  return json;
}

std::string QuotedAsJson(const std::string& text) {
  google::protobuf::StringValue value;
  value.set_value(text);
  return ToJson(value);
}

// As A1111 spells what it has; other samplers keep their own names.
std::string_view InfotextName(Sampler sampler) {
  switch (sampler) {
    case Sampler::kPndm:
      return "PLMS";
    case Sampler::kEuler:
      return "Euler";
    case Sampler::kEulerAncestral:
      return "Euler a";
    case Sampler::kHeun:
      return "Heun";
    case Sampler::kDpm2Ancestral:
      return "DPM2 a";
    case Sampler::kDpmpp2m:
      return "DPM++ 2M";
    case Sampler::kDpmpp2mSde:
      return "DPM++ 2M SDE";
    case Sampler::kDpmpp3m:
      return "DPM++ 3M";
    case Sampler::kDpmppSinglestep:
      return "DPM++ 2S";
    case Sampler::kUnipc:
      return "UniPC";
    default:
      return SamplerName(sampler);
  }
}

std::string_view InfotextName(SigmaSchedule schedule) {
  switch (schedule) {
    case SigmaSchedule::kDefault:
      return "Automatic";
    case SigmaSchedule::kKarras:
      return "Karras";
    case SigmaSchedule::kExponential:
      return "Exponential";
    case SigmaSchedule::kBeta:
      return "Beta";
    case SigmaSchedule::kLu:
      return "Lu";
  }
  return SigmaScheduleName(schedule);
}

// The line "Steps: 20, Sampler: ..." as it grows.
class Settings {
 public:
  void Add(std::string_view key, const std::string& value) {
    const bool plain = value.find_first_of(",:\n\"") == std::string::npos;
    absl::StrAppend(&line_, line_.empty() ? "" : ", ", ToAbsl(key), ": ", plain ? value : QuotedAsJson(value));
  }
  void Add(std::string_view key, std::string_view value) { Add(key, std::string(value)); }
  void Add(std::string_view key, int64_t value) { Add(key, absl::StrCat(value)); }
  void AddReal(std::string_view key, double value) { Add(key, ShortestNumber(value)); }
  void AddFlag(std::string_view key, bool value) { Add(key, std::string_view(value ? "True" : "False")); }
  void AddList(std::string_view key, const google::protobuf::RepeatedField<double>& values) {
    std::string list;
    for (const double value : values) absl::StrAppend(&list, list.empty() ? "" : ", ", ShortestNumber(value));
    if (!list.empty()) Add(key, list);
  }
  const std::string& line() const { return line_; }

 private:
  std::string line_;
};

// What A1111 has too, in its order and words.
void AddCommon(const GenerationRequest& request, const v1::GenerateRequest& wire, Settings& settings) {
  settings.Add("Steps", wire.steps());
  settings.Add("Sampler", InfotextName(request.sampler));
  if (wire.sigma_schedule() != v1::SIGMA_SCHEDULE_UNSPECIFIED) {
    settings.Add("Schedule type", InfotextName(request.sigma_schedule));
  }
  if (wire.has_guidance_scale()) settings.AddReal("CFG scale", wire.guidance_scale());
  settings.Add("Seed", wire.seed());
  settings.Add("Size", absl::StrCat(wire.width(), "x", wire.height()));
  if (!request.model->sha256.empty()) settings.Add("Model hash", request.model->sha256.substr(0, kHashDigits));
  settings.Add("Model", request.model->id);
  if (wire.has_strength()) settings.AddReal("Denoising strength", wire.strength());
  // It counts from 1, the last layer, and leaves that out.
  if (wire.clip_skip() > 0) settings.Add("Clip skip", wire.clip_skip() + 1);
  if (wire.has_eta()) settings.AddReal(request.sampler == Sampler::kDdim ? "Eta DDIM" : "Eta", wire.eta());
  const v1::SamplerOptions& options = wire.sampler_options();
  if (options.has_churn()) settings.AddReal("Sigma churn", options.churn());
  if (options.has_s_noise()) settings.AddReal("Sigma noise", options.s_noise());
}

// What a picture that came with the request was used for.
void AddPictures(const v1::GenerateRequest& wire, Settings& settings) {
  if (wire.inpaint().has_blur()) settings.AddReal("Mask blur", wire.inpaint().blur());
  if (wire.inpaint().only_masked()) {
    settings.Add("Inpaint area", std::string_view("Only masked"));
    settings.Add("Masked area padding", wire.inpaint().padding());
  }
  if (wire.inpaint().invert()) settings.Add("Mask mode", std::string_view("Inpaint not masked"));
  if (wire.has_image_guidance_scale()) settings.AddReal("Image CFG scale", wire.image_guidance_scale());
  if (wire.invert()) settings.AddFlag("DDIM inversion", true);
  for (int i = 0; i < wire.control_size(); ++i) {
    const v1::ControlInput& control = wire.control(i);
    settings.Add(std::string("ControlNet ") + absl::StrCat(i),
                 absl::StrCat("Model: ", control.model(), ", Weight: ", ShortestNumber(control.scale()),
                              ", Guidance Start: ", ShortestNumber(control.start()),
                              ", Guidance End: ", ShortestNumber(control.end())));
  }
}

// What a model was told beside the prompt.
void AddSizes(const v1::SizeConditioning& told, Settings& settings) {
  const auto pair = [&](std::string_view key, int first, std::string_view between, int second) {
    settings.Add(key, absl::StrCat(first, ToAbsl(between), second));
  };
  if (told.has_original_width()) pair("Original size", told.original_width(), "x", told.original_height());
  if (told.has_crop_left()) pair("Crop", told.crop_left(), "/", told.crop_top());
  if (told.has_target_width()) pair("Target size", told.target_width(), "x", told.target_height());
  if (told.has_negative_original_width()) {
    pair("Negative original size", told.negative_original_width(), "x", told.negative_original_height());
    pair("Negative crop", told.negative_crop_left(), "/", told.negative_crop_top());
    pair("Negative target size", told.negative_target_width(), "x", told.negative_target_height());
  }
  if (told.has_aesthetic_score()) settings.AddReal("Aesthetic score", told.aesthetic_score());
  if (told.has_negative_aesthetic_score()) {
    settings.AddReal("Negative aesthetic score", told.negative_aesthetic_score());
  }
}

void AddOwn(const GenerationRequest& request, const v1::GenerateRequest& wire, Settings& settings) {
  AddPictures(wire, settings);
  for (int i = 0; i < wire.loras_size(); ++i) {
    const v1::LoraInput& lora = wire.loras(i);
    settings.Add(absl::StrCat("LoRA ", i), absl::StrCat(lora.name(), ":", ShortestNumber(lora.scale())));
  }
  if (wire.has_guidance_rescale()) settings.AddReal("Guidance rescale", wire.guidance_rescale());
  if (wire.has_guidance_start()) settings.AddReal("Guidance start", wire.guidance_start());
  if (wire.has_guidance_end()) settings.AddReal("Guidance end", wire.guidance_end());
  if (wire.has_class_index()) {
    settings.Add("Class", wire.class_index());
    const auto label = request.model->class_labels.find(wire.class_index());
    if (label != request.model->class_labels.end()) settings.Add("Class label", label->second);
  }
  if (wire.has_prompt_2()) settings.Add("Prompt 2", wire.prompt_2());
  if (wire.has_negative_prompt_2()) settings.Add("Negative prompt 2", wire.negative_prompt_2());
  AddSizes(wire.size_conditioning(), settings);
  if (wire.has_classifier_scale()) settings.AddReal("Classifier scale", wire.classifier_scale());
  if (wire.timestep_spacing() != v1::TIMESTEP_SPACING_UNSPECIFIED) {
    const std::string_view prefix = "TIMESTEP_SPACING_";
    settings.Add("Timestep spacing",
                 absl::AsciiStrToLower(v1::TimestepSpacing_Name(wire.timestep_spacing()).substr(prefix.size())));
  }
  settings.AddList("Timesteps", wire.timesteps());
  settings.AddList("Sigmas", wire.sigmas());
  const v1::SamplerOptions& options = wire.sampler_options();
  if (options.has_solver_order()) settings.Add("Solver order", options.solver_order());
  if (options.has_original_inference_steps()) settings.Add("Original steps", options.original_inference_steps());
  const v1::LangevinOptions& langevin = options.langevin();
  if (langevin.has_levels()) settings.Add("Langevin levels", langevin.levels());
  if (langevin.has_inner_steps()) settings.Add("Langevin steps", langevin.inner_steps());
  if (langevin.has_epsilon()) settings.AddReal("Langevin epsilon", langevin.epsilon());
  if (langevin.has_final_denoise()) settings.AddFlag("Langevin final denoise", langevin.final_denoise());
  if (wire.output().has_quality()) settings.Add("Quality", wire.output().quality());
  settings.Add("Version", absl::StrCat("stepcast ", ToAbsl(kVersion)));
}

}  // namespace

std::string PictureParameters::Joined() const {
  return absl::StrCat(infotext, ", Stepcast request: ", QuotedAsJson(request_json));
}

PictureParameters ParametersOf(const GenerationRequest& request, int image_index) {
  v1::GenerateRequest wire = ToEffectiveRequest(request);
  wire.set_seed(request.seed + image_index);
  wire.set_image_count(1);
  wire.clear_preview();
  Settings settings;
  AddCommon(request, wire, settings);
  AddOwn(request, wire, settings);
  PictureParameters parameters;
  if (!request.prompt.empty()) absl::StrAppend(&parameters.infotext, request.prompt, "\n");
  if (!request.negative_prompt.empty()) {
    absl::StrAppend(&parameters.infotext, "Negative prompt: ", request.negative_prompt, "\n");
  }
  absl::StrAppend(&parameters.infotext, settings.line());
  parameters.request_json = ToJson(wire);
  return parameters;
}

absl::Status CheckParametersFit(const GenerationRequest& request) {
  if (!request.output.embed_parameters || request.output.format != ImageFormat::kJpeg) return absl::OkStatus();
  // The last picture's seed has the most digits.
  const absl::StatusOr<std::string> exif = ExifWithComment(ParametersOf(request, request.image_count - 1).Joined());
  if (exif.ok() && exif->size() <= kMaxJpegExifBytes) return absl::OkStatus();
  FieldViolations violations;
  violations.Add("output.embed_parameters",
                 absl::StrCat("true, which needs ", exif.ok() ? exif->size() : 0, " bytes with this prompt"),
                 absl::StrCat("at most ", kMaxJpegExifBytes, " bytes in a JPEG; PNG and WebP hold more"));
  return violations.ToStatus();
}

int64_t ParametersBytes(const GenerationRequest& request) {
  if (!request.output.embed_parameters) return 0;
  // Twice, because EXIF's UTF-16 takes two bytes for what is one in UTF-8.
  const PictureParameters parameters = ParametersOf(request, request.image_count - 1);
  return 2 * static_cast<int64_t>(parameters.Joined().size());
}

}  // namespace stepcast
