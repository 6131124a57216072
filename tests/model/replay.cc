#include "tests/model/replay.h"

#include <fstream>
#include <stdexcept>

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "model/text_encoder/clip_text_model.h"
#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

constexpr char kFixtures[] = STEPCAST_SOURCE_DIR "/tests/model/fixtures";

// The sets of cases.
constexpr const char* kSets[] = {"", "/control"};

void ReadCases(const std::string& folder, std::vector<ParityCase>& cases) {
  std::ifstream file(absl::StrCat(folder, "/cases.json"));
  const nlohmann::json document = nlohmann::json::parse(file);
  for (const nlohmann::json& entry : document.at("cases")) {
    ParityCase parity;
    parity.folder = folder;
    parity.name = entry.at("name");
    parity.kind = entry.at("kind");
    parity.config = entry.at("config");
    parity.draws = entry.at("draws");
    parity.output_shape = entry.at("output_shape").get<std::vector<int64_t>>();
    parity.stride = entry.at("stride");
    if (entry.contains("published")) parity.published = entry.at("published").get<std::vector<float>>();
    cases.push_back(std::move(parity));
  }
}

std::vector<ParityCase> ReadAllCases() {
  std::vector<ParityCase> cases;
  for (const char* set : kSets) ReadCases(absl::StrCat(kFixtures, set), cases);
  return cases;
}

// One draw from the seeded generator, as torch's Python front end makes it.
at::Tensor Draw(const nlohmann::json& step) {
  const std::string op = step.at(0);
  if (op == "values") return at::tensor(step.at(2).get<std::vector<double>>(), at::kFloat);
  const auto shape = step.at(2).get<std::vector<int64_t>>();
  if (op == "randn") return at::randn(shape);
  if (op == "fill") return at::full(shape, step.at(3).get<double>());
  if (op == "uniform") return at::empty(shape).uniform_(step.at(3).get<double>(), step.at(4).get<double>());
  throw std::runtime_error("unknown draw " + op);
}

}  // namespace

const std::vector<ParityCase>& ParityCases() {
  static const std::vector<ParityCase>& cases = *new std::vector<ParityCase>(ReadAllCases());
  return cases;
}

const ParityCase& FindCase(const std::string& name) {
  for (const ParityCase& parity : ParityCases()) {
    if (parity.name == name) return parity;
  }
  throw std::runtime_error("no parity case " + name);
}

at::Tensor Expected(const ParityCase& parity) {
  const auto set = WeightSet::Open(parity.folder, "expected", {""}, nullptr).value();
  const StoredTensor* stored = set.Find(parity.name);
  WeightMap map(set, c10::DeviceType::CPU, at::kFloat);
  return map.Get(parity.name, stored->entry->shape);
}

Replay::Replay(const ParityCase& parity)
    : folder_(FreshFolder(absl::StrCat("replay_", parity.name))), config_(parity.config) {
  SafetensorsWriter writer;
  for (const nlohmann::json& step : parity.draws) {
    if (step.at(0) == "seed") {
      at::manual_seed(step.at(1).get<uint64_t>());
      continue;
    }
    const std::string name = step.at(1);
    const at::Tensor tensor = Draw(step);
    if (absl::StartsWith(name, "input.")) {
      inputs_[std::string(absl::StripPrefix(name, "input."))] = tensor;
    } else {
      const float* data = tensor.const_data_ptr<float>();
      writer.Add(name, tensor.sizes().vec(), std::vector<float>(data, data + tensor.numel()));
    }
  }
  WriteFile(folder_ + "/model.safetensors", writer.Build());
  const NameRule rule = absl::StartsWith(parity.kind, "clip") ? &CanonicalClipName : nullptr;
  weights_ = std::make_unique<WeightSet>(*WeightSet::Open(folder_, "model", {""}, rule));
}

Difference Compare(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor difference = a.to(at::kDouble) - b.to(at::kDouble);
  return {difference.abs().max().item<double>(),
          difference.norm().item<double>() / std::max(1e-12, b.to(at::kDouble).norm().item<double>())};
}

}  // namespace stepcast::model
