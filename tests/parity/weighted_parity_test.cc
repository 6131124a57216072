// Prompts with weights, chunks, AND and textual inversions, from their text to latents, against what transformers and
// diffusers make of the same: tools/parity/make_weighted_fixtures.py.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "engine/job/denoise_state.h"
#include "tests/parity/atelier.h"
#include "tests/parity/painter.h"
#include "text/prompt/prompt_encoding.h"
#include "text/prompt/prompt_parser.h"

namespace stepcast {
namespace {

using nlohmann::json;

constexpr char kFixtures[] = STEPCAST_SOURCE_DIR "/tests/parity/data";
constexpr char kData[] = STEPCAST_SOURCE_DIR "/tests/parity/data/weighted";
constexpr char kSdxl[] = STEPCAST_SOURCE_DIR "/tests/parity/data/sdxl";

json Parsed(const std::string& path) { return json::parse(ReadFile(path), nullptr, /*allow_exceptions=*/false); }

// A model, its tokenizers and its textual inversions.
class Family {
 public:
  // `owner` keeps `painter`.
  Family(const std::string& name, Painter& painter, std::shared_ptr<void> owner)
      : owner_(std::move(owner)), painter_(&painter) {
    for (const std::string& dir : painter_->model()->tokenizer_dirs) tokenizers_.push_back(*ClipTokenizer::Load(dir));
    std::vector<PseudoWord> words;
    for (const char* word : {"wordy", "pair"}) {
      const auto file = ReadTextualInversion(std::string(kData) + "/" + name + "_" + word + ".safetensors");
      EXPECT_TRUE(file.ok()) << file.status();
      auto inversion = std::make_shared<TextualInversion>(*file);
      inversion->name = word;
      words.push_back({.name = word, .vectors = inversion->vectors});
      words_.files.push_back(std::move(inversion));
    }
    std::vector<absl::Status> refused;
    words_.words = PseudoWords::Create(words, *tokenizers_.front(), &refused);
    EXPECT_TRUE(refused.empty());
  }

  Painter& painter() { return *painter_; }

  PromptTokens Encode(const std::vector<PromptFragment>& fragments, PromptSyntax syntax) const {
    std::vector<EncoderText> texts;
    for (const auto& tokenizer : tokenizers_) texts.push_back({tokenizer.get(), fragments});
    return EncodePrompt(texts, {syntax, 4, &words_}).tokens;
  }

  std::unique_ptr<Job> MakeJob(const json& wanted) {
    auto request = std::make_shared<GenerationRequest>();
    const PromptSyntax syntax = wanted["syntax"] == "a1111" ? PromptSyntax::kA1111 : PromptSyntax::kA1111NoNorm;
    request->prompt_syntax = syntax;
    const std::string prompt = wanted["prompt"];
    const std::vector<PromptPart> parts = *ParsePromptParts(prompt, syntax);
    for (const PromptPart& part : parts) {
      request->prompt_parts.push_back({Encode(part.fragments, syntax), part.weight});
    }
    request->negative_prompt_given = !wanted["negative_prompt"].is_null();
    const std::string negative = request->negative_prompt_given ? wanted["negative_prompt"].get<std::string>() : "";
    request->negative_tokens = Encode(*ParsePrompt(negative, syntax), syntax);
    request->clip_skip = wanted["clip_skip"];
    request->sizes = {.original_width = wanted["width"],
                      .original_height = wanted["height"],
                      .target_width = wanted["width"],
                      .target_height = wanted["height"]};
    if (!wanted["hint"].is_null()) {
      request->control = {
          {.model = "plain", .image = HintPicture(wanted["hint"], wanted["width"], wanted["height"]), .scale = 1.0}};
    }
    return painter_->MakeJob(wanted, std::move(request));
  }

