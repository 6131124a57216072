// LoRAs read from files and put beside models: who may have them, and what becomes of files that change.

#include "engine/start/lora_library.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/start/model_library.h"
#include "tests/engine/one_place.h"

namespace stepcast::engine {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kLineArt = STEPCAST_SOURCE_DIR "/loras/emoji-line-art.safetensors";
const std::string kForeign = STEPCAST_SOURCE_DIR "/tests/parity/data/lora/loras/xl_peft.safetensors";

EngineOptions Options() {
  EngineOptions options;
  options.models = {{.id = "emoji", .path = STEPCAST_SOURCE_DIR "/models/emoji"},
                    {.id = "digits", .path = STEPCAST_SOURCE_DIR "/models/digits"}};
  options.device = "cpu";
  options.dtype = "fp32";
  options.threads = 1;
  options.warm_up = false;
  return options;
}

class LoraLibraryTest : public ::testing::Test {
 protected:
  LoraHost& loras() { return *library_.loras(); }
  const LoraShelf& shelf() { return *library_.places().front().loras; }
  SharedModelInfo Loaded(const std::string& id) { return library_.Load(id)->info; }

  // A copy that may be written to.
  static std::string Copy() {
    const fs::path path = fs::path(testing::TempDir()) / "lora_library_test.safetensors";
    fs::copy_file(kLineArt, path, fs::copy_options::overwrite_existing);
    return path.string();
  }

  ModelLibrary library_{Options(), OnePlace()};
};

TEST_F(LoraLibraryTest, TheShippedLoraIsDescribedAndHeld) {
  const auto lora = loras().Read("emoji-line-art", kLineArt);
  ASSERT_TRUE(lora.ok()) << lora.status();
  EXPECT_EQ((*lora)->rank, 6);
  EXPECT_TRUE((*lora)->changes_denoiser);
  EXPECT_FALSE((*lora)->changes_text_encoders);
  EXPECT_EQ((*lora)->display_name, "Emoji line art") << "of the card beside it";
  EXPECT_EQ((*lora)->sha256.size(), 64u);
  const SharedModelInfo emoji = Loaded("emoji");
  const auto fit = loras().Fit(**lora, *emoji);
  ASSERT_TRUE(fit.ok()) << fit.status();
  EXPECT_GT(fit->cost, 0.0);
  EXPECT_LT(fit->cost, 1.0);
  const auto bytes = loras().Load(**lora, *emoji);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_EQ(*bytes, 2 * (*lora)->bytes) << "float32 of half precision";
  const std::string key = LoraKey(*emoji, (*lora)->sha256);
  ASSERT_NE(shelf().Find(key), nullptr);
  const SharedLora taken = shelf().Find(key);
  loras().Unload(key);
  EXPECT_EQ(shelf().Find(key), nullptr);
  EXPECT_NE(taken->denoiser, nullptr) << "who has it keeps it";
}

TEST_F(LoraLibraryTest, OneOfAnotherFamilyIsRefusedWithBothNamed) {
  const auto lora = loras().Read("xl", kForeign);
  ASSERT_TRUE(lora.ok()) << lora.status();
  const SharedModelInfo emoji = Loaded("emoji");
  EXPECT_THAT(std::string(loras().Fit(**lora, *emoji).status().message()),
              AllOf(HasSubstr("'emoji' is a " + emoji->family), HasSubstr("was made for")));
  EXPECT_FALSE(loras().Load(**lora, *emoji).ok());
  const auto line_art = loras().Read("emoji-line-art", kLineArt);
  EXPECT_THAT(std::string(loras().Fit(**line_art, *Loaded("digits")).status().message()), HasSubstr("'digits'"));
}

TEST_F(LoraLibraryTest, AModelThatIsNotInMemoryHasNone) {
  const auto lora = loras().Read("emoji-line-art", kLineArt);
  const auto described = library_.Describe("emoji");
  ASSERT_TRUE(described.ok());
  EXPECT_TRUE(loras().Fit(**lora, **described).ok());
  EXPECT_EQ(loras().Load(**lora, **described).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(LoraLibraryTest, AFileThatChangesIsNotTakenForWhatItWas) {
  const SharedModelInfo emoji = Loaded("emoji");
  const std::string path = Copy();
  const auto lora = loras().Read("copy", path);
  ASSERT_TRUE(lora.ok()) << lora.status();
  fs::resize_file(path, fs::file_size(path) / 2);
  EXPECT_FALSE(loras().Load(**lora, *emoji).ok()) << "its end is gone";
  EXPECT_EQ(shelf().Find(LoraKey(*emoji, (*lora)->sha256)), nullptr);
  EXPECT_FALSE(loras().Read("copy", path).ok());

  const auto again = loras().Read("copy", Copy());
  ASSERT_TRUE(again.ok()) << again.status();
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(-2, std::ios::end);
  file.write("\x11\x22", 2);
  file.close();
  EXPECT_EQ(loras().Load(**again, *emoji).status().code(), absl::StatusCode::kFailedPrecondition)
      << "as long as before, with other numbers";
  EXPECT_EQ(shelf().Find(LoraKey(*emoji, (*again)->sha256)), nullptr);
}

TEST_F(LoraLibraryTest, AFileThatIsReplacedOrRemovedIsReadAsItWas) {
  const SharedModelInfo emoji = Loaded("emoji");
  const std::string path = Copy();
  const auto lora = loras().Read("copy", path);
  ASSERT_TRUE(lora.ok()) << lora.status();
  fs::remove(path);
  EXPECT_TRUE(loras().Load(**lora, *emoji).ok());
}

}  // namespace
}  // namespace stepcast::engine
