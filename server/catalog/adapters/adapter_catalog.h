#pragma once
// What can be put on top of models, read from folders: textual inversions.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "core/mutex.h"
#include "core/prompt_tokens.h"
#include "server/catalog/model_registry.h"
#include "text/prompt/prompt_encoding.h"

namespace stepcast {

// Looks at its folders again and again. A file that cannot be used is told of once, until it changes.
//
// Thread-safety: Refresh belongs to one thread; the others may be called from any.
class AdapterCatalog {
 public:
  using ReadInversion = std::function<absl::StatusOr<TextualInversion>(const std::string& path)>;
  using Tell = std::function<void(std::string_view line)>;

  // `embeddings_dir` "": none. `tell` hears what an operator should know; called on any thread.
  AdapterCatalog(std::string embeddings_dir, ReadInversion read, Tell tell);

  // Reads what is new or has changed, and forgets what has gone. Cheap when nothing has. Tells what goes with none of
  // `models`, and of each what it cannot read.
  void Refresh(const ModelRegistry& models);

  // Never null.
  std::shared_ptr<const ModelWords> WordsOf(const RegisteredModel& model) const;

  // By name.
  std::vector<std::shared_ptr<const TextualInversion>> inversions() const;

 private:
  struct Stamp {
    uint64_t size = 0;
    int64_t modified = 0;

    friend bool operator==(const Stamp&, const Stamp&) = default;
  };
  struct Entry {
    Stamp stamp;
    std::shared_ptr<const TextualInversion> file;  // null: cannot be used
  };
  struct Words {
    int64_t generation = -1;
    std::string model;  // sha256 of the model that they were made for
    std::shared_ptr<const ModelWords> words;
  };

  std::map<std::string, Stamp> Look() const;
  Entry Read(const std::string& path, const Stamp& stamp, const ModelRegistry& models) const;
  std::vector<std::shared_ptr<const TextualInversion>> Sorted() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ModelWords MakeWords(const RegisteredModel& model) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string embeddings_dir_;
  const ReadInversion read_;
  const Tell tell_;
  mutable Mutex mutex_;
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);  // by path
  int64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;
  mutable std::map<std::string, Words> words_ ABSL_GUARDED_BY(mutex_);  // by model id
};

// What a textual inversion is to a model: itself, or of a pair the one vector that a refiner reads. Null when it does
// not go with it: it is made for text encoders of other widths.
std::shared_ptr<const TextualInversion> FitTo(const std::shared_ptr<const TextualInversion>& file,
                                              const ModelInfo& model);

}  // namespace stepcast
