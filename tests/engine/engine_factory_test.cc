#include "engine/engine_factory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "sampling/compile.h"

namespace stepcast {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

std::string Emoji() { return std::string(STEPCAST_SOURCE_DIR) + "/models/emoji"; }

EngineOptions Options() {
  EngineOptions options;
  options.models = {{.id = "emoji", .path = Emoji()}};
  options.device = "cpu";
  return options;
}

TEST(CreateEngineTest, RefusesBadOptionsBeforeItLoadsAnything) {
  struct Case {
    const char* name;
    void (*change)(EngineOptions&);
    absl::StatusCode code;
    const char* message;
  };
  const Case cases[] = {
      {"no models", [](EngineOptions& o) { o.models.clear(); }, absl::StatusCode::kInvalidArgument, "models is empty"},
      {"twice", [](EngineOptions& o) { o.models.push_back(o.models[0]); }, absl::StatusCode::kInvalidArgument,
       "'emoji' is used twice"},
      {"rows", [](EngineOptions& o) { o.max_rows = 1; }, absl::StatusCode::kInvalidArgument, "max_rows is 1"},
      {"cache", [](EngineOptions& o) { o.embedding_cache_entries = -1; }, absl::StatusCode::kInvalidArgument,
       "embedding_cache_entries is -1"},
      {"device", [](EngineOptions& o) { o.device = "tpu"; }, absl::StatusCode::kInvalidArgument, "device is 'tpu'"},
      {"dtype", [](EngineOptions& o) { o.dtype = "int4"; }, absl::StatusCode::kInvalidArgument, "dtype is 'int4'"},
      {"threads", [](EngineOptions& o) { o.threads = -2; }, absl::StatusCode::kInvalidArgument, "threads is -2"},
  };
  NullEngineMetrics metrics;
  for (const Case& test : cases) {
    EngineOptions options = Options();
    test.change(options);
    const absl::Status status = CreateEngine(options, metrics).status();
    EXPECT_EQ(status.code(), test.code) << test.name << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(test.message)) << test.name;
  }
}

TEST(CreateEngineTest, AModelThatIsNotThereIsNamedWithItsPath) {
  NullEngineMetrics metrics;
  EngineOptions options = Options();
  options.models = {{.id = "ghost", .path = testing::TempDir() + "/no-such-model"}};
  const absl::Status status = CreateEngine(options, metrics).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("model 'ghost'"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("no-such-model"));
}

TEST(CreateEngineTest, LoadsTheBundledModelAndSaysWhatItCanPaint) {
  NullEngineMetrics metrics;
  EngineOptions options = Options();
  options.max_rows = 6;
  absl::StatusOr<LoadedEngine> engine = CreateEngine(options, metrics);
  ASSERT_TRUE(engine.ok()) << engine.status();
  EXPECT_EQ(engine->device, "cpu");
  ASSERT_EQ(engine->models.size(), 1u);
  const ModelInfo& info = *engine->models[0];
  EXPECT_EQ(info.id, "emoji");
  EXPECT_EQ(info.dtype, "fp32");
  EXPECT_THAT(info.samplers, IsSupersetOf({Sampler::kDdpm, Sampler::kDdim, Sampler::kEuler, Sampler::kUnipc}));
  EXPECT_THAT(info.samplers, Not(Contains(Sampler::kEdmEuler))) << "for other models";
  EXPECT_EQ(engine->executor->Limits().max_denoise_rows, 6);
}

TEST(EngineEnvironmentTest, BoundsTheSpinningOfOpenMp) {
  const auto& defaults = EngineEnvironment();
  const auto spin = std::ranges::find_if(
      defaults, [](const EnvironmentDefault& entry) { return std::string_view(entry.name) == "GOMP_SPINCOUNT"; });
  ASSERT_NE(spin, defaults.end());
  EXPECT_LE(std::stoi(spin->value), 1000);
}

}  // namespace
}  // namespace stepcast
