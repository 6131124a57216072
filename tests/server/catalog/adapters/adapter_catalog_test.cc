#include "server/catalog/adapters/adapter_catalog.h"

#include <filesystem>
#include <fstream>
#include <map>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/catalog/adapters/adapter_description.h"
#include "tests/server/fake_models.h"
#include "text/vocabulary/built_in_clip.h"

namespace stepcast {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// With CLIP's own tokenizer: a name that is one token to it is none for an embedding.
absl::StatusOr<std::unique_ptr<const ClipTokenizer>> LoadClip(const std::string&) {
  return ClipTokenizer::Load(std::string(kBuiltInClip));
}

ModelInfo WithTextOf(int64_t width, ModelInfo info) {
  info.text_vocab_size = 49408;
  info.control_shape = ControlShape{.text_width = width};
  return info;
}

// A folder whose files say how wide and how many their vectors are: "4 2" or, of pairs, "4+6 2"; a third word is the
// token.
class AdapterCatalogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              ("adapters_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }

  void Put(const std::string& file, const std::string& text) {
    std::ofstream(folder_ / file) << text;
    // Times of files may be coarse.
    fs::last_write_time(folder_ / file, fs::file_time_type() + std::chrono::seconds(++writes_));
  }

  static absl::StatusOr<TextualInversion> Read(const std::string& path) {
    std::ifstream file(path);
    std::string widths, token;
    TextualInversion inversion;
    inversion.name = fs::path(path).stem().string();
    inversion.sha256 = "of " + path;
    if (!(file >> widths >> inversion.vectors)) return absl::InvalidArgumentError("is broken");
    file >> inversion.token;
    for (size_t at = 0; at < widths.size(); at += 2) {
      inversion.towers.emplace_back(static_cast<size_t>((widths[at] - '0') * inversion.vectors));
    }
    return inversion;
  }

  std::vector<std::string> Names(const RegisteredModel& model) {
    std::vector<std::string> names;
    for (const auto& file : catalog().WordsOf(model)->files) names.push_back(file->name);
    return names;
  }

  AdapterCatalog& catalog() {
    if (catalog_ == nullptr) {
      catalog_ = std::make_unique<AdapterCatalog>(folder_.string(), &Read,
                                                  [this](std::string_view line) { lines_.emplace_back(line); });
    }
    return *catalog_;
  }

  ModelInfo Sdxl() { return WithTextOf(4 + 6, SdxlModel()); }
  ModelInfo Refiner() { return WithTextOf(6, RefinerModel()); }
  ModelRegistry models_ = *ModelRegistry::Create(
      {Share(WithTextOf(4, TextModel())), Share(Sdxl()), Share(Refiner()), Share(ClassModel())}, "", &LoadClip);
  fs::path folder_;
  int writes_ = 0;
  std::vector<std::string> lines_;
  std::unique_ptr<AdapterCatalog> catalog_;
};

TEST_F(AdapterCatalogTest, ModelsReadWhatIsAsWideAsTheirText) {
  Put("easyneg.safetensors", "4 2 <easyneg-x>");
  Put("bothtowers.safetensors", "4+6 3");
  Put("nomodel.safetensors", "9 1");
  Put("notes.txt", "4 2");
  catalog().Refresh(models_);
  EXPECT_THAT(Names(*models_.Find("texty")), ElementsAre("easyneg"));
  EXPECT_THAT(Names(*models_.Find("sdxl")), ElementsAre("bothtowers"));
  EXPECT_THAT(Names(*models_.Find("refiner")), ElementsAre("bothtowers"))
      << "its one encoder is the second of the pair";
  EXPECT_THAT(catalog().WordsOf(*models_.Find("refiner"))->files[0]->towers, ElementsAre(SizeIs(18)));
  EXPECT_THAT(Names(*models_.Find("digits")), IsEmpty());
  EXPECT_THAT(catalog().inversions(), SizeIs(3)) << "also what goes with no model";
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("nomodel goes with no model: its vectors have 9 numbers")));
}

