// LoRA files: what their names say, which layers of a model they change, and what is refused. Their numbers are in
// tests/parity/lora_parity_test.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "model/lora/lora_card.h"
#include "model/lora/lora_keys.h"
#include "model/lora/lora_loader.h"
#include "model/lora/lora_match.h"
#include "model/lora/row_adapters.h"
#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(LoraKeyTest, EverySpellingNamesALayerOfANetwork) {
  const struct {
    const char* name;
    const char* component;
    const char* layer;
    bool flat;
    LoraRole role;
  } rows[] = {
      {"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight", "unet", "mid_block_attentions_0_proj_in", true,
       LoraRole::kDown},
      {"lora_unet_mid_block_attentions_0_proj_in.alpha", "unet", "mid_block_attentions_0_proj_in", true,
       LoraRole::kAlpha},
      {"lora_unet_conv_in.lora_mid.weight", "unet", "conv_in", true, LoraRole::kMid},
      {"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight", "text_encoder", "encoder_layers_0_mlp_fc1", true,
       LoraRole::kUp},
      {"lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_up.weight", "text_encoder", "encoder_layers_0_mlp_fc1", true,
       LoraRole::kUp},
      {"lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_up.weight", "text_encoder_2", "encoder_layers_0_mlp_fc1",
       true, LoraRole::kUp},
      {"unet.a.attn1.processor.to_q_lora.down.weight", "unet", "a.attn1.to_q", false, LoraRole::kDown},
      {"unet.a.attn1.processor.to_out_lora.up.weight", "unet", "a.attn1.to_out.0", false, LoraRole::kUp},
      {"unet.a.attn1.to_q.lora.down.weight", "unet", "a.attn1.to_q", false, LoraRole::kDown},
      {"text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_linear_layer.down.weight", "text_encoder",
       "encoder.layers.0.self_attn.q_proj", false, LoraRole::kDown},
      {"text_encoder.text_model.encoder.layers.0.self_attn.to_out_lora.up.weight", "text_encoder",
       "encoder.layers.0.self_attn.out_proj", false, LoraRole::kUp},
      {"unet.a.to_q.lora_A.weight", "unet", "a.to_q", false, LoraRole::kDown},
      {"text_encoder_2.text_model.encoder.layers.1.mlp.fc2.lora_B.weight", "text_encoder_2", "encoder.layers.1.mlp.fc2",
       false, LoraRole::kUp},
      {"base_model.model.down_blocks.0.attentions.0.proj_in.lora_A.weight", "unet",
       "down_blocks.0.attentions.0.proj_in", false, LoraRole::kDown},
      {"base_model.model.text_model.encoder.layers.0.mlp.fc1.lora_A.default.weight", "text_encoder",
       "encoder.layers.0.mlp.fc1", false, LoraRole::kDown},
      {"diffusion_model.input_blocks.1.1.proj_in.lora_down.weight", "unet", "input_blocks.1.1.proj_in", false,
       LoraRole::kDown},
  };
  for (const auto& row : rows) {
    const auto key = ParseLoraKey(row.name);
    ASSERT_TRUE(key.ok()) << row.name << ": " << key.status();
    EXPECT_EQ(key->component, row.component) << row.name;
    EXPECT_EQ(key->layer, row.layer) << row.name;
    EXPECT_EQ(key->flat, row.flat) << row.name;
    EXPECT_EQ(key->role, row.role) << row.name;
  }
}

TEST(LoraKeyTest, OtherKindsAreRefusedByName) {
  const std::pair<const char*, const char*> rows[] = {
      {"lora_unet_a.dora_scale", "DoRA"},
      {"unet.a.lora_magnitude_vector.weight", "DoRA"},
      {"lora_unet_a.hada_w1_a", "LoHa"},
      {"lora_unet_a.lokr_w1", "LoKr"},
      {"lora_unet_a.on_input", "IA3"},
      {"lora_unet_a.oft_blocks", "OFT"},
      {"lora_unet_a.diff", "a full difference"},
      {"lora_unet_a.diff_b", "a full difference"},
      {"lora_unet_double_blocks_0_img_attn_proj.lora_down.weight", "Flux"},
      {"transformer.transformer_blocks.0.attn.to_q.lora_A.weight", "a diffusion transformer"},
      {"down_blocks.0.resnets.0.conv1.weight", "no LoRA"},
      {"../../etc/passwd", "no LoRA"},
      {"", "no LoRA"},
  };
  for (const auto& [name, what] : rows) {
    EXPECT_THAT(Message(ParseLoraKey(name).status()), AllOf(HasSubstr(what), HasSubstr("not read"))) << name;
  }
}

