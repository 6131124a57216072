#pragma once
// What the options of `stepcast generate` say about the request, applied once the request that they edit is known.

#include <functional>
#include <string>
#include <vector>

#include "stepcast/v1/image_generation.pb.h"

namespace stepcast::cli {

using Edit = std::function<void(stepcast::v1::GenerateRequest&)>;

class RequestEdits {
 public:
  void Add(Edit edit) { edits_.push_back(std::move(edit)); }

  // Room has to be made in a request from a file before any option is applied: `edit` may clear, and name in `cleared`
  // what it cleared.
  using MakeRoom = std::function<void(stepcast::v1::GenerateRequest&, std::vector<std::string>& cleared)>;
  void AddFirst(MakeRoom edit) { first_.push_back(std::move(edit)); }

  // Returns the names of the fields that gave way.
  std::vector<std::string> Apply(stepcast::v1::GenerateRequest& request) const {
    std::vector<std::string> cleared;
    for (const MakeRoom& edit : first_) edit(request, cleared);
    for (const Edit& edit : edits_) edit(request);
    return cleared;
  }

 private:
  std::vector<MakeRoom> first_;
  std::vector<Edit> edits_;
};

// Clears those of `fields` that are set, and adds their names to `cleared`.
void ClearFields(const std::vector<std::string>& fields, stepcast::v1::GenerateRequest& request,
                 std::vector<std::string>& cleared);

}  // namespace stepcast::cli
