#pragma once
// What the benchmarks of the engine share: the bundled model, loaded, and pictures to ask of it.

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/model_info.h"
#include "engine/start/engine_factory.h"
#include "scheduler/words/event_sink.h"
#include "scheduler/words/job.h"
#include "text/tokenizer/clip_tokenizer.h"

namespace stepcast {

// The value, or the end of the program with its error.
template <typename T>
T Require(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::cerr << value.status() << "\n";
    std::exit(1);
  }
  return *std::move(value);
}

// `name`, or the end of the program; said so that it wins over a model's card.
DtypeWish DtypeNamed(const std::string& name);

// Middle of the values; REQUIRES: not empty.
double Median(std::vector<double> values);

struct BenchPicture {
  int index = 0;  // seed, and which of two prompts
  double guidance = 2.5;
  int steps = 20;
  int preview_every = 0;
};

// Makes jobs for one loaded text model.
class PictureMaker {
 public:
  explicit PictureMaker(SharedModelInfo model);

  // DDIM in the model's default size, arriving now.
  std::vector<JobSpec> Specs(const BenchPicture& picture, std::shared_ptr<EventSink> sink) const;

  const SharedModelInfo& model() const { return model_; }

 private:
  SharedModelInfo model_;
  std::unique_ptr<const ClipTokenizer> tokenizer_;
};

}  // namespace stepcast
