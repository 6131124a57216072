#include "scheduler/recording/recording_text.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "core/status_macros.h"
#include "core/string_view.h"

namespace stepcast::recording {
namespace {

absl::Duration Tick() { return absl::Nanoseconds(1) / 4; }

absl::Status Bad(std::string_view word, absl::string_view allowed) {
  return absl::InvalidArgumentError(absl::StrCat("'", ToAbsl(word.substr(0, 40)), "' is no ", allowed));
}

// --- Values of request settings: one pair of functions per type ---

void Append(std::string& line, int value) { absl::StrAppend(&line, value); }
void Append(std::string& line, bool value) { absl::StrAppend(&line, value ? 1 : 0); }
void Append(std::string& line, double value) { absl::StrAppendFormat(&line, "%.17g", value); }
void Append(std::string& line, const std::string& value) { AppendWord(line, value); }
void Append(std::string& line, Sampler value) { absl::StrAppend(&line, ToAbsl(SamplerName(value))); }
void Append(std::string& line, SigmaSchedule value) { Append(line, static_cast<int>(value)); }
void Append(std::string& line, TimestepSpacing value) { Append(line, static_cast<int>(value)); }
void Append(std::string& line, Priority value) { Append(line, static_cast<int>(value)); }
void Append(std::string& line, const std::vector<double>& values) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) line += ',';
    Append(line, values[i]);
  }
}
template <typename T>
void Append(std::string& line, const std::optional<T>& value) {
  if (value.has_value()) Append(line, *value);
}

absl::Status Parse(std::string_view word, int& value) {
  STEPCAST_ASSIGN_OR_RETURN(const int64_t number, ParseInt(word, 0, 1 << 30));
  value = static_cast<int>(number);
  return absl::OkStatus();
}
absl::Status Parse(std::string_view word, bool& value) {
  STEPCAST_ASSIGN_OR_RETURN(const int64_t number, ParseInt(word, 0, 1));
  value = number == 1;
  return absl::OkStatus();
}
absl::Status Parse(std::string_view word, double& value) {
  STEPCAST_ASSIGN_OR_RETURN(value, ParseDouble(word));
  return absl::OkStatus();
}
absl::Status Parse(std::string_view word, std::string& value) {
  STEPCAST_ASSIGN_OR_RETURN(value, ParseWord(word));
  return absl::OkStatus();
}
absl::Status Parse(std::string_view word, Sampler& value) {
  const std::optional<Sampler> sampler = SamplerFromName(word);
  if (!sampler.has_value()) return Bad(word, "sampler");
  value = *sampler;
  return absl::OkStatus();
}
template <typename Enum>
absl::Status ParseEnum(std::string_view word, Enum last, Enum& value) {
  STEPCAST_ASSIGN_OR_RETURN(const int64_t number, ParseInt(word, 0, static_cast<int64_t>(last)));
  value = static_cast<Enum>(number);
  return absl::OkStatus();
}
absl::Status Parse(std::string_view word, SigmaSchedule& value) { return ParseEnum(word, SigmaSchedule::kLu, value); }
absl::Status Parse(std::string_view word, TimestepSpacing& value) {
  return ParseEnum(word, TimestepSpacing::kTrailing, value);
}
absl::Status Parse(std::string_view word, Priority& value) { return ParseEnum(word, Priority::kBatch, value); }
absl::Status Parse(std::string_view word, std::vector<double>& values) {
  for (const absl::string_view part : absl::StrSplit(ToAbsl(word), ',')) {
    STEPCAST_ASSIGN_OR_RETURN(const double value, ParseDouble(ToStd(part)));
    values.push_back(value);
  }
  return absl::OkStatus();
}
template <typename T>
absl::Status Parse(std::string_view word, std::optional<T>& value) {
  return Parse(word, value.emplace());
}

// Of the model, where its previews have a price.
constexpr char kNetwork[] = "network";