TEST(OriginalNameTest, IsThatOfTheOriginalLayout) {
  const std::pair<const char*, const char*> rows[] = {
      {"conv_in", "input_blocks.0.0"},
      {"time_embedding.linear_2", "time_embed.2"},
      {"add_embedding.linear_1", "label_emb.0.0"},
      {"down_blocks.0.resnets.1.conv1", "input_blocks.2.0.in_layers.2"},
      {"down_blocks.1.attentions.0.proj_in", "input_blocks.4.1.proj_in"},
      {"down_blocks.0.downsamplers.0.conv", "input_blocks.3.0.op"},
      {"mid_block.resnets.1.conv2", "middle_block.2.out_layers.3"},
      {"mid_block.attentions.0.proj_out", "middle_block.1.proj_out"},
      {"up_blocks.1.attentions.2.transformer_blocks.0.attn2.to_k", "output_blocks.5.1.transformer_blocks.0.attn2.to_k"},
      {"up_blocks.2.resnets.0.conv_shortcut", "output_blocks.6.0.skip_connection"},
      {"up_blocks.1.upsamplers.0.conv", "output_blocks.5.2.conv"},
      {"conv_out", "out.2"},
      {"encoder_hid_proj", ""},
  };
  for (const auto& [name, original] : rows) EXPECT_EQ(OriginalName(name, 2), original) << name;
}

LoraTargets SmallModel() {
  return {{"unet",
           {{"down_blocks.0.resnets.0.conv1", 4, 6, 3},
            {"down_blocks.0.attentions.0.proj_in", 4, 4, 1},
            {"down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k", 768, 4, 0},
            {"up_blocks.0.upsamplers.0.conv", 6, 6, 3}},
           "fp32"},
          {"text_encoder", {{"encoder.layers.0.self_attn.q_proj", 8, 8, 0}}, "fp32"}};
}

// A file of layers: each `down` and `up` of zeros, but for what the test says.
class LoraWriter {
 public:
  LoraWriter& Layer(const std::string& key, const std::vector<int64_t>& down, const std::vector<int64_t>& up,
                    float value = 1.0f) {
    Add(key + ".lora_down.weight", down, value);
    return Add(key + ".lora_up.weight", up, value);
  }
  LoraWriter& Add(const std::string& name, const std::vector<int64_t>& shape, float value = 1.0f) {
    size_t count = 1;
    for (const int64_t dim : shape) count *= static_cast<size_t>(dim);
    writer_.Add(name, shape, std::vector<float>(count, value));
    return *this;
  }
  std::string Write(const std::string& name) const {
    const std::string path = FreshFolder(name) + "/lora.safetensors";
    WriteFile(path, writer_.Build());
    return path;
  }

 private:
  SafetensorsWriter writer_;
};

constexpr char kToK[] = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k";

absl::Status Matched(const LoraWriter& writer, const std::string& name) {
  const auto file = OpenLora(writer.Write(name));
  if (!file.ok()) return file.status();
  return MatchLora(*file, SmallModel()).status();
}

