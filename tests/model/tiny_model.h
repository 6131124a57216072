#pragma once
// Small models on disk, loaded or refused.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "model/model_bundle.h"

namespace stepcast::model {

inline absl::StatusOr<std::shared_ptr<const ModelBundle>> LoadTiny(const std::string& folder,
                                                                   c10::ScalarType dtype = c10::ScalarType::Float) {
  LoadOptions options;
  options.id = "tiny";
  options.path = folder;
  options.dtype = dtype;
  return ModelBundle::Load(options);
}

// Fails the test unless `folder` is refused with `code` and a message that holds all `parts`. `what` was done to it.
inline void ExpectRefused(const std::string& folder, absl::StatusCode code, const std::vector<const char*>& parts,
                          const char* what) {
  const absl::Status status = LoadTiny(folder).status();
  EXPECT_EQ(status.code(), code) << what << ": " << status;
  for (const char* part : parts) EXPECT_THAT(std::string(status.message()), testing::HasSubstr(part)) << what;
}

}  // namespace stepcast::model
