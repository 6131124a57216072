#pragma once
// Conditioning rows of forwards, kept because the same rows come back tick after tick.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "engine/job/embedding_cache.h"
#include "model/conditioner.h"

namespace stepcast::engine {

// Of one network, which prepares them once.
//
// Thread-safety: none.
class KeptConditioning {
 public:
  using Prepare = std::function<model::Conditioning(const model::Conditioning&)>;

  // What `rows` show, one after the other, and `padding` rows of zeros, as `prepare` makes it. Where their texts differ
  // in length, shorter ones are filled up with zeros, which a mask hides. `adapters`: of the network's rows; null:
  // none.
  const model::Conditioning& Of(const std::vector<const Embedding*>& rows, int64_t padding, const Prepare& prepare,
                                const std::shared_ptr<const model::RowAdapters>& adapters = nullptr);

  void Clear() { kept_.clear(); }

 private:
  struct Kept {
    std::vector<int64_t> embedding_ids;  // of the rows, in order
    model::Conditioning conditioning;    // with the adapters
  };

  void DropOld();

  std::list<Kept> kept_;  // most recent first
};

// `rows` and `padding` rows of zeros.
at::Tensor PadRows(const at::Tensor& rows, int64_t padding);

}  // namespace stepcast::engine
