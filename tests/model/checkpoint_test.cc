// What a single-file checkpoint is, told from names and shapes alone.

#include "model/single_file/checkpoint.h"

#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "model/files/json_config.h"
#include "model/single_file/foreign_files.h"
#include "model/single_file/name_rules.h"
#include "model/text_encoder/clip_text_model.h"
#include "model/unet/unet_2d_condition_model.h"
#include "model/vae/autoencoder_kl.h"
#include "tests/model/checkpoint_shapes.h"
#include "tests/model/safetensors_writer.h"

namespace stepcast::model {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

absl::StatusOr<Checkpoint> Detect(const ShapeList& list, const std::string& name = "model") {
  PredictionEvidence evidence;
  evidence.name = name;
  return DetectCheckpoint(TensorListing(list.header()), evidence);
}

std::string Refusal(const ShapeList& list) { return std::string(Detect(list).status().message()); }

std::string Decided(const Checkpoint& checkpoint, const std::string& about) {
  for (const ModelDecision& decision : checkpoint.decisions) {
    if (decision.about == about) return decision.value + " from " + decision.source;
  }
  return "";
}

// The shapes under which a component sees the tensors of a file.
std::map<std::string, Shape> ShapesOf(const ShapeList& list, const ViewRule& rule, NameRule rename = nullptr) {
  std::map<std::string, Shape> shapes;
  for (const TensorEntry& entry : list.header().tensors) {
    for (const TensorView& view : rule(entry)) {
      Shape shape = entry.shape;
      if (view.rows >= 0) shape.front() = view.rows;
      if (view.transposed) shape = {shape[1], shape[0]};
      const std::string name = rename == nullptr ? view.name : rename(view.name);
      if (name.empty()) continue;
      EXPECT_TRUE(shapes.emplace(name, shape).second) << name;
    }
  }
  return shapes;
}

JsonConfig Config(const nlohmann::json& json) { return *JsonConfig::Parse(json.dump(), "test"); }

// Every tensor that the network asks for is there in its shape, and nothing else but `beside`.
void ExpectSame(std::map<std::string, Shape> file, const WeightMap& network, const std::vector<std::string>& beside) {
  for (const auto& [name, shape] : network.requested()) {
    ASSERT_TRUE(file.contains(name)) << name;
    Shape stored = file[name];
    if (stored.size() == 4 && shape.size() == 2) stored.resize(2);  // 1x1 convolutions are read as matrices
    EXPECT_EQ(stored, shape) << name;
    file.erase(name);
  }
  for (const auto& [name, shape] : file) {
    bool expected = false;
    for (const std::string& prefix : beside) expected |= name.rfind(prefix, 0) == 0;
    EXPECT_TRUE(expected) << name << " is not asked for";
  }
}

struct Counts {
  size_t file, unet, unet_parameters, vae;
  std::vector<size_t> texts, text_parameters;
};

void ExpectCounts(const ShapeList& list, const Counts& counts) {
  EXPECT_EQ(list.header().tensors.size(), counts.file);
  const auto checkpoint = Detect(list);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_THAT(checkpoint->warnings, IsEmpty());

  const auto unet_json =
      UNetConfigJson(checkpoint->unet, checkpoint->family == CheckpointFamily::kStableDiffusion1, 64);
  ASSERT_TRUE(unet_json.ok()) << unet_json.status();
  JsonConfig unet_config = Config(*unet_json);
  const auto unet = ParseUNetConfig(unet_config);
  ASSERT_TRUE(unet.ok()) << unet.status();
  WeightMap unet_weights;
  const UNet2DConditionModel network(unet_weights, *unet);
  const auto unet_shapes = ShapesOf(list, UNetNames(checkpoint->unet));
  EXPECT_EQ(unet_shapes.size(), counts.unet);
  EXPECT_EQ(unet_weights.parameter_count(), static_cast<int64_t>(counts.unet_parameters));
  ExpectSame(unet_shapes, unet_weights, {});

  ASSERT_TRUE(checkpoint->vae.has_value());
  JsonConfig vae_config = Config(VaeConfigJson(*checkpoint->vae, {.scaling_factor = 0.18215, .force_upcast = false}));
  const auto vae = ParseAutoencoderConfig(vae_config);
  ASSERT_TRUE(vae.ok()) << vae.status();
  WeightMap vae_weights;
  const AutoencoderKL codec(vae_weights, *vae, /*with_encoder=*/true);
  const auto vae_shapes = ShapesOf(list, VaeNames(kVaePrefix, 4), &CanonicalAutoencoderName);
  EXPECT_EQ(vae_shapes.size(), counts.vae);
  ExpectSame(vae_shapes, vae_weights, {});

  ASSERT_EQ(checkpoint->texts.size(), counts.texts.size());
  for (size_t i = 0; i < counts.texts.size(); ++i) {
    const CheckpointText& text = checkpoint->texts[i];
    const bool projection = counts.texts[i] == 517;  // the only tower whose projection is read
    const auto json = TextConfigJson(text.layout, text.place.naming, projection);
    ASSERT_TRUE(json.ok()) << json.status();
    JsonConfig config = Config(*json);
    const auto parsed = ParseClipTextConfig(config, projection ? "CLIPTextModelWithProjection" : "CLIPTextModel");
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    WeightMap weights;
    const ClipTextModel tower(weights, *parsed);
    const auto shapes = ShapesOf(list, TextNames(text.place, text.layout.layers), &CanonicalClipName);
    EXPECT_EQ(weights.requested().size(), counts.texts[i]);
    EXPECT_EQ(weights.parameter_count(), static_cast<int64_t>(counts.text_parameters[i]));
    ExpectSame(shapes, weights, {"text_projection."});
  }
}

TEST(Checkpoint, EveryTensorOfStableDiffusion1IsAccountedFor) {
  ExpectCounts(ShapeList(Sd1Shape()), {1131, 686, 859'520'964, 248, {196}, {123'060'480}});
}

TEST(Checkpoint, EveryTensorOfStableDiffusion2IsAccountedFor) {
  ExpectCounts(ShapeList(Sd2Shape()), {1228, 686, 865'910'724, 248, {372}, {340'387'840}});
}

TEST(Checkpoint, EveryTensorOfStableDiffusionXlIsAccountedFor) {
  ExpectCounts(ShapeList(SdxlShape()), {2515, 1680, 2'567'463'684, 248, {196, 517}, {123'060'480, 694'659'840}});
}

TEST(Checkpoint, EveryTensorOfTheRefinerIsAccountedFor) {
  const ShapeList list(SdxlRefinerShape());
  ExpectCounts(list, {1858, 1220, 2'259'526'660, 248, {517}, {694'659'840}});
  EXPECT_EQ(Detect(list)->family, CheckpointFamily::kStableDiffusionXlRefiner);
}

TEST(Checkpoint, WhatTrainingLeftBehindIsPassedOverWithoutAWord) {
  ShapeList list(Sd1Shape());
  for (const char* name :
       {"betas", "alphas_cumprod", "alphas_cumprod_prev", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod",
        "log_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod", "sqrt_recipm1_alphas_cumprod",
        "posterior_variance", "posterior_log_variance_clipped", "posterior_mean_coef1", "posterior_mean_coef2"}) {
    list.Add(name, {1000});
  }
  EXPECT_EQ(list.header().tensors.size(), 1143u);
  list.Add("model_ema.decay", {})
      .Add("model_ema.num_updates", {})
      .Add("model_ema.diffusion_modeltime_embed0weight", {4});
  list.Add("logvar", {1000}).Add("global_step", {}).Add("cond_stage_model.transformer.text_model.logit_scale", {});
  const auto checkpoint = Detect(list);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_THAT(checkpoint->warnings, IsEmpty());
  list.Add("stranger.weight", {1});
  EXPECT_THAT(Detect(list)->warnings, ElementsAre(AllOf(HasSubstr("1 tensors"), HasSubstr("stranger.weight"))));
}

TEST(Checkpoint, TextEncodersMayLackALevelOfTheirNames) {
  CheckpointShape shape = Sd1Shape();
  shape.clip_prefix = "cond_stage_model.transformer.";
  ExpectCounts(ShapeList(shape), {1131, 686, 859'520'964, 248, {196}, {123'060'480}});
}

TEST(Checkpoint, StableDiffusion2ThatWasWrittenBackHasItsLastLayerAlready) {
  CheckpointShape shape = Sd2Shape();
  shape.open_layers = 23;
  ShapeList list(shape);
  list.Drop("cond_stage_model.model.text_projection").Drop("cond_stage_model.model.logit_scale");
  const auto checkpoint = Detect(list);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->texts.at(0).layout.layers, 23);
  EXPECT_EQ(Decided(*checkpoint, "text_layers"), "");
}

TEST(Checkpoint, NamesInAWrapperAreTheSame) {
  ShapeList list(Sd1Shape());
  SafetensorsHeader wrapped;
  for (TensorEntry entry : list.header().tensors) {
    entry.name = "state_dict." + entry.name;
    wrapped.tensors.push_back(entry);
  }
  EXPECT_TRUE(DetectCheckpoint(TensorListing(wrapped), {}).ok());
}

// What a file of Stable Diffusion XL says, and what is made of it.
struct Evidence {
  std::vector<std::string> tensors;
  std::map<std::string, std::string> metadata;
  std::string name;
  const char* prediction;
  const char* zero;
  const char* warning;  // "": none
};

const Evidence kEvidence[] = {
    {{}, {}, "illustriousXL_v01", "epsilon from no tensor", "false from no tensor", ""},
    {{"v_pred"}, {}, "x", "v_prediction from the tensor v_pred", "false from no tensor", ""},
    {{"v_pred", "ztsnr"}, {}, "x", "v_prediction from the tensor v_pred", "true from the tensor ztsnr", ""},
    {{"v_pred"}, {{"modelspec.prediction_type", "epsilon"}}, "x", "v_prediction from the tensor", "false", ""},
    {{},
     {{"modelspec.prediction_type", "v"}},
     "x",
     "v_prediction from the metadata modelspec.prediction_type 'v'",
     "false",
     ""},
    {{}, {{"modelspec.prediction_type", "v_prediction"}}, "x", "v_prediction from the metadata", "false", ""},
    {{}, {{"modelspec.prediction_type", "epsilon"}}, "a_vpred", "epsilon from the metadata", "false", ""},
    {{}, {{"modelspec.prediction_type", "flow"}}, "x", "epsilon from no tensor", "false", "'flow' is not known"},
    {{},
     {{"ss_v_parameterization", "True"}, {"ss_zero_terminal_snr", "True"}},
     "x",
     "v_prediction from the metadata ss_v_parameterization",
     "true from the metadata ss_zero_terminal_snr",
     ""},
    {{},
     {{"ss_v_parameterization", "False"}},
     "x_vpred",
     "epsilon from the metadata ss_v_parameterization",
     "false",
     ""},
    {{"ztsnr"},
     {},
     "x",
     "epsilon from no tensor",
     "false from the tensor ztsnr is passed over",
     "prediction_type: v_prediction"},
    {{}, {}, "noobaiXL_vPred10", "epsilon from no tensor", "false", "prediction_type: v_prediction"},
    {{}, {}, "Noob V-Pred 0.9", "epsilon from no tensor", "false", "prediction_type: v_prediction"},
    {{},
     {{"modelspec.title", "Mix v-prediction"}},
     "x",
     "epsilon from no tensor",
     "false",
     "'Mix v-prediction' suggests"},
};

TEST(Checkpoint, PredictionIsTakenFromWhatIsTrustedMost) {
  for (const Evidence& evidence : kEvidence) {
    ShapeList list(SdxlShape());
    for (const std::string& tensor : evidence.tensors) list.Add(tensor, {0});
    for (const auto& [key, value] : evidence.metadata) list.Meta(key, value);
    const auto checkpoint = Detect(list, evidence.name);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    EXPECT_THAT(Decided(*checkpoint, "prediction_type"), testing::StartsWith(evidence.prediction)) << evidence.name;
    EXPECT_THAT(Decided(*checkpoint, "zero_terminal_snr"), testing::StartsWith(evidence.zero)) << evidence.name;
    if (std::string(evidence.warning).empty()) {
      EXPECT_THAT(checkpoint->warnings, IsEmpty()) << evidence.name;
    } else {
      EXPECT_THAT(checkpoint->warnings, ElementsAre(HasSubstr(evidence.warning))) << evidence.name;
    }
  }
}

TEST(Checkpoint, TheOperatorsWordWins) {
  ShapeList list(SdxlShape());
  list.Add("v_pred", {0}).Add("ztsnr", {0});
  PredictionEvidence evidence;
  evidence.operators_prediction = PredictionType::kEpsilon;
  evidence.operators_zero_terminal_snr = false;
  evidence.operators_source = "the card x.json";
  const auto checkpoint = DetectCheckpoint(TensorListing(list.header()), evidence);
  ASSERT_TRUE(checkpoint.ok());
  EXPECT_EQ(Decided(*checkpoint, "prediction_type"), "epsilon from the card x.json");
  EXPECT_EQ(Decided(*checkpoint, "zero_terminal_snr"), "false from the card x.json");
}

TEST(Checkpoint, StableDiffusion2IsToldByTheSpreadOfABias) {
  struct Case {
    StoredType type;
    std::string low, high;  // the bytes of one value each
  };
  const auto bytes = [](auto value) { return std::string(reinterpret_cast<const char*>(&value), sizeof(value)); };
  const Case cases[] = {{StoredType::kF32, bytes(-0.1F), bytes(0.1F)},
                        {StoredType::kF16, bytes(uint16_t{0xAE66}), bytes(uint16_t{0x2E66})},
                        {StoredType::kBf16, bytes(uint16_t{0xBDCD}), bytes(uint16_t{0x3DCD})},
                        {StoredType::kF64, bytes(-0.1), bytes(0.1)}};
  for (const Case& at : cases) {
    for (const bool wide : {true, false}) {
      const ShapeList list(Sd2Shape());
      SafetensorsHeader header = list.header();
      for (TensorEntry& entry : header.tensors) entry.type = at.type;
      std::string data;
      for (int i = 0; i < 320; ++i) data += wide && i % 2 == 0 ? at.low : at.high;
      PredictionEvidence evidence;
      evidence.bytes = [&](const TensorEntry&) { return data; };
      const auto checkpoint = DetectCheckpoint(TensorListing(header), evidence);
      ASSERT_TRUE(checkpoint.ok());
      EXPECT_THAT(Decided(*checkpoint, "prediction_type"),
                  AllOf(HasSubstr(wide ? "v_prediction" : "epsilon"), HasSubstr("output_blocks.11.1")));
      EXPECT_THAT(checkpoint->warnings, ElementsAre(HasSubstr("set prediction_type")));
    }
  }
}

TEST(Checkpoint, WhatLooksAtPicturesIsOfTheFamily) {
  for (const int channels : {8, 9}) {
    for (CheckpointShape shape : {Sd1Shape(), Sd2Shape(), SdxlShape()}) {
      shape.in_channels = channels;
      const auto checkpoint = Detect(ShapeList(shape));
      ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
      EXPECT_EQ(checkpoint->unet.in_channels, channels);
    }
  }
}

TEST(Checkpoint, RelativesAreRefusedByName) {
  const auto with = [](CheckpointShape shape, auto change) {
    change(shape);
    return ShapeList(shape);
  };
  EXPECT_THAT(Refusal(with(Sd2Shape(), [](auto& s) { s.in_channels = 7; })), HasSubstr("upscaling"));
  EXPECT_THAT(Refusal(with(Sd2Shape(), [](auto& s) { s.in_channels = 5; })), HasSubstr("depth"));
  EXPECT_THAT(Refusal(with(SdxlShape(), [](auto& s) { s.depths = {0, 2, 4}, s.mid_depth = 0; })), HasSubstr("SSD-1B"));
  EXPECT_THAT(Refusal(with(SdxlShape(), [](auto& s) { s.depths = {0, 1, 2}, s.mid_depth = 0; })), HasSubstr("Vega"));
  EXPECT_THAT(Refusal(with(SdxlShape(), [](auto& s) { s.depths = {0, 2, 6}, s.layers = 1; })), HasSubstr("KOALA 1B"));
  ShapeList playground(SdxlShape());
  playground.Add("edm_mean", {1, 4, 1, 1}).Add("edm_std", {1, 4, 1, 1});
  EXPECT_THAT(Refusal(playground), HasSubstr("Playground"));
  ShapeList cosxl(SdxlShape());
  cosxl.Add("edm_vpred.sigma_max", {});
  EXPECT_THAT(Refusal(cosxl), HasSubstr("CosXL"));
  ShapeList scaled(SdxlShape());
  scaled.Add("scaled_fp8", {2});
  EXPECT_THAT(Refusal(scaled), AllOf(HasSubstr("scaled fp8"), HasSubstr("fp16")));
  SafetensorsHeader fp8 = ShapeList(Sd1Shape()).header();
  for (TensorEntry& entry : fp8.tensors) {
    entry.type = StoredType::kUnread;
    entry.dtype = "F8_E4M3";
  }
  EXPECT_THAT(std::string(DetectCheckpoint(TensorListing(fp8), {}).status().message()),
              AllOf(HasSubstr("F8_E4M3"), HasSubstr("fp16")));
  ShapeList nf4(Sd1Shape());
  nf4.Add("model.diffusion_model.out.2.weight.quant_state.bitsandbytes__nf4", {80});
  EXPECT_THAT(Refusal(nf4), HasSubstr("4-bit"));
  ShapeList no_text(Sd1Shape());
  no_text.Drop("cond_stage_model.");
  EXPECT_THAT(Refusal(no_text), AllOf(HasSubstr("no text encoder"), HasSubstr("768")));
}

TEST(Checkpoint, StableDiffusion2InItsLaterNamingIsNoRefiner) {
  CheckpointShape shape = Sd2Shape();
  shape.open_prefix = "conditioner.embedders.0.model.";
  const auto checkpoint = Detect(ShapeList(shape));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->family, CheckpointFamily::kStableDiffusion2);
}

TEST(Checkpoint, FilesOfOtherKindsAreNamed) {
  const std::pair<const char*, const char*> kKinds[] = {
      {"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight", "a LoRA"},
      {"unet.down_blocks.0.attentions.0.proj_in.lora_A.weight", "a LoRA"},
      {"control_model.input_blocks.0.0.weight", "a ControlNet"},
      {"controlnet_cond_embedding.conv_in.weight", "a ControlNet"},
      {"image_proj.proj.weight", "an IP-Adapter"},
      {"emb_params", "a textual inversion"},
      {"model.diffusion_model.double_blocks.0.img_attn.qkv.weight", "Flux"},
      {"double_blocks.0.img_attn.qkv.weight", "Flux"},
      {"model.diffusion_model.joint_blocks.0.context_block.attn.qkv.weight", "Stable Diffusion 3"},
      {"transformer_blocks.0.attn.add_q_proj.weight", "transformer"},
      {"down_blocks.0.resnets.0.conv1.weight", "a U-Net in diffusers layout"},
      {"decoder.up_blocks.0.resnets.0.conv1.weight", "an autoencoder"},
      {"decoder.up.0.block.0.conv1.weight", "an autoencoder"},
      {"text_model.encoder.layers.0.mlp.fc1.weight", "a text encoder"},
      {"input_blocks.0.0.weight", "a U-Net alone"},
      {"something.else", "no checkpoint of Stable Diffusion"},
  };
  for (const auto& [tensor, kind] : kKinds) {
    SafetensorsHeader header;
    TensorEntry entry;
    entry.name = tensor;
    header.tensors.push_back(entry);
    const absl::Status status = DetectCheckpoint(TensorListing(header), {}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << tensor;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(kind), HasSubstr(tensor)));
  }
  EXPECT_THAT(std::string(DetectCheckpoint(TensorListing(SafetensorsHeader()), {}).status().message()),
              HasSubstr("no tensors"));
}

TEST(Checkpoint, PicklesAndOtherFormatsAreToldByEndOrFirstBytes) {
  const std::string folder = FreshFolder("formats");
  const std::pair<const char*, std::string> kFiles[] = {{"a.ckpt", "anything"},
                                                        {"b.PT", ""},
                                                        {"c.bin", ""},
                                                        {"d.pth", ""},
                                                        {"e.safetensors", std::string("PK\x03\x04", 4)},
                                                        {"f.safetensors", std::string("\x80\x02}q", 4)}};
  for (const auto& [name, bytes] : kFiles) {
    WriteFile(folder + "/" + name, bytes);
    const absl::Status status = RefuseOtherFormats(folder + "/" + name);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << name;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(name), HasSubstr("pickle"), HasSubstr("save_file")))
        << name;
  }
  WriteFile(folder + "/g.gguf", "GGUF");
  EXPECT_THAT(std::string(RefuseOtherFormats(folder + "/g.gguf").message()), HasSubstr("GGUF"));
  WriteFile(folder + "/h.safetensors", SafetensorsBytes("{}", ""));
  EXPECT_EQ(RefuseOtherFormats(folder + "/h.safetensors"), absl::OkStatus());
  // Whoever opened a pipe would wait for its writer.
  ASSERT_EQ(mkfifo((folder + "/p.safetensors").c_str(), 0600), 0);
  EXPECT_EQ(RefuseOtherFormats(folder + "/p.safetensors"), absl::OkStatus());
  // 640 bytes of header: the length begins like a pickle.
  WriteFile(folder + "/i.safetensors", SafetensorsBytes("{}" + std::string(638, ' '), ""));
  EXPECT_EQ(RefuseOtherFormats(folder + "/i.safetensors"), absl::OkStatus());
}

TEST(Checkpoint, BrokenLayoutsNameTheTensor) {
  ShapeList no_layer(Sd1Shape());
  no_layer.Drop("model.diffusion_model.input_blocks.5.0.in_layers.2.weight");
  EXPECT_THAT(Refusal(no_layer), HasSubstr("input_blocks.5.0.in_layers.2.weight"));
  ShapeList no_end(Sd1Shape());
  no_end.Drop("model.diffusion_model.output_blocks.11.");
  EXPECT_THAT(Refusal(no_end), HasSubstr("output_blocks"));
  ShapeList no_decoder(Sd1Shape());
  no_decoder.Drop("first_stage_model.decoder.");
  EXPECT_THAT(Refusal(no_decoder), HasSubstr("lacks its decoder"));
  ShapeList no_tokens(Sd1Shape());
  no_tokens.Drop("cond_stage_model.transformer.text_model.embeddings.token");
  EXPECT_THAT(Refusal(no_tokens), HasSubstr("token_embedding"));
}

}  // namespace
}  // namespace stepcast::model