TEST_F(AdapterCatalogTest, AFolderIsLookedAtAgain) {
  catalog().Refresh(models_);
  EXPECT_THAT(catalog().inversions(), IsEmpty());
  Put("aqxz.safetensors", "4 1");
  catalog().Refresh(models_);
  const auto before = catalog().WordsOf(*models_.Find("texty"));
  EXPECT_THAT(before->files, SizeIs(1));
  catalog().Refresh(models_);
  EXPECT_EQ(catalog().WordsOf(*models_.Find("texty")), before) << "nothing has changed";
  Put("aqxz.safetensors", "4 5");
  catalog().Refresh(models_);
  EXPECT_EQ(catalog().WordsOf(*models_.Find("texty"))->files[0]->vectors, 5);
  EXPECT_EQ(before->files[0]->vectors, 1) << "who has it keeps it";
  fs::remove(folder_ / "aqxz.safetensors");
  catalog().Refresh(models_);
  EXPECT_THAT(Names(*models_.Find("texty")), IsEmpty());
}

TEST_F(AdapterCatalogTest, WhatCannotBeUsedIsToldOnce) {
  Put("bad.safetensors", "?");
  Put("no name.safetensors", "4 1");
  Put("old.pt", "?");
  Put("toolongxq.safetensors", "4 76");
  Put("twicexq.safetensors", "4 1 cat");
  catalog().Refresh(models_);
  catalog().Refresh(models_);
  EXPECT_THAT(lines_,
              testing::UnorderedElementsAre(HasSubstr("bad is not listed: is broken"), HasSubstr("no name.safetensors"),
                                            HasSubstr("old is not listed"), HasSubstr("not read by model texty"),
                                            HasSubstr("not read by model texty")));
  EXPECT_THAT(Names(*models_.Find("texty")), IsEmpty())
      << "76 vectors do not fit into a chunk, and cat is a word already";
}

TEST_F(AdapterCatalogTest, IsDescribed) {
  Put("easyneg.safetensors", "4 2 <easyneg-x>");
  Put("bothtowers.safetensors", "4+6 3");
  catalog().Refresh(models_);
  v1::ListAdaptersRequest all;
  const std::vector<v1::Adapter> described = DescribeAdapters(all, catalog(), nullptr, models_);
  ASSERT_THAT(described, SizeIs(2));
  EXPECT_EQ(described[0].name(), "bothtowers");
  EXPECT_THAT(described[0].models(), ElementsAre("sdxl", "refiner"));
  EXPECT_EQ(described[0].tokens(), 3);
  EXPECT_EQ(described[0].memory_bytes(), 3 * 10 * 4);
  EXPECT_EQ(described[1].kind(), v1::ADAPTER_KIND_EMBEDDING);
  EXPECT_THAT(described[1].trigger_words(), ElementsAre("<easyneg-x>"));
  v1::ListAdaptersRequest of_model;
  of_model.set_model("texty");
  EXPECT_THAT(DescribeAdapters(of_model, catalog(), nullptr, models_), SizeIs(1));
  v1::ListAdaptersRequest loras;
  loras.set_kind(v1::ADAPTER_KIND_LORA);
  EXPECT_THAT(DescribeAdapters(loras, catalog(), nullptr, models_), IsEmpty());
}

TEST(AdapterCatalogWithoutFolderTest, HasNothing) {
  AdapterCatalog catalog("", [](const std::string&) { return absl::UnknownError("asked"); }, [](std::string_view) {});
  const ModelRegistry models = *ModelRegistry::Create({Share(TextModel())}, "", &LoadFakeTokenizer);
  catalog.Refresh(models);
  EXPECT_THAT(catalog.WordsOf(models.default_model())->files, IsEmpty());
  EXPECT_THAT(catalog.inversions(), IsEmpty());
}

}  // namespace
}  // namespace stepcast
