#pragma once
// The parts of models that are in memory, so that two models with the same text encoder hold it once.

#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <typeindex>
#include <utility>

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "core/mutex.h"
#include "model/weights/weight_map.h"
#include "model/weights/weight_set.h"
#include "nlohmann/json.hpp"

namespace stepcast::model {

// A part that several models may have, from what makes it of a WeightMap.
template <typename Make>
using PartOf = std::shared_ptr<
    const std::remove_const_t<typename decltype(std::declval<Make&>()(std::declval<WeightMap&>()))::element_type>>;

// Parts by what they are: digest, class, dtype and device. A part stays as long as some model has it and no longer.
// Digests are remembered by the identity of the files that they were read from, so that a model which comes back is not
// hashed again.
//
// Thread-safety: all methods may be called from any thread.
class ComponentCache {
 public:
  // The part under `key`; null when nobody holds one.
  std::shared_ptr<const void> Find(const std::string& key);
  // Makes `part` found. One that is there already and alive stays.
  void Insert(const std::string& key, const std::shared_ptr<const void>& part);

  // The SHA-256 of a part: of `settings` and of the name, type, shape and bytes of each tensor of `requested`.
  // REQUIRES: `set` has all of them. Errors: those of reading.
  absl::StatusOr<std::string> DigestOf(const std::string& settings, const WeightSet& set,
                                       const std::map<std::string, Shape>& requested);

 private:
  Mutex mutex_;
  std::map<std::string, std::weak_ptr<const void>> parts_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> digests_ ABSL_GUARDED_BY(mutex_);  // by what names the bytes without reading them
};

// Under which a part of that digest is kept. `types`: its class, and the base that it is held by, under which the
// pointer may be another one.
std::string PartKey(const std::string& digest, std::initializer_list<std::type_index> types, c10::ScalarType dtype,
                    c10::Device device);

// What of a config makes a network: without the bookkeeping of the programs that wrote it, keys in order.
std::string NetworkSettings(nlohmann::json config);

}  // namespace stepcast::model
