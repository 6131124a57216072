#pragma once
// Chooses what each part of one model computes in.

#include <string>
#include <vector>

#include <c10/core/ScalarType.h>

#include "absl/status/status.h"
#include "core/dtype.h"
#include "core/model_card.h"
#include "model/weights/weight_set.h"

namespace stepcast::model {

// What a part needs that nobody says anything of.
enum class Precision {
  kAny,
  kNotHalf,  // overflows in float16: `auto` and a float16 model leave it in float32
  kFull,     // float32, whatever the model computes in
};

// What `auto` comes to on a device, the best first: the type of the weights in the files where it is one of these,
// else the first. Not empty.
using AutoDtypes = std::vector<c10::ScalarType>;

// The words of all cards on one model. A later card wins, and in one card what is said of a part; a part that no card
// speaks of is as the server's default says.
class ComputeDtypes {
 public:
  // `fallback`: the server's default, Undefined for `auto`. `cards` must outlive this.
  ComputeDtypes(const std::vector<ModelCard>& cards, c10::ScalarType fallback, AutoDtypes auto_dtypes);

  // What `component` computes in. `stored`: of most of its weights; Undefined while that is not known.
  c10::ScalarType For(const std::string& component, Precision precision, c10::ScalarType stored) const;

  // Whether the card beside the model, not the operator, keeps `component` from the server's default.
  bool CardOverrulesServer(const std::string& component) const;

  // INVALID_ARGUMENT naming the card and a part that it speaks of and that is none of `loaded`.
  absl::Status CheckParts(const std::vector<std::string>& loaded) const;

 private:
  struct Word {
    c10::ScalarType dtype;    // Undefined: auto
    bool of_the_part;         // said of this part, not of the whole model
    const ModelCard* source;  // null: the server's default
  };
  Word WordOn(const std::string& component) const;

  const std::vector<ModelCard>& cards_;
  c10::ScalarType fallback_;
  AutoDtypes auto_dtypes_;
};

// What cards call a component: the decoder of an unconditional model is a vae, too.
std::string DtypePartOf(const std::string& component);

// The type in which most bytes of floating-point weights are stored; Undefined where there is none.
c10::ScalarType MostlyStoredAs(const WeightSet& set);

// Undefined for kAuto.
c10::ScalarType ToScalarType(Dtype dtype);

}  // namespace stepcast::model