// What a scheduler may look at in a request. `see(name, get)`: get(request) is the field.
template <typename See>
void ForEachField(See see) {
  see("width", [](auto& r) -> auto& { return r.width; });
  see("height", [](auto& r) -> auto& { return r.height; });
  see("steps", [](auto& r) -> auto& { return r.steps; });
  see("sampler", [](auto& r) -> auto& { return r.sampler; });
  see("schedule", [](auto& r) -> auto& { return r.sigma_schedule; });
  see("spacing", [](auto& r) -> auto& { return r.timestep_spacing; });
  see("guidance", [](auto& r) -> auto& { return r.guidance_scale; });
  see("rescale", [](auto& r) -> auto& { return r.guidance_rescale; });
  see("from", [](auto& r) -> auto& { return r.guidance_start; });
  see("to", [](auto& r) -> auto& { return r.guidance_end; });
  see("eta", [](auto& r) -> auto& { return r.eta; });
  see("order", [](auto& r) -> auto& { return r.sampler_options.solver_order; });
  see("churn", [](auto& r) -> auto& { return r.sampler_options.churn; });
  see("s_noise", [](auto& r) -> auto& { return r.sampler_options.s_noise; });
  see("original", [](auto& r) -> auto& { return r.sampler_options.original_inference_steps; });
  see("levels", [](auto& r) -> auto& { return r.sampler_options.langevin.levels; });
  see("inner", [](auto& r) -> auto& { return r.sampler_options.langevin.inner_steps; });
  see("epsilon", [](auto& r) -> auto& { return r.sampler_options.langevin.epsilon; });
  see("final", [](auto& r) -> auto& { return r.sampler_options.langevin.final_denoise; });
  see("timesteps", [](auto& r) -> auto& { return r.timesteps; });
  see("sigmas", [](auto& r) -> auto& { return r.sigmas; });
  see("classifier", [](auto& r) -> auto& { return r.classifier_scale; });
  see("images", [](auto& r) -> auto& { return r.image_count; });
  see("priority", [](auto& r) -> auto& { return r.priority; });
  see("tenant", [](auto& r) -> auto& { return r.tenant; });
  see("preview", [](auto& r) -> auto& { return r.preview.every_n_steps; });
}

}  // namespace

void AppendDuration(std::string& line, absl::Duration value) {
  if (value == absl::InfiniteDuration()) {
    line += "inf";
  } else if (value == -absl::InfiniteDuration()) {
    line += "-inf";
  } else {
    absl::Duration rest;
    const int64_t nanoseconds = absl::IDivDuration(absl::AbsDuration(value), absl::Nanoseconds(1), &rest);
    if (value < absl::ZeroDuration()) line += '-';
    absl::StrAppend(&line, nanoseconds);
    constexpr const char* kFractions[] = {"", ".25", ".5", ".75"};
    line += kFractions[rest / Tick() < 4 ? static_cast<int>(rest / Tick()) : 0];
  }
}

void AppendWord(std::string& line, std::string_view word) {
  if (word.empty()) line += "%";
  for (const char c : word) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte == '%' || byte == 0x7f) {
      absl::StrAppendFormat(&line, "%%%02X", byte);
    } else {
      line += c;
    }
  }
}

void AppendJobs(std::string& line, const std::vector<JobId>& jobs) {
  for (size_t i = 0; i < jobs.size(); ++i) {
    const int64_t value = i == 0 ? jobs[0].value : jobs[i].value - jobs[i - 1].value;
    if (i > 0 && value >= 0) line += '+';
    absl::StrAppend(&line, value);
  }
}

void AppendPoints(std::string& line, absl::Span<const CostPoint> points) {
  for (const CostPoint& point : points) {
    absl::StrAppend(&line, " ", point.rows, ":");
    AppendDuration(line, point.cost);
  }
}

void AppendKey(std::string& line, const BatchKey& key) {
  absl::StrAppend(&line, ToAbsl(PhaseName(key.phase)), " ");
  AppendWord(line, key.model);
  absl::StrAppend(&line, " ", key.latent_height, " ", key.latent_width);
}

void AppendSettings(std::string& line, const GenerationRequest& request) {
  line += "model=";
  AppendWord(line, request.model->id);
  absl::StrAppend(&line, " scale=", request.model->vae_scale_factor);
  if (request.model->decoding.preview == PreviewKind::kNetwork) absl::StrAppend(&line, " previews=", kNetwork);
  static const GenerationRequest& defaults = *new GenerationRequest;
  ForEachField([&](const char* name, auto get) {
    if (get(request) == get(defaults)) return;
    absl::StrAppend(&line, " ", name, "=");
    Append(line, get(request));
  });
}

absl::StatusOr<int64_t> ParseInt(std::string_view word, int64_t low, int64_t high) {
  int64_t value = 0;
  if (!absl::SimpleAtoi(ToAbsl(word), &value) || value < low || value > high) {
    return Bad(word, absl::StrCat("whole number in ", low, "..", high));
  }
  return value;
}

absl::StatusOr<double> ParseDouble(std::string_view word) {
  double value = 0;
  if (!absl::SimpleAtod(ToAbsl(word), &value) || !std::isfinite(value)) return Bad(word, "finite number");
  return value;
}

absl::StatusOr<absl::Duration> ParseDuration(std::string_view word) {
  if (word == "inf") return absl::InfiniteDuration();
  if (word == "-inf") return -absl::InfiniteDuration();
  const bool negative = !word.empty() && word.front() == '-';
  const std::string_view size = negative ? word.substr(1) : word;
  const size_t dot = size.find('.');
  const auto whole = ParseInt(size.substr(0, dot), 0, std::numeric_limits<int64_t>::max());
  if (!whole.ok()) return Bad(word, "number of nanoseconds");
  absl::Duration value = absl::Nanoseconds(*whole);
  if (dot != std::string_view::npos) {
    const std::string_view fraction = size.substr(dot);
    if (fraction != ".25" && fraction != ".5" && fraction != ".75") return Bad(word, "number of nanoseconds");
    value += (fraction == ".25" ? 1 : fraction == ".5" ? 2 : 3) * Tick();
  }
  return negative ? -value : value;
}

