#include "model/single_file/prediction.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "model/single_file/unet_layout.h"

namespace stepcast::model {
namespace {

// Above it Stable Diffusion 2 predicts v: the population's standard deviation of one bias, which training for v leaves
// wider.
constexpr double kSpreadOfV = 0.09;

struct Found {
  PredictionType type;
  std::string source;
};

const char* NameOf(PredictionType type) {
  switch (type) {
    case PredictionType::kEpsilon:
      return "epsilon";
    case PredictionType::kVPrediction:
      return "v_prediction";
    case PredictionType::kSample:
      return "sample";
  }
  return "";
}

bool IsTrue(const std::optional<std::string>& value) {
  return value.has_value() && (absl::EqualsIgnoreCase(*value, "true") || *value == "1");
}
bool IsFalse(const std::optional<std::string>& value) {
  return value.has_value() && (absl::EqualsIgnoreCase(*value, "false") || *value == "0");
}

// "v-pred", "V_Pred", "v prediction" and the like in one word.
std::string Squeezed(absl::string_view text) {
  std::string word;
  for (const char c : text) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c))) word += absl::ascii_tolower(static_cast<unsigned char>(c));
  }
  return word;
}

std::optional<Found> FromMetadata(const TensorListing& tensors, std::vector<std::string>& warnings) {
  if (const std::optional<std::string> said = tensors.Metadata("modelspec.prediction_type")) {
    const std::string word = Squeezed(*said);
    const std::string source = absl::StrCat("the metadata modelspec.prediction_type '", said->substr(0, 40), "'");
    if (word == "v" || word == "vpred" || word == "vprediction") return Found{PredictionType::kVPrediction, source};
    if (word == "e" || word == "eps" || word == "epsilon") return Found{PredictionType::kEpsilon, source};
    warnings.push_back(absl::StrCat(source, " is not known and is passed over"));
  }
  const std::optional<std::string> trained = tensors.Metadata("ss_v_parameterization");
  if (IsTrue(trained)) return Found{PredictionType::kVPrediction, "the metadata ss_v_parameterization"};
  if (IsFalse(trained)) return Found{PredictionType::kEpsilon, "the metadata ss_v_parameterization"};
  return std::nullopt;
}

float FromHalf(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const auto mantissa = static_cast<float>(bits & 1023);
  const float sign = (bits & 0x8000) != 0 ? -1.0F : 1.0F;
  if (exponent == 31) return std::nanf("");
  return sign * (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(mantissa + 1024.0F, exponent - 25));
}

// The numbers of a small tensor; empty where it is of no floating type.
std::vector<double> Numbers(StoredType type, absl::string_view bytes) {
  std::vector<double> numbers;
  const auto each = [&]<typename Raw>(Raw raw, auto convert) {
    for (size_t at = 0; at + sizeof(Raw) <= bytes.size(); at += sizeof(Raw)) {
      std::memcpy(&raw, bytes.data() + at, sizeof(Raw));
      numbers.push_back(static_cast<double>(convert(raw)));
    }
  };
  if (type == StoredType::kF32) each(float{}, [](float x) { return x; });
  if (type == StoredType::kF64) each(double{}, [](double x) { return x; });
  if (type == StoredType::kF16) each(uint16_t{}, FromHalf);
  if (type == StoredType::kBf16) {
    each(uint16_t{}, [](uint16_t bits) {
      const uint32_t wide = uint32_t{bits} << 16;
      float value = 0;
      std::memcpy(&value, &wide, sizeof(value));
      return value;
    });
  }
  return numbers;
}

double Spread(const std::vector<double>& numbers) {
  double mean = 0;
  for (const double x : numbers) mean += x / static_cast<double>(numbers.size());
  double variance = 0;
  for (const double x : numbers) variance += (x - mean) * (x - mean) / static_cast<double>(numbers.size());
  return std::sqrt(variance);
}

