// Folders of tokenizers: "name" lines after a record separator (0x1e), each with the file's text, and last what is
// encoded. A tokenizer that loads gives ids that the text encoder has.

#include <string>
#include <string_view>

#include "tests/fuzz/scratch.h"
#include "text/tokenizer/clip_tokenizer.h"

namespace stepcast {
namespace {

using fuzz::Check;

constexpr char kSeparator = '\x1e';
constexpr const char* kFiles[] = {"vocab.json",        "merges.txt",
                                  "tokenizer.json",    "tokenizer_config.json",
                                  "added_tokens.json", "special_tokens_map.json"};

void TryTokenizer(std::string_view bytes) {
  for (const char* name : kFiles) std::filesystem::remove(fuzz::Scratch() + "/" + name);
  const std::string_view text = fuzz::Take(bytes, kSeparator);
  while (!bytes.empty()) {
    std::string_view file = fuzz::Take(bytes, kSeparator);
    const std::string_view name = fuzz::Take(file, '\n');
    for (const char* known : kFiles) {
      if (name == known) fuzz::Write(known, file);
    }
  }
  const auto tokenizer = ClipTokenizer::Load(fuzz::Scratch());
  if (!tokenizer.ok()) return Check(!tokenizer.status().message().empty());
  for (const std::string_view prompt : {text, std::string_view("a red apple, 東京!"), std::string_view()}) {
    const TokenizedPrompt encoded = (*tokenizer)->Encode(prompt);
    Check(encoded.ids.size() == static_cast<size_t>((*tokenizer)->max_length()));
    for (const int32_t id : encoded.ids) Check(id >= 0 && id <= (*tokenizer)->max_id());
  }
}

}  // namespace
}  // namespace stepcast

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  stepcast::TryTokenizer({reinterpret_cast<const char*>(data), size});
  return 0;
}