TEST(LoraMatchTest, FindsLayersByAnyOfTheirNames) {
  const auto file = OpenLora(LoraWriter()
                                 .Layer(kToK, {2, 768}, {4, 2})
                                 .Layer("lora_unet_input_blocks_1_0_in_layers_2", {3, 4, 3, 3}, {6, 3, 1, 1})
                                 .Layer("lora_unet_down_blocks_0_attentions_0_proj_in", {1, 4}, {4, 1})
                                 .Layer("lora_unet_output_blocks_1_1_conv", {1, 6, 3, 3}, {6, 1, 1, 1})
                                 .Layer("lora_te_text_model_encoder_layers_0_self_attn_q_proj", {1, 8}, {8, 1})
                                 .Write("names"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->rank, 3);
  EXPECT_EQ(LoraFamily(*file), "Stable Diffusion 1");
  const auto matches = MatchLora(*file, SmallModel());
  ASSERT_TRUE(matches.ok()) << matches.status();
  std::vector<int> sites;
  for (const LoraMatch& match : *matches) sites.push_back(static_cast<int>(match.network) * 10 + match.site);
  std::sort(sites.begin(), sites.end());
  EXPECT_THAT(sites, ElementsAre(0, 1, 2, 3, 10));
}

TEST(LoraMatchTest, LayersThatAreNoneOfTheModelsAreNamed) {
  EXPECT_THAT(Message(Matched(LoraWriter().Layer("lora_unet_up_blocks_7_conv", {1, 4}, {4, 1}), "unknown")),
              AllOf(HasSubstr("1 of its 1 layers are none of the model's"), HasSubstr("up_blocks_7_conv")));
  EXPECT_THAT(Message(Matched(LoraWriter().Layer(kToK, {1, 2048}, {4, 1}), "wide")),
              AllOf(HasSubstr("another shape"), HasSubstr("1x2048"), HasSubstr("from 768 to 4")));
  EXPECT_THAT(
      Message(Matched(LoraWriter()
                          .Layer(kToK, {1, 768}, {4, 1})
                          .Layer("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k", {1, 768}, {4, 1}),
                      "twice")),
      HasSubstr("named twice"));
  EXPECT_THAT(
      Message(Matched(LoraWriter().Layer("lora_te2_text_model_encoder_layers_0_mlp_fc1", {1, 8}, {8, 1}), "te2")),
      HasSubstr("none of the model's"));
}

TEST(OpenLoraTest, TensorsThatDoNotGoTogetherAreRefused) {
  const std::string key = "lora_unet_conv_in";
  const struct {
    const char* name;
    LoraWriter file;
    const char* why;
  } rows[] = {
      {"no_up", LoraWriter().Add(key + ".lora_down.weight", {1, 4}), "no lora_up"},
      {"no_down", LoraWriter().Add(key + ".lora_up.weight", {4, 1}), "no lora_down"},
      {"ranks", LoraWriter().Layer(key, {2, 4}, {4, 3}), "differ in rank"},
      {"empty", LoraWriter().Layer(key, {0, 4}, {4, 0}), "no matrix"},
      {"vector", LoraWriter().Layer(key, {4}, {4}), "no matrix"},
      {"oblong", LoraWriter().Layer(key, {1, 4, 3, 1}, {4, 1, 1, 1}), "no matrix"},
      {"up_kernel", LoraWriter().Layer(key, {1, 4, 3, 3}, {4, 1, 3, 3}), "has a kernel"},
      {"mid", LoraWriter().Layer(key, {2, 4, 1, 1}, {4, 2, 1, 1}).Add(key + ".lora_mid.weight", {2, 3, 3, 3}),
       "does not follow"},
      {"alpha", LoraWriter().Layer(key, {1, 4}, {4, 1}).Add(key + ".alpha", {2}), "alpha is not one number"},
      {"huge", LoraWriter().Layer(key, {5000, 1}, {1, 5000}), "above 4096"},
  };
  for (const auto& row : rows) {
    const absl::Status status = OpenLora(row.file.Write(row.name)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << row.name;
    EXPECT_THAT(Message(status), HasSubstr(row.why)) << row.name;
  }
}

TEST(OpenLoraTest, DamagedFilesAreRefused) {
  const std::string good = LoraWriter().Layer("lora_unet_conv_in", {1, 4}, {4, 1}).Write("good");
  std::string bytes;
  {
    std::ifstream in(good, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  const std::string folder = FreshFolder("damaged");
  for (const size_t kept : {size_t{0}, size_t{7}, size_t{40}, bytes.size() - 1}) {
    const std::string path = absl::StrCat(folder, "/", kept, ".safetensors");
    WriteFile(path, bytes.substr(0, kept));
    EXPECT_FALSE(OpenLora(path).ok()) << kept;
  }
  WriteFile(folder + "/none.safetensors", SafetensorsWriter().Build());
  EXPECT_THAT(Message(OpenLora(folder + "/none.safetensors").status()), HasSubstr("no tensors"));
}

TEST(LoadLoraTest, AlphaComesFromTheFileItsSettingsOrIsTheRank) {
  const c10::InferenceMode no_autograd;
  const auto up_of = [](const LoraFile& file) {
    const auto matches = MatchLora(file, SmallModel()).value();
    const auto loaded = LoadLora(file, matches, SmallModel(), c10::Device(c10::DeviceType::CPU)).value();
    return loaded.networks[0]->sites[2].up[0][0].item<float>();
  };
  LoraWriter plain;
  plain.Layer(kToK, {2, 768}, {4, 2}, 3.0f);
  EXPECT_EQ(up_of(*OpenLora(plain.Write("plain"))), 3.0f);
  const nlohmann::json settings = {{"peft_type", "LORA"}, {"r", 2}, {"lora_alpha", 6}};
  EXPECT_EQ(up_of(*OpenLora(plain.Write("settings"), settings)), 9.0f);
  nlohmann::json stable = settings;
  stable["use_rslora"] = true;
  EXPECT_FLOAT_EQ(up_of(*OpenLora(plain.Write("rslora"), stable)), 18.0f / std::sqrt(2.0f));
  plain.Add(std::string(kToK) + ".alpha", {}, 1.0f);
  EXPECT_EQ(up_of(*OpenLora(plain.Write("alpha"), settings)), 1.5f);
  EXPECT_THAT(Message(OpenLora(plain.Write("dora"), {{"use_dora", true}}).status()), HasSubstr("DoRA"));
}

TEST(LoadLoraTest, ValuesThatAreNotFiniteAreRefused) {
  for (const float odd : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    LoraWriter writer;
    writer.Layer(kToK, {1, 768}, {4, 1}).Add(std::string(kToK) + ".alpha", {1}, odd);
    const auto file = OpenLora(writer.Write("odd"));
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_THAT(Message(CheckNumbers(*file)), AllOf(HasSubstr("not finite"), HasSubstr(".alpha")));
  }
}

TEST(LoraCostTest, GrowsWithRankAndIsSmallForFewLayers) {
  const auto cost = [](int64_t rank) {
    const auto file = OpenLora(LoraWriter().Layer(kToK, {rank, 768}, {4, rank}).Write("cost")).value();
    return LoraCost(MatchLora(file, SmallModel()).value(), SmallModel());
  };
  EXPECT_GT(cost(1), 0.0);
  EXPECT_NEAR(cost(8), 8 * cost(1), 1e-9);
}

TEST(TriggerWordsTest, AreTheMostFrequentTags) {
  EXPECT_THAT(TriggerWords({{"ss_tag_frequency", R"({"10_a": {"cat": 5, " hat": 9}, "2_b": {"cat": 6, "bow": 1}})"}}),
              ElementsAre("cat", "hat", "bow"));
  EXPECT_THAT(TriggerWords({{"modelspec.trigger_phrase", "line art, ink"}}), ElementsAre("line art", "ink"));
  for (const char* odd : {"", "[", "[1]", R"({"a": 1})", R"({"a": {"b": "c"}})"}) {
    EXPECT_TRUE(TriggerWords({{"ss_tag_frequency", odd}}).empty()) << odd;
  }
}

TEST(LoraCardTest, SaysHowARequestIsBestPainted) {
  const std::string folder = FreshFolder("card");
  EXPECT_TRUE(ReadLoraCard(folder + "/none.json").ok());
  WriteFile(folder + "/a.json", R"({"name": "a", "display_name": "A", "trigger_words": ["ink"],
                                    "defaults": {"sampler": "LCM", "steps": 4, "guidance_scale": 1}})");
  const auto card = ReadLoraCard(folder + "/a.json");
  ASSERT_TRUE(card.ok()) << card.status();
  EXPECT_EQ(card->display_name, "A");
  EXPECT_THAT(card->trigger_words.value(), ElementsAre("ink"));
  EXPECT_EQ(card->defaults.steps, 4);
  for (const char* odd : {R"({"colour": 1})", R"({"trigger_words": "ink"})", R"({"defaults": []})",
                          R"({"defaults": {"width": 64}})", R"({"defaults": {"steps": "4"}})"}) {
    WriteFile(folder + "/odd.json", odd);
    EXPECT_FALSE(ReadLoraCard(folder + "/odd.json").ok()) << odd;
  }
}

TEST(RowAdaptersTest, ChangeTheirRowsAndNoOthers) {
  const c10::InferenceMode no_autograd;
  at::manual_seed(1);
  NetworkAdapter adapter;
  adapter.sites.resize(2);
  adapter.sites[1] = {.down = at::randn({2, 6}), .up = at::randn({4, 2})};
  const auto shared = std::make_shared<const NetworkAdapter>(adapter);
  const at::Tensor x = at::randn({5, 3, 6});
  const at::Tensor plain = at::randn({5, 3, 10});
  at::Tensor y = plain.clone();
  const RowAdapters adapters({{shared, 1, 2, 0.5f}, {shared, 4, 1, -2.0f}});
  const std::vector<SiteColumns> parts = {{0, 0, 4}, {1, 5, 4}};
  adapters.AddTo(parts, x, y);
  at::Tensor expected = plain.clone();
  const at::Tensor all = x.matmul(adapter.sites[1].down.t()).matmul(adapter.sites[1].up.t());
  expected.slice(0, 1, 3).slice(2, 5, 9).add_(all.slice(0, 1, 3) * 0.5);
  expected.slice(0, 4, 5).slice(2, 5, 9).add_(all.slice(0, 4, 5) * -2.0);
  EXPECT_TRUE(at::allclose(y, expected, 1e-5, 1e-5));
  for (const int64_t row : {0, 3}) EXPECT_TRUE(at::equal(y[row], plain[row]));
}

}  // namespace
}  // namespace stepcast::model
