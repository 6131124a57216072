// Prompts in each syntax, down to chunks of tokens; before the first record separator (0x1e) a byte for the rules, and
// the name and token of a textual inversion, each after one. What is parsed keeps the bounds that the headers promise.

#include <cmath>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/scratch.h"
#include "text/prompt/prompt_chunks.h"
#include "text/prompt/prompt_parser.h"
#include "text/unicode/unicode.h"
#include "text/vocabulary/built_in_clip.h"

namespace stepcast {
namespace {

using fuzz::Check;

constexpr char kSeparator = '\x1e';

const ClipTokenizer& Clip(bool open) {
  static const std::unique_ptr<const ClipTokenizer> clip = *ClipTokenizer::Load(kBuiltInClip);
  static const std::unique_ptr<const ClipTokenizer> open_clip = *ClipTokenizer::Load(kBuiltInOpenClip);
  return open ? *open_clip : *clip;
}

void CheckFragments(const std::vector<PromptFragment>& fragments) {
  Check(!fragments.empty());
  for (size_t index = 0; index < fragments.size(); ++index) {
    const PromptFragment& fragment = fragments[index];
    Check(std::abs(fragment.weight) <= kMaxPromptWeight);
    Check(!fragment.breaks || (fragment.text.empty() && fragment.weight == 1));
    if (index == 0 || fragment.breaks || fragments[index - 1].breaks) continue;
    Check(fragment.weight != fragments[index - 1].weight);
  }
}

void CheckChunks(const PromptChunks& prompt, const ClipTokenizer& tokenizer, const PseudoWords& words, int most) {
  Check(!prompt.chunks.empty() && prompt.chunks.size() <= static_cast<size_t>(most));
  for (const PromptChunk& chunk : prompt.chunks) {
    Check(chunk.ids.size() == 77 && chunk.weights.size() == 77);
    Check(chunk.ids.front() == tokenizer.control_tokens().start && chunk.weights.front() == 1);
    for (const int32_t id : chunk.ids) Check(id >= 0 && id <= tokenizer.max_id() + words.vectors());
  }
}

void TryPrompt(std::string_view bytes) {
  const std::string_view choice = fuzz::Take(bytes, kSeparator);
  const int byte = choice.empty() ? 0 : static_cast<unsigned char>(choice.front());
  const ClipTokenizer& tokenizer = Clip((byte & 1) != 0);
  const int most = 1 + (byte >> 1) % 5;
  PseudoWord word = {.vectors = byte};
  word.name = fuzz::Take(bytes, kSeparator);
  word.token = fuzz::Take(bytes, kSeparator);
  std::vector<absl::Status> refused;
  const PseudoWords words = PseudoWords::Create({word, {.name = "easyneg", .vectors = 3}}, tokenizer, &refused);
  for (const absl::Status& status : refused) Check(!status.message().empty());

  const std::string text = ReplaceInvalidUtf8(bytes);
  for (const PromptSyntax syntax : {PromptSyntax::kPlain, PromptSyntax::kA1111}) {
    const ChunkRules rules = ChunkRulesOf(syntax, most);
    if (const auto parts = ParsePromptParts(text, syntax); parts.ok()) {
      Check(!parts->empty());
      for (const PromptPart& part : *parts) {
        Check(std::abs(part.weight) <= kMaxPromptWeight);
        CheckFragments(part.fragments);
        CheckChunks(ChunkPrompt(part.fragments, tokenizer, words, rules), tokenizer, words, most);
      }
    } else {
      Check(parts.status().message().substr(0, 12) == "byte offset ");
    }
    const auto fragments = ParsePrompt(text, syntax);
    if (!fragments.ok()) continue;
    CheckFragments(*fragments);
    CheckChunks(ChunkPrompt(*fragments, tokenizer, words, rules), tokenizer, words, most);
  }
}

}  // namespace
}  // namespace stepcast

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  stepcast::TryPrompt({reinterpret_cast<const char*>(data), size});
  return 0;
}
