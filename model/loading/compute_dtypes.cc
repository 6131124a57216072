#include "model/loading/compute_dtypes.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace stepcast::model {

c10::ScalarType ToScalarType(Dtype dtype) {
  switch (dtype) {
    case Dtype::kFp32:
      return c10::ScalarType::Float;
    case Dtype::kBf16:
      return c10::ScalarType::BFloat16;
    case Dtype::kFp16:
      return c10::ScalarType::Half;
    case Dtype::kAuto:
      break;
  }
  return c10::ScalarType::Undefined;
}

std::string DtypePartOf(const std::string& component) { return component == "vqvae" ? "vae" : component; }

ComputeDtypes::ComputeDtypes(const std::vector<ModelCard>& cards, c10::ScalarType fallback, AutoDtypes auto_dtypes)
    : cards_(cards), fallback_(fallback), auto_dtypes_(std::move(auto_dtypes)) {}

ComputeDtypes::Word ComputeDtypes::WordOn(const std::string& component) const {
  const std::string name = DtypePartOf(component);
  for (auto card = cards_.rbegin(); card != cards_.rend(); ++card) {
    const auto part = card->dtype.parts.find(name);
    if (part != card->dtype.parts.end()) return {ToScalarType(part->second), true, &*card};
    if (card->dtype.whole.has_value()) return {ToScalarType(*card->dtype.whole), false, &*card};
  }
  return {fallback_, false, nullptr};
}

c10::ScalarType ComputeDtypes::For(const std::string& component, Precision precision, c10::ScalarType stored) const {
  const Word word = WordOn(component);
  const bool is_auto = word.dtype == c10::ScalarType::Undefined;
  if (word.of_the_part && !is_auto) return word.dtype;
  if (precision == Precision::kFull) return c10::ScalarType::Float;
  if (precision == Precision::kNotHalf && (is_auto || word.dtype == c10::ScalarType::Half)) {
    return c10::ScalarType::Float;
  }
  if (!is_auto) return word.dtype;
  const bool fits = std::find(auto_dtypes_.begin(), auto_dtypes_.end(), stored) != auto_dtypes_.end();
  return fits ? stored : auto_dtypes_.front();
}

bool ComputeDtypes::CardOverrulesServer(const std::string& component) const {
  const Word word = WordOn(component);
  return fallback_ != c10::ScalarType::Undefined && word.source != nullptr && word.source == &cards_.front() &&
         word.dtype != fallback_;
}

absl::Status ComputeDtypes::CheckParts(const std::vector<std::string>& loaded) const {
  for (const ModelCard& card : cards_) {
    for (const auto& [part, dtype] : card.dtype.parts) {
      if (std::find(loaded.begin(), loaded.end(), part) != loaded.end()) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          card.source, ": dtype.", part, ": the model has no such part; allowed: ", absl::StrJoin(loaded, ", ")));
    }
  }
  return absl::OkStatus();
}

c10::ScalarType MostlyStoredAs(const WeightSet& set) {
  std::map<StoredType, uint64_t> bytes;
  for (const auto& [name, tensor] : set.tensors()) bytes[tensor.entry->type] += tensor.entry->end - tensor.entry->begin;
  c10::ScalarType most = c10::ScalarType::Undefined;
  uint64_t largest = 0;
  const std::pair<StoredType, c10::ScalarType> kFloating[] = {{StoredType::kF32, c10::ScalarType::Float},
                                                              {StoredType::kF16, c10::ScalarType::Half},
                                                              {StoredType::kBf16, c10::ScalarType::BFloat16},
                                                              {StoredType::kF64, c10::ScalarType::Double}};
  for (const auto& [stored, type] : kFloating) {
    if (bytes[stored] > largest) most = type;
    largest = std::max(largest, bytes[stored]);
  }
  return most;
}

}  // namespace stepcast::model
