#include "tests/parity/atelier.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/weights/weight_map.h"
#include "model/weights/weight_set.h"

namespace stepcast {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// A whole model folder of the components that a variant names.
std::string Assemble(const std::string& name, const std::string& root, const json& variant) {
  const fs::path folder = fs::path(testing::TempDir()) / ("parity_" + name);
  fs::remove_all(folder);
  fs::create_directories(folder);
  fs::copy_file(fs::path(root) / variant["index"].get<std::string>(), folder / "model_index.json");
  for (const auto& [part, source] : variant["parts"].items()) {
    fs::copy(fs::path(root) / source.get<std::string>(), folder / part, fs::copy_options::recursive);
  }
  return folder;
}

}  // namespace

Atelier::Atelier(const std::string& name, const std::string& root, const json& variant,
                 std::vector<ControlNetSource> nets)
    : painter_(Assemble(name, root, variant), json::parse(R"({"weights": {}})"), std::move(nets)) {
  for (const std::string& dir : painter_.model()->tokenizer_dirs) {
    auto tokenizer = ClipTokenizer::Load(dir);
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
    if (tokenizer.ok()) tokenizers_.push_back(*std::move(tokenizer));
  }
}

std::vector<std::vector<int32_t>> Atelier::Ids(const std::string& first, const std::string& second) const {
  std::vector<std::vector<int32_t>> ids = {tokenizers_.front()->Encode(first).ids};
  if (tokenizers_.size() == 2) ids.push_back(tokenizers_[1]->Encode(second.empty() ? first : second).ids);
  return ids;
}

InputPicture HintPicture(int number, int width, int height) {
  auto image = std::make_shared<Image>(Image{.width = width, .height = height, .pixels = {}});
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        image->pixels.push_back(static_cast<uint8_t>((number * 37 + x * (c + 3) * 5 + y * y * (c + 1)) % 256));
      }
    }
  }
  return {.image = std::move(image), .sha256 = absl::StrCat(number, ":", width, "x", height)};
}

std::vector<std::vector<const json*>> GroupsOf(const json& requests, const std::string& model_key) {
  std::map<std::tuple<std::string, int, int>, std::vector<const json*>> groups;
  for (const json& wanted : requests) {
    groups[{wanted[model_key], wanted["width"], wanted["height"]}].push_back(&wanted);
  }
  std::vector<std::vector<const json*>> listed;
  for (auto& [key, group] : groups) listed.push_back(std::move(group));
  return listed;
}

std::vector<SharedImage> PaintTogether(Painter& painter, const std::vector<std::unique_ptr<Job>>& jobs) {
  std::vector<Job*> pointers;
  for (const std::unique_ptr<Job>& job : jobs) pointers.push_back(job.get());
  return painter.Paint(pointers);
}

std::map<std::string, at::Tensor> ReadTensors(const std::string& folder, const std::string& base,
                                              const std::vector<std::string>& names) {
  std::map<std::string, at::Tensor> read;
  const auto set = model::WeightSet::Open(folder, base, {""}, nullptr);
  EXPECT_TRUE(set.ok()) << set.status();
  if (!set.ok()) return read;
  model::WeightMap tensors(*set, c10::DeviceType::CPU, c10::ScalarType::Float);
  for (const std::string& name : names) read[name] = tensors.Get(name, set->Find(name)->entry->shape);
  return read;
}

std::map<std::string, at::Tensor> ReadLatents(const std::string& folder, const json& requests) {
  std::vector<std::string> names;
  for (const json& wanted : requests) names.push_back(wanted["name"]);
  return ReadTensors(folder, "latents", names);
}

}  // namespace stepcast
