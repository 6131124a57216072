#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/request/checks/request_checks.h"

namespace stepcast {
namespace {

constexpr int kMaxPixels = 65536;
constexpr double kMaxScore = 10.0;  // of the judges whose scores the models were trained with

// Reads one message, field by field.
class SizeFields {
 public:
  explicit SizeFields(FieldViolations& violations) : violations_(violations) {}

  // `value` where the field is set and right, else `otherwise`.
  int Pixels(absl::string_view field, std::optional<int> value, int min, int otherwise) {
    if (!value.has_value()) return otherwise;
    return violations_.CheckRange(Name(field), *value, min, kMaxPixels) ? *value : otherwise;
  }
  double Score(absl::string_view field, std::optional<double> value, double otherwise) {
    if (!value.has_value()) return otherwise;
    return violations_.CheckReal(Name(field), *value, 0.0, kMaxScore) ? *value : otherwise;
  }
  void Refuse(absl::string_view field, bool set, absl::string_view allowed) {
    if (set) violations_.Add(Name(field), "a value", allowed);
  }
  void Require(absl::string_view field, bool set, absl::string_view beside) {
    if (!set) violations_.Add(Name(field), "nothing", absl::StrCat("1..", kMaxPixels, ", beside ", Name(beside)));
  }

 private:
  static std::string Name(absl::string_view field) { return absl::StrCat("size_conditioning.", field); }

  FieldViolations& violations_;
};

template <typename T>
std::optional<T> IfSet(bool set, T value) {
  return set ? std::optional<T>(value) : std::nullopt;
}

// One of the numbers that go with the negative prompt.
struct NegativeField {
  absl::string_view name;
  bool set = false;
  int value = 0;
  int NegativeSizes::* place = nullptr;
  bool may_be_unset = false;  // and may be 0
};

std::array<NegativeField, 6> NegativeFields(const v1::SizeConditioning& wire) {
  return {{{"negative_original_width", wire.has_negative_original_width(), wire.negative_original_width(),
            &NegativeSizes::original_width},
           {"negative_original_height", wire.has_negative_original_height(), wire.negative_original_height(),
            &NegativeSizes::original_height},
           {"negative_target_width", wire.has_negative_target_width(), wire.negative_target_width(),
            &NegativeSizes::target_width},
           {"negative_target_height", wire.has_negative_target_height(), wire.negative_target_height(),
            &NegativeSizes::target_height},
           {"negative_crop_left", wire.has_negative_crop_left(), wire.negative_crop_left(), &NegativeSizes::crop_left,
            /*may_be_unset=*/true},
           {"negative_crop_top", wire.has_negative_crop_top(), wire.negative_crop_top(), &NegativeSizes::crop_top,
            /*may_be_unset=*/true}}};
}

// Sizes beside the negative prompt: all of them or none, as the pipelines take no notice of a part.
std::optional<NegativeSizes> ReadNegative(const v1::SizeConditioning& wire, SizeFields& fields) {
  const std::array<NegativeField, 6> all = NegativeFields(wire);
  const auto first = std::find_if(all.begin(), all.end(), [](const NegativeField& field) { return field.set; });
  if (first == all.end()) return std::nullopt;
  NegativeSizes sizes;
  for (const NegativeField& field : all) {
    if (!field.may_be_unset) fields.Require(field.name, field.set, first->name);
    sizes.*field.place =
        fields.Pixels(field.name, IfSet(field.set, field.value), /*min=*/field.may_be_unset ? 0 : 1, /*otherwise=*/0);
  }
  return sizes;
}

}  // namespace

void CheckSizeConditioning(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const SizeConditioning kind = context.info().size_conditioning;
  if (kind == SizeConditioning::kNone) {
    if (!context.wire.has_size_conditioning()) return;
    violations.Add("size_conditioning", "a message",
                   absl::StrCat("unset, because ", context.info().id, " is told of no sizes"));
    return;
  }
  const v1::SizeConditioning& wire = context.wire.size_conditioning();
  PictureSizes& sizes = resolved.sizes;
  SizeFields fields(violations);
  const auto pixels = [&](absl::string_view field, bool set, int value, int otherwise) {
    return fields.Pixels(field, IfSet(set, value), 1, otherwise);
  };
  sizes.original_width = pixels("original_width", wire.has_original_width(), wire.original_width(), resolved.width);
  sizes.original_height =
      pixels("original_height", wire.has_original_height(), wire.original_height(), resolved.height);
  sizes.crop_left = fields.Pixels("crop_left", IfSet(wire.has_crop_left(), wire.crop_left()), 0, 0);
  sizes.crop_top = fields.Pixels("crop_top", IfSet(wire.has_crop_top(), wire.crop_top()), 0, 0);
  if (kind == SizeConditioning::kTarget) {
    sizes.target_width = pixels("target_width", wire.has_target_width(), wire.target_width(), resolved.width);
    sizes.target_height = pixels("target_height", wire.has_target_height(), wire.target_height(), resolved.height);
    sizes.negative = ReadNegative(wire, fields);
    const std::string allowed = absl::StrCat("unset, because ", context.info().id, " is told of no score");
    fields.Refuse("aesthetic_score", wire.has_aesthetic_score(), allowed);
    fields.Refuse("negative_aesthetic_score", wire.has_negative_aesthetic_score(), allowed);
    return;
  }
  const std::string allowed = absl::StrCat("unset, because ", context.info().id, " is told a score in its place");
  fields.Refuse("target_width", wire.has_target_width(), allowed);
  fields.Refuse("target_height", wire.has_target_height(), allowed);
  for (const NegativeField& field : NegativeFields(wire)) fields.Refuse(field.name, field.set, allowed);
  sizes.aesthetic_score =
      fields.Score("aesthetic_score", IfSet(wire.has_aesthetic_score(), wire.aesthetic_score()), sizes.aesthetic_score);
  sizes.negative_aesthetic_score = fields.Score(
      "negative_aesthetic_score", IfSet(wire.has_negative_aesthetic_score(), wire.negative_aesthetic_score()),
      sizes.negative_aesthetic_score);
}

}  // namespace stepcast