// Of Stable Diffusion 2, which was published both ways without a word in the file.
std::optional<Found> FromSpread(const TensorListing& tensors, const PredictionEvidence& evidence,
                                std::vector<std::string>& warnings) {
  const int64_t last = tensors.Count(absl::StrCat(kUNetPrefix, "output_blocks.")) - 1;
  const std::string name = absl::StrCat(kUNetPrefix, "output_blocks.", last, ".1.transformer_blocks.0.norm1.bias");
  const TensorEntry* entry = tensors.Find(name);
  if (entry == nullptr || !evidence.bytes) return std::nullopt;
  const std::vector<double> numbers = Numbers(entry->type, evidence.bytes(*entry));
  if (numbers.empty()) return std::nullopt;
  const double spread = Spread(numbers);
  const PredictionType type = spread > kSpreadOfV ? PredictionType::kVPrediction : PredictionType::kEpsilon;
  warnings.push_back(absl::StrCat(
      "neither tensors nor metadata say what this Stable Diffusion 2 predicts; taken for ", NameOf(type),
      " by the spread of a bias. If its pictures are noise or grey, set prediction_type for this model in the ",
      "configuration or its card"));
  return Found{type, absl::StrCat("the spread ", spread, " of ", name, " (above ", kSpreadOfV, " means v)")};
}

std::optional<std::string> NameThatSuggestsV(const TensorListing& tensors, const PredictionEvidence& evidence) {
  for (const std::string& name : {evidence.name, tensors.Metadata("modelspec.title").value_or(""),
                                  tensors.Metadata("ss_output_name").value_or("")}) {
    if (absl::StrContains(Squeezed(name), "vpred")) return name;
  }
  return std::nullopt;
}

Found DetectType(const TensorListing& tensors, CheckpointFamily family, const PredictionEvidence& evidence,
                 std::vector<std::string>& warnings) {
  if (evidence.operators_prediction.has_value()) return {*evidence.operators_prediction, evidence.operators_source};
  if (tensors.Has("v_pred")) return {PredictionType::kVPrediction, "the tensor v_pred"};
  if (const std::optional<Found> found = FromMetadata(tensors, warnings)) return *found;
  if (family == CheckpointFamily::kStableDiffusion2) {
    if (const std::optional<Found> found = FromSpread(tensors, evidence, warnings)) return *found;
  }
  if (const std::optional<std::string> name = NameThatSuggestsV(tensors, evidence)) {
    warnings.push_back(absl::StrCat(
        "the name '", name->substr(0, 80), "' suggests v-prediction, but neither tensors nor metadata say so: ",
        "it paints with epsilon. If its pictures are noise or grey, set `prediction_type: v_prediction` (and ",
        "`zero_terminal_snr: true` where its author says so) for this model in the configuration or its card"));
  }
  return {PredictionType::kEpsilon, "no tensor or metadata says anything else"};
}

struct ZeroSnr {
  bool on;
  std::string source;
};

ZeroSnr DetectZeroSnr(const TensorListing& tensors, PredictionType type, const PredictionEvidence& evidence,
                      std::vector<std::string>& warnings) {
  if (evidence.operators_zero_terminal_snr.has_value()) {
    return {*evidence.operators_zero_terminal_snr, evidence.operators_source};
  }
  const bool marked = tensors.Has("ztsnr");
  if (!marked && !IsTrue(tensors.Metadata("ss_zero_terminal_snr"))) {
    return {false, "no tensor or metadata says anything else"};
  }
  const std::string source = marked ? "the tensor ztsnr" : "the metadata ss_zero_terminal_snr";
  if (type == PredictionType::kVPrediction) return {true, source};
  // From pure noise a prediction of the noise tells nothing.
  warnings.push_back(
      absl::StrCat(source, " asks for a schedule that ends in pure noise, which only v-prediction can start ",
                   "from; it is passed over. If the model predicts v, set `prediction_type: v_prediction`"));
  return {false, absl::StrCat(source, " is passed over: the model does not predict v")};
}

}  // namespace

Prediction DetectPrediction(const TensorListing& tensors, CheckpointFamily family, const PredictionEvidence& evidence) {
  Prediction prediction;
  const Found found = DetectType(tensors, family, evidence, prediction.warnings);
  prediction.type = found.type;
  const ZeroSnr zero = DetectZeroSnr(tensors, found.type, evidence, prediction.warnings);
  prediction.zero_terminal_snr = zero.on;
  prediction.decisions = {{"prediction_type", NameOf(found.type), found.source},
                          {"zero_terminal_snr", zero.on ? "true" : "false", zero.source}};
  return prediction;
}

}  // namespace stepcast::model
