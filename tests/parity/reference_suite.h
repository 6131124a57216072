#pragma once
// Requests against latents and pictures that a reference made of them: what the suites of tests/parity share.

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/parity/atelier.h"

namespace stepcast {

// A file of fixtures as a picture; its red channel as a mask. Fails the test when it cannot be read.
SharedImage ReadPicture(const std::string& path);
SharedMask ReadMask(const std::string& path);

// A request of both prompts, told of its own size, beside which a suite sets what it is about.
std::shared_ptr<GenerationRequest> PromptedRequest(Atelier& atelier, const nlohmann::json& wanted);

class ReferenceSuite : public ::testing::Test {
 protected:
  using Maker = std::unique_ptr<Job> (*)(Atelier&, const nlohmann::json&);

  // Reads `folder`/requests.json and the latents of its requests. Fails the suite where there are fewer than `least`.
  static void ReadRequests(const std::string& folder, size_t least);
  static void TearDownTestSuite();

  static void ExpectLikeReference(const nlohmann::json& wanted, const Job& job, const SharedImage& image);

  // Each request alone, and all that can share a forward together, are the reference's. `model_key`: under which a
  // request names its model.
  static void ExpectEachAlone(const std::string& model_key, Maker make);
  static void ExpectTogether(const std::string& model_key, Maker make);

  static inline std::string folder_;
  static inline nlohmann::json manifest_;
  static inline std::map<std::string, at::Tensor> latents_;
  static inline std::map<std::string, std::unique_ptr<Atelier>> ateliers_;
};

}  // namespace stepcast
