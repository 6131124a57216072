#include "text/tokenizer/token_decoder.h"

#include <gtest/gtest.h>

namespace stepcast {
namespace {

TEST(TokenDecoderTest, SpellsAsTheReference) {
  Vocabulary vocabulary;
  const std::vector<std::string> tokens = {"a</w>",  "b",      "\u00C3",     "\u00A9</w>", "\u0120",
                                           "\u2603", "\u00C2", "\u0142</w>", "\u013E"};
  for (size_t id = 0; id < tokens.size(); ++id) {
    ASSERT_TRUE(vocabulary.Add(tokens[id], static_cast<int64_t>(id)).ok());
  }
  const TokenDecoder decoder(vocabulary,
                             {{.content = "<E>", .id = 12}, {.content = "My Style", .id = 13, .normalized = true}});
  EXPECT_EQ(decoder.max_id(), 13);
  const std::pair<std::vector<int32_t>, const char*> cases[] = {
      {{}, ""},
      {{0}, "a"},
      {{0, 1, 0}, "a ba"},
      {{2, 3, 0}, "\u00E9 a"},  // a character of two tokens
      {{3, 0}, "\uFFFD a"},     // its second half
      {{2}, "\uFFFD"},
      {{4, 0, 4}, "a"},        // spaces at the ends go
      {{6, 7, 0, 6, 7}, "a"},  // so does U+00A0
      {{8, 1},
       "\uFFFD"
       "b"},            // a lone continuation byte
      {{5}, "\u2603"},  // what stands for no byte stands for itself
      {{12, 0, 12}, "<E>a <E>"},
      {{13}, "my style"},      // in its normalised form
      {{-1, 11, 14, 1}, "b"},  // ids without token are nothing
  };
  for (const auto& [ids, text] : cases) {
    EXPECT_EQ(decoder.Decode(ids), text);
  }
}

}  // namespace
}  // namespace stepcast