 private:
  std::shared_ptr<void> owner_;
  Painter* painter_;
  std::vector<std::unique_ptr<const ClipTokenizer>> tokenizers_;
  ModelWords words_;
};

class WeightedParityTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    manifest_ = Parsed(std::string(kData) + "/requests.json");
    ASSERT_GE(manifest_["requests"].size(), 28u);
    latents_ = ReadLatents(kData, manifest_["requests"]);
    const json emoji = Parsed(STEPCAST_SOURCE_DIR "/tests/parity/data/requests.json");
    const auto painter = std::make_shared<Painter>(STEPCAST_SOURCE_DIR "/models/emoji", emoji);
    families_["emoji"] = std::make_unique<Family>("emoji", *painter, painter);
    const json sdxl = Parsed(std::string(kSdxl) + "/requests.json");
    const auto atelier = std::make_shared<Atelier>("weighted_base", kSdxl, sdxl["variants"]["base"]);
    families_["sdxl"] = std::make_unique<Family>("sdxl", atelier->painter(), atelier);
    const std::vector<ControlNetSource> nets = {{.id = "plain", .path = std::string(kFixtures) + "/control/plain"}};
    const auto second = std::make_shared<Atelier>("weighted_sd2", kFixtures, manifest_["variants"]["sd2"], nets);
    families_["sd2"] = std::make_unique<Family>("sd2", second->painter(), second);
  }
  static void TearDownTestSuite() { families_.clear(); }

  static json manifest_;
  static std::map<std::string, at::Tensor> latents_;
  static std::map<std::string, std::unique_ptr<Family>> families_;
};

json WeightedParityTest::manifest_;
std::map<std::string, at::Tensor> WeightedParityTest::latents_;
std::map<std::string, std::unique_ptr<Family>> WeightedParityTest::families_;

TEST_F(WeightedParityTest, EveryRequestAloneEqualsDiffusers) {
  for (const json& wanted : manifest_["requests"]) {
    Family& family = *families_.at(wanted["family"]);
    const std::unique_ptr<Job> job = family.MakeJob(wanted);
    family.painter().Paint({job.get()});
    ExpectLatentsLike(latents_.at(wanted["name"]), *job, wanted["name"]);
  }
}

// Three lengths of text, weights, AND, rows with a ControlNet and plain rows in the same forwards.
TEST_F(WeightedParityTest, AllRequestsOfAFamilyTogetherEqualDiffusers) {
  for (const auto& [name, family] : families_) {
    std::vector<std::unique_ptr<Job>> jobs;
    std::vector<Job*> pointers;
    std::vector<std::string> names;
    for (const json& wanted : manifest_["requests"]) {
      if (wanted["family"] != name) continue;
      jobs.push_back(family->MakeJob(wanted));
      pointers.push_back(jobs.back().get());
      names.push_back(wanted["name"]);
    }
    family->painter().Paint(pointers);
    for (size_t i = 0; i < jobs.size(); ++i) ExpectLatentsLike(latents_.at(names[i]), *jobs[i], names[i] + " together");
  }
}

// Before denoising anything: what the encoders say of three prompts, in both syntaxes.
TEST_F(WeightedParityTest, EmbeddingsEqualThoseOfTransformers) {
  for (const auto& [name, family] : families_) {
    for (size_t i = 0; i < manifest_["prompts"].size(); ++i) {
      for (const std::string syntax : {"a1111", "a1111_no_norm"}) {
        json wanted = *std::ranges::find_if(manifest_["requests"], [&](const json& r) { return r["family"] == name; });
        wanted["prompt"] = manifest_["prompts"][i];
        wanted["syntax"] = syntax;
        wanted["guidance_scale"] = 1.0;
        const std::unique_ptr<Job> job = family->MakeJob(wanted);
        family->painter().Paint({job.get()});
        const auto& state = static_cast<const engine::DenoiseState&>(*job->state());
        const model::Conditioning& shown = state.embedding(0)->conditioning;
        const std::string key = name + "." + std::to_string(i) + "." + syntax;
        std::vector<std::string> keys = {key};
        if (shown.text_embeds.defined()) keys.push_back(key + ".pooled");
        const std::map<std::string, at::Tensor> expected = ReadTensors(kData, "embeddings", keys);
        const at::Tensor embeds = shown.prompt_embeds.flatten().slice(0, 0, shown.prompt_embeds.numel(), 16);
        ASSERT_EQ(embeds.sizes(), expected.at(key).sizes()) << key;
        // Float32 sums in another order.
        EXPECT_LT((embeds - expected.at(key)).abs().max().item<float>(), 1e-5 * embeds.abs().max().item<float>() + 1e-5)
            << key;
        if (!shown.text_embeds.defined()) continue;
        EXPECT_LT((shown.text_embeds.flatten() - expected.at(key + ".pooled")).abs().max().item<float>(), 1e-5) << key;
      }
    }
  }
}

}  // namespace
}  // namespace stepcast
