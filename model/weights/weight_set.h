#pragma once
// The weight files of one component, open and indexed by tensor name.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/weights/safetensors.h"

namespace stepcast::model {

// How a component renames the tensors of older files. An empty result: the tensor is known and not wanted.
using NameRule = std::string (*)(absl::string_view name);

// A tensor of a file, or some of its rows, under another name.
struct TensorView {
  std::string name;
  int64_t first_row = 0;
  int64_t rows = -1;        // -1: all
  bool transposed = false;  // a matrix that is stored the other way round
};

// The names under which a component wants one tensor of a file; none: it does not.
using ViewRule = std::function<std::vector<TensorView>(const TensorEntry& entry)>;

// One tensor of a set. Both pointers live as long as the set.
struct StoredTensor {
  const TensorEntry* entry = nullptr;
  const SafetensorsFile* file = nullptr;
  bool transposed = false;  // entry->shape is that of the file, [b, a] for a wanted [a, b]
};

// Tensors of one safetensors file or of the shards that an index lists. Immutable once open; movable.
class WeightSet {
 public:
  // Looks in `folder` for `basename` ("model", "diffusion_pytorch_model") in each of `variants` ("" for the plain
  // one, "fp16", ...), the preferred one first: basename[.variant].safetensors, or a shard index in the present or the
  // older spelling. Where there is none of them, other variants ("ema", "non_ema") will do; an index whose shards are
  // not there is passed over when there is something else. Errors: NOT_FOUND when the folder holds no weights;
  // FAILED_PRECONDITION naming the conversion route when it holds only .bin, .ckpt, .pt or .msgpack files, or a git-lfs
  // pointer; INVALID_ARGUMENT for a malformed file or index.
  static absl::StatusOr<WeightSet> Open(const std::string& folder, const std::string& basename,
                                        const std::vector<std::string>& variants, NameRule rule);

  // What `views` takes from one file that several components share. `rule` renames further. REQUIRES: rows of a view
  // lie in its tensor. Errors: INVALID_ARGUMENT when two tensors get one name.
  static absl::StatusOr<WeightSet> OpenViews(std::shared_ptr<const SafetensorsFile> file, const ViewRule& views,
                                             NameRule rule);

  const StoredTensor* Find(absl::string_view name) const;
  const absl::flat_hash_map<std::string, StoredTensor>& tensors() const { return tensors_; }
  // The files read, index included.
  const std::vector<std::string>& paths() const { return paths_; }
  const std::string& folder() const { return folder_; }
  // The weight files among them.
  const std::vector<std::shared_ptr<const SafetensorsFile>>& files() const { return files_; }

 private:
  absl::Status AddFile(const std::string& path, NameRule rule);
  absl::Status AddShards(const std::string& path, NameRule rule);
  absl::Status AddTensor(std::string name, const StoredTensor& tensor);

  std::string folder_;
  std::vector<std::string> paths_;
  std::vector<std::shared_ptr<const SafetensorsFile>> files_;
  std::deque<TensorEntry> parts_;  // entries of views that are not whole tensors; a deque keeps them in place
  absl::flat_hash_map<std::string, StoredTensor> tensors_;
};

}  // namespace stepcast::model
