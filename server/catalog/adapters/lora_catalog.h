#pragma once
// The LoRAs of the server, read from folders.

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
#include "core/lora_info.h"
#include "core/mutex.h"

namespace stepcast {

// Looks at its folders again and again. A file that cannot be used is told of once, until it changes. Of two with one
// name the one in the first folder counts.
//
// Thread-safety: Refresh belongs to one thread; the others may be called from any.
class LoraCatalog {
 public:
  using Tell = std::function<void(std::string_view line)>;

  // No `folders`: none. `tell` hears what an operator should know; called on any thread.
  LoraCatalog(std::vector<std::string> folders, Tell tell) : folders_(std::move(folders)), tell_(std::move(tell)) {}

  // From now on LoRAs are read by `host`, which must outlive the catalogue. REQUIRES: called before the others, or
  // never.
  void Serve(const LoraHost* host) { host_ = host; }

  // Reads what is new or has changed, and forgets what has gone. Cheap when nothing has.
  void Refresh();

  // By name.
  std::vector<SharedLoraInfo> loras() const;
  // Null: there is none.
  SharedLoraInfo Find(std::string_view name) const;
  // Whether `lora` goes with `model`, as LoraHost::Fit; asked once. REQUIRES: `lora` is from here.
  absl::StatusOr<LoraFit> Fit(const SharedLoraInfo& lora, const SharedModelInfo& model) const;
  // Names of those that go with `model`, by name: "a, b"; of many the first.
  std::string NamesFor(const SharedModelInfo& model) const;

 private:
  // Of a file and its card.
  struct Stamp {
    std::string path;
    std::vector<int64_t> parts;  // sizes and times

    friend bool operator==(const Stamp&, const Stamp&) = default;
  };
  struct Entry {
    Stamp stamp;
    SharedLoraInfo lora;  // null: cannot be used
  };

  std::map<std::string, Stamp> Look() const;

  const std::vector<std::string> folders_;
  const Tell tell_;
  const LoraHost* host_ = nullptr;
  mutable Mutex mutex_;
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);  // by name
  // By LoRA and model; both are kept alive, so that an address stays theirs.
  using Pair = std::pair<SharedLoraInfo, SharedModelInfo>;
  mutable std::map<Pair, absl::StatusOr<LoraFit>> fits_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace stepcast
