#pragma once
// A prompt as text encoders read it.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace stepcast {

// A textual inversion: vectors that were learnt to stand where its name stands in a prompt. Immutable, shared.
struct TextualInversion {
  std::string name;
  std::string token = {};  // what the file itself calls it; "": nothing
  std::string sha256;      // of its file
  int vectors = 0;
  std::vector<std::vector<float>> towers;  // for each text encoder: `vectors` times its width, one after the other
};

// One that a prompt names. Equal where the files are.
struct UsedInversion {
  std::shared_ptr<const TextualInversion> file;

  friend bool operator==(const UsedInversion& a, const UsedInversion& b) { return a.file->sha256 == b.file->sha256; }

  template <typename H>
  friend H AbslHashValue(H h, const UsedInversion& used) {
    return H::combine(std::move(h), used.file->sha256);
  }
};

// The id of vector `k` of all `PromptTokens::inversions`, in their order: no token has it, whatever the vocabulary.
constexpr int32_t InversionId(int k) { return -1 - k; }
constexpr int VectorOfInversionId(int32_t id) { return -1 - id; }

// What the text encoders of a model read of one prompt.
struct PromptTokens {
  // For each text encoder the ids of all chunks, one after the other, equally many in each: start, content, end,
  // padding.
  std::vector<std::vector<int32_t>> ids = {};
  int chunks = 1;                                // in each list; encoded one by one, their outputs follow each other
  std::vector<std::vector<float>> weights = {};  // of the ids, which an encoder's output is multiplied by; empty: all 1
  bool restores_mean = false;                    // after that, for each chunk and encoder; only beside weights
  std::vector<UsedInversion> inversions = {};

  friend bool operator==(const PromptTokens&, const PromptTokens&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const PromptTokens& tokens) {
    return H::combine(std::move(h), tokens.ids, tokens.chunks, tokens.weights, tokens.restores_mean, tokens.inversions);
  }
};

// One of the prompts that a picture follows at once.
struct WeightedPrompt {
  PromptTokens tokens = {};
  double weight = 1.0;

  friend bool operator==(const WeightedPrompt&, const WeightedPrompt&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const WeightedPrompt& prompt) {
    return H::combine(std::move(h), prompt.tokens, prompt.weight);
  }
};

// How long a prompt is to a model.
struct PromptLength {
  std::string field;  // of the request
  int tokens = 0;     // content, of the text encoder that counts most; of all parts
  int chunks = 0;
};

}  // namespace stepcast
