#include "server/catalog/adapters/lora_catalog.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/fake_loras.h"

namespace stepcast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Names(const LoraCatalog& catalog) {
  std::vector<std::string> names;
  for (const SharedLoraInfo& lora : catalog.loras()) names.push_back(lora->name);
  return names;
}

struct Catalog {
  explicit Catalog(std::vector<std::string> folders)
      : loras(std::move(folders), [this](std::string_view line) { told.emplace_back(line); }) {
    loras.Serve(&host);
    loras.Refresh();
  }

  FakeLoraHost host;
  std::vector<std::string> told;
  LoraCatalog loras;
};

TEST(LoraCatalogTest, ListsWhatCanBeUsedAndTellsOfTheRestOnce) {
  const std::string folder = LoraFolder("loras",
                                        {{"b.safetensors", "b"},
                                         {"a.safetensors", "a"},
                                         {"bad.safetensors", "bad"},
                                         {"-odd name.safetensors", "x"},
                                         {"a.json", "{}"},
                                         {"notes.txt", "x"}},
                                        testing::TempDir());
  Catalog catalog({folder});
  EXPECT_THAT(Names(catalog.loras), ElementsAre("a", "b"));
  EXPECT_THAT(catalog.told, ElementsAre(HasSubstr("names are"), HasSubstr("it is bad")));
  const int reads = catalog.host.reads();
  catalog.loras.Refresh();
  EXPECT_EQ(catalog.host.reads(), reads) << "nothing has changed";
  EXPECT_THAT(catalog.told, testing::SizeIs(2));
}

TEST(LoraCatalogTest, SeesFilesComeChangeAndGo) {
  const std::string folder = LoraFolder("hot", {{"a.safetensors", "a"}}, testing::TempDir());
  Catalog catalog({folder});
  const std::string before = catalog.loras.Find("a")->sha256;
  std::ofstream(folder + "/a.safetensors") << "another";
  std::ofstream(folder + "/c.safetensors") << "c";
  catalog.loras.Refresh();
  EXPECT_THAT(Names(catalog.loras), ElementsAre("a", "c"));
  EXPECT_NE(catalog.loras.Find("a")->sha256, before);
  const int reads = catalog.host.reads();
  std::ofstream(folder + "/c.json") << "{}";
  catalog.loras.Refresh();
  EXPECT_EQ(catalog.host.reads(), reads + 1) << "a new card is read with its LoRA";
  std::filesystem::remove(folder + "/a.safetensors");
  catalog.loras.Refresh();
  EXPECT_THAT(Names(catalog.loras), ElementsAre("c"));
  EXPECT_EQ(catalog.loras.Find("a"), nullptr);
}

TEST(LoraCatalogTest, TheFirstFolderWinsAndFoldersOfPeftCount) {
  const std::string first = LoraFolder("first", {{"a.safetensors", "one"}}, testing::TempDir());
  const std::string second = LoraFolder("second", {{"a.safetensors", "two"}}, testing::TempDir());
  std::filesystem::create_directories(second + "/tuned");
  std::ofstream(second + "/tuned/adapter_model.safetensors") << "three";
  Catalog catalog({first, second, "/nonexistent/folder"});
  EXPECT_THAT(Names(catalog.loras), ElementsAre("a", "tuned"));
  EXPECT_EQ(catalog.loras.Find("a")->sha256, Sha256Hex("one"));
}

TEST(LoraCatalogTest, NamesThoseThatGoWithAModel) {
  const std::string folder =
      LoraFolder("fits", {{"a.safetensors", "a"}, {"xl.safetensors", "other"}}, testing::TempDir());
  Catalog catalog({folder});
  const auto model = EmojiModel();
  EXPECT_EQ(catalog.loras.NamesFor(model), "a");
  EXPECT_THAT(std::string(catalog.loras.Fit(catalog.loras.Find("xl"), model).status().message()), HasSubstr("emoji"));
  EXPECT_THAT(Names(Catalog({}).loras), IsEmpty());
}

}  // namespace
}  // namespace stepcast