absl::StatusOr<std::string> ParseWord(std::string_view word) {
  if (word == "%") return std::string();
  std::string text;
  for (size_t i = 0; i < word.size(); ++i) {
    if (word[i] != '%') {
      text += word[i];
      continue;
    }
    int byte = 0;
    if (i + 2 >= word.size() || !absl::SimpleHexAtoi(ToAbsl(word.substr(i + 1, 2)), &byte)) return Bad(word, "word");
    text += static_cast<char>(byte);
    i += 2;
  }
  return text;
}

absl::StatusOr<std::vector<JobId>> ParseJobs(std::string_view word) {
  std::vector<JobId> jobs;
  for (size_t i = 0; i < word.size();) {
    const size_t end = std::min(word.find_first_of("+-", i + 1), word.size());
    const std::string_view part = word.substr(i, end - i);
    if (!jobs.empty() && part.front() != '+' && part.front() != '-') return Bad(word, "list of jobs");
    constexpr int64_t kMost = int64_t{1} << 60;
    const auto value = ParseInt(part.front() == '+' ? part.substr(1) : part, -kMost, kMost);
    if (!value.ok()) return Bad(word, "list of jobs");
    const int64_t before = jobs.empty() ? 0 : jobs.back().value;
    if (before + *value < 1 || before + *value > kMost) return Bad(word, "list of jobs");
    jobs.push_back(JobId{before + *value});
    i = end;
  }
  if (jobs.empty()) return Bad(word, "list of jobs");
  return jobs;
}

absl::StatusOr<CostPoint> ParsePoint(std::string_view word) {
  const size_t colon = word.find(':');
  if (colon == std::string_view::npos) return Bad(word, "<rows>:<cost>");
  CostPoint point;
  STEPCAST_ASSIGN_OR_RETURN(const int64_t rows, ParseInt(word.substr(0, colon), 1, 1 << 20));
  point.rows = static_cast<int>(rows);
  STEPCAST_ASSIGN_OR_RETURN(point.cost, ParseDuration(word.substr(colon + 1)));
  return point;
}

absl::StatusOr<BatchKey> ParseKey(const std::vector<std::string_view>& words, size_t first) {
  if (words.size() < first + 4) return absl::InvalidArgumentError("a key is <phase> <model> <height> <width>");
  BatchKey key;
  bool known = false;
  for (const Phase phase : kPhases) {
    if (words[first] != PhaseName(phase)) continue;
    key.phase = phase;
    known = true;
  }
  if (!known) return Bad(words[first], "phase: encode, encode_picture, denoise, preview, decode, upscale");
  STEPCAST_ASSIGN_OR_RETURN(key.model, ParseWord(words[first + 1]));
  STEPCAST_ASSIGN_OR_RETURN(const int64_t height, ParseInt(words[first + 2], 0, 1 << 20));
  STEPCAST_ASSIGN_OR_RETURN(const int64_t width, ParseInt(words[first + 3], 0, 1 << 20));
  key.latent_height = static_cast<int>(height);
  key.latent_width = static_cast<int>(width);
  return key;
}

absl::StatusOr<SharedRequest> ParseSettings(const std::vector<std::string_view>& words, size_t first) {
  auto request = std::make_shared<GenerationRequest>();
  auto model = std::make_shared<ModelInfo>();
  for (size_t i = first; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    if (equals == std::string_view::npos) return Bad(words[i], "<field>=<value>");
    const std::string_view name = words[i].substr(0, equals), value = words[i].substr(equals + 1);
    bool known = name == "model" || name == "scale" || name == "previews";
    absl::Status status;
    if (name == "model") status = Parse(value, model->id);
    if (name == "scale") status = Parse(value, model->vae_scale_factor);
    if (name == "previews") {
      if (value != kNetwork) return Bad(value, "maker of previews: network");
      model->decoding.preview = PreviewKind::kNetwork;
    }
    ForEachField([&](const char* field, auto get) {
      if (name != field) return;
      known = true;
      status = Parse(value, get(*request));
    });
    if (!known) return Bad(name, "field of a request");
    if (!status.ok()) return absl::InvalidArgumentError(absl::StrCat(ToAbsl(name), ": ", status.message()));
  }
  if (model->vae_scale_factor < 1) return absl::InvalidArgumentError("scale: must be at least 1");
  request->model = std::move(model);
  return request;
}

uint64_t Hash(uint64_t hash, std::string_view bytes) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

}  // namespace stepcast::recording
