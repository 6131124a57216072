#include "engine/start/engine_factory.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/clock.h"
#include "core/cpu_budget.h"
#include "model/layers/native_bfloat16.h"
#include "tests/support/await.h"

namespace stepcast {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
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
      {"strict 1", [](EngineOptions& o) { o.strict_rows = 1; }, absl::StatusCode::kInvalidArgument, "strict_rows is 1"},
      {"strict above rows", [](EngineOptions& o) { o.strict_rows = 17; }, absl::StatusCode::kInvalidArgument,
       "2 to max_rows (16)"},
      {"replicas", [](EngineOptions& o) { o.replicas = 0; }, absl::StatusCode::kInvalidArgument, "replicas is 0"},
      {"replicas of devices",
       [](EngineOptions& o) {
         o.replicas = 2;
         o.devices = {"cpu"};
       },
       absl::StatusCode::kInvalidArgument, "exclude each other"},
      {"device twice", [](EngineOptions& o) { o.devices = {"cpu", "cpu"}; }, absl::StatusCode::kInvalidArgument,
       "cpu is there twice"},
      {"residents", [](EngineOptions& o) { o.max_resident_jobs = 0; }, absl::StatusCode::kInvalidArgument,
       "max_resident_jobs is 0"},
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

TEST(CreateEngineTest, AModelThatCannotBeLoadedStopsNoOther) {
  const std::string broken = testing::TempDir() + "/stepcast_broken_model";
  std::filesystem::create_directories(broken);
  std::ofstream(broken + "/model_index.json") << "{";
  NullEngineMetrics metrics;
  EngineOptions options = Options();
  options.warm_up = false;
  options.replicas = 2;
  options.threads = 5;
  options.models = {{.id = "broken", .path = broken},
                    options.models[0],
                    {.id = "ghost", .path = testing::TempDir() + "/no-such-model"}};
  const absl::StatusOr<LoadedEngine> engine = CreateEngine(options, metrics);
  ASSERT_TRUE(engine.ok()) << engine.status();
  ASSERT_EQ(engine->models.size(), 1u);
  EXPECT_EQ(engine->models[0]->id, "emoji");
  ASSERT_EQ(engine->refused.size(), 2u);
  EXPECT_EQ(engine->refused[0].id, "broken");
  EXPECT_THAT(engine->refused[0].why, HasSubstr("model 'broken' in '" + broken + "': "));
  EXPECT_THAT(engine->refused[1].why, HasSubstr("model 'ghost'"));
  ASSERT_EQ(engine->devices.size(), 2u);
  for (const LoadedDevice& device : engine->devices) {
    EXPECT_EQ(device.threads, 2) << "5 threads, divided";
    EXPECT_TRUE(device.executor->RunSynthetic(engine->profile_keys.back(), 1).ok());
  }
  EXPECT_THAT(engine->cost_fingerprint, HasSubstr(" threads=5/"));
}

TEST(CreateEngineTest, ThreadsThatNobodyNamedAreThoseThatTheProcessMayUse) {
  NullEngineMetrics metrics;
  EngineOptions options = Options();
  options.warm_up = false;
  const absl::StatusOr<LoadedEngine> engine = CreateEngine(options, metrics);
  ASSERT_TRUE(engine.ok()) << engine.status();
  const int threads = ReadCpuBudget().threads;
  EXPECT_EQ(engine->devices[0].threads, threads);
  EXPECT_THAT(engine->cost_fingerprint, HasSubstr(absl::StrCat(" threads=", threads, "/")));
}

TEST(CreateEngineTest, LoadsTheBundledModelAndSaysWhatItCanPaint) {
  NullEngineMetrics metrics;
  EngineOptions options = Options();
  options.max_rows = 6;
  absl::StatusOr<LoadedEngine> engine = CreateEngine(options, metrics);
  ASSERT_TRUE(engine.ok()) << engine.status();
  ASSERT_EQ(engine->devices.size(), 1u);
  EXPECT_EQ(engine->devices[0].name, "cpu");
  ASSERT_EQ(engine->models.size(), 1u);
  const ModelInfo& info = *engine->models[0];
  EXPECT_EQ(info.id, "emoji");
  EXPECT_EQ(info.dtype, "fp32");
  EXPECT_THAT(info.samplers, IsSupersetOf({Sampler::kDdpm, Sampler::kDdim, Sampler::kEuler, Sampler::kUnipc}));
  EXPECT_THAT(info.samplers, Not(Contains(Sampler::kEdmEuler))) << "for other models";
  EXPECT_EQ(engine->devices[0].executor->Limits().max_denoise_rows, 6);
}

TEST(CreateEngineTest, TheEntryWinsOverTheCardAndTheCardOverTheServer) {
  NullEngineMetrics metrics;
  EngineOptions options = Options();
  options.warm_up = false;
  options.dtype = "bf16";
  const absl::StatusOr<LoadedEngine> card = CreateEngine(options, metrics);
  ASSERT_TRUE(card.ok()) << card.status();
  EXPECT_EQ(card->models[0]->dtype, "fp32");
  EXPECT_THAT(card->warnings,
              Contains(HasSubstr("unet computes in fp32, as " + Emoji() + "/model.json says, not in bf16")));

  options.models[0].card.dtype = {.whole = Dtype::kBf16, .parts = {{"vae", Dtype::kFp32}}};
  const absl::StatusOr<LoadedEngine> entry = CreateEngine(options, metrics);
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(DescribeDtypes(*entry->models[0]), "bf16, vae fp32");
  EXPECT_THAT(entry->cost_fingerprint, HasSubstr("@bf16, vae fp32"));
  EXPECT_THAT(entry->warnings, testing::IsEmpty());
  for (const BatchKey& key : entry->profile_keys) EXPECT_TRUE(entry->devices[0].executor->RunSynthetic(key, 2).ok());

  options.models[0].card.dtype = {.parts = {{"text_encoder_2", Dtype::kFp32}}};
  EXPECT_THAT(std::string(CreateEngine(options, metrics).status().message()),
              HasSubstr("dtype.text_encoder_2: the model has no such part; allowed: text_encoder, unet, vae"));
}

TEST(CreateEngineTest, AutoIsNeverSlowerThanItNeedBe) {
  NullEngineMetrics metrics;
  EngineOptions options = Options();
  options.warm_up = false;
  options.models[0].card.dtype.whole = Dtype::kAuto;
  const absl::StatusOr<LoadedEngine> engine = CreateEngine(options, metrics);
  ASSERT_TRUE(engine.ok()) << engine.status();
  EXPECT_EQ(engine->models[0]->dtype, model::HasNativeBfloat16() ? "bf16" : "fp32");
}

TEST(CreateEngineTest, SaysOnceThatLayoutsOfOtherSizesFindNoRoom) {
  NullEngineMetrics metrics;
  EngineOptions options = Options();
  options.warm_up = false;
  options.models[0].packed_bytes = 0;
  std::vector<std::string> notices;
  options.log_notice = [&](std::string_view text) { notices.emplace_back(text); };
  const absl::StatusOr<LoadedEngine> engine = CreateEngine(options, metrics);
  ASSERT_TRUE(engine.ok()) << engine.status();
  for (const int cells : {24, 32, 20, 24}) {
    const BatchKey key = {.phase = Phase::kDenoise, .model = "emoji", .latent_height = cells, .latent_width = cells};
    EXPECT_TRUE(engine->devices[0].executor->RunSynthetic(key, 2).ok());
  }
  if (notices.empty()) GTEST_SKIP() << "here all these sizes share one layout";
  EXPECT_THAT(notices, ElementsAre(HasSubstr("model 'emoji': convolution weights for input sizes other than")));
}

TEST(CreateEngineTest, SaysWhatToProfileAndWhatCostsDependOn) {
  NullEngineMetrics metrics;
  EngineOptions options = Options();
  options.warm_up = false;
  options.threads = 1;
  absl::StatusOr<LoadedEngine> engine = CreateEngine(options, metrics);
  ASSERT_TRUE(engine.ok()) << engine.status();
  std::vector<std::string> keys;
  for (const BatchKey& key : engine->profile_keys) keys.push_back(key.ToString());
  EXPECT_THAT(keys, ElementsAre("encode:emoji", "encode_picture:emoji:16x16", "denoise:emoji:16x16",
                                "preview:emoji:16x16", "decode:emoji:16x16"));
  for (const BatchKey& key : engine->profile_keys) EXPECT_TRUE(engine->devices[0].executor->RunSynthetic(key, 2).ok());
  EXPECT_THAT(engine->cost_fingerprint, HasSubstr(engine->models[0]->sha256));

  options.threads = 2;
  const absl::StatusOr<LoadedEngine> other = CreateEngine(options, metrics);
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_NE(engine->cost_fingerprint, other->cost_fingerprint);
}

TEST(CreateEngineTest, StrictRowsAndResidentJobsAreLimitsOfTheExecutor) {
  NullEngineMetrics metrics;
  EngineOptions options = Options();
  options.warm_up = false;
  options.max_resident_jobs = 9;
  // On whatever machine this runs, some of them pass. What a server may be told, it must say of itself.
  int tested = 0;
  for (const int rows : {4, 12}) {
    options.strict_rows = rows;
    const absl::StatusOr<LoadedEngine> engine = CreateEngine(options, metrics);
    if (absl::IsFailedPrecondition(engine.status())) {
      GTEST_LOG_(WARNING) << "not tested on this machine: " << engine.status().message();
      EXPECT_THAT(std::string(engine.status().message()), HasSubstr("or strict_rows auto"));
      continue;
    }
    ASSERT_TRUE(engine.ok()) << engine.status();
    const ExecutorLimits limits = engine->devices[0].executor->Limits();
    EXPECT_EQ(limits.strict_rows, rows);
    EXPECT_EQ(limits.max_denoise_rows, rows);
    EXPECT_EQ(limits.RowCap(Phase::kDecode), 1);
    EXPECT_EQ(limits.max_resident_jobs, 9);
    EXPECT_EQ(engine->strict, "strict mode: every forward has " + std::to_string(rows) + " rows");
    ++tested;
  }
  if (tested == 0) GTEST_SKIP() << "no count passes on this machine";
}

TEST(CreateEngineTest, StrictModeIsToBeHadOnEveryMachine) {
  NullEngineMetrics metrics;
  EngineOptions options = Options();
  options.warm_up = false;
  options.strict_rows = kAutoStrictRows;
  const absl::StatusOr<LoadedEngine> engine = CreateEngine(options, metrics);
  ASSERT_TRUE(engine.ok()) << engine.status();
  const ExecutorLimits limits = engine->devices[0].executor->Limits();
  EXPECT_GE(limits.strict_rows, 2);
  EXPECT_EQ(limits.max_denoise_rows, limits.strict_rows);
  EXPECT_THAT(engine->strict, HasSubstr("strict mode: "));
  const absl::StatusOr<LoadedEngine> again = CreateEngine(options, metrics);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->devices[0].executor->Limits().strict_rows, limits.strict_rows) << "replicas agree";
  EXPECT_EQ(again->cost_fingerprint, engine->cost_fingerprint);
}

int LiveThreads() {
  const std::filesystem::directory_iterator threads("/proc/self/task");
  return static_cast<int>(std::distance(begin(threads), end(threads)));
}

// A second pool beside that of the engine thread made a picture of 20 steps take 1.4 times as long.
TEST(CreateEngineTest, LeavesNoOpenMpWorkersBehind) {
  at::set_num_threads(2);  // starts what LibTorch keeps for the process
  NullEngineMetrics metrics;
  EngineOptions options = Options();
  options.threads = 2;
  // From a thread that has no pool yet, as that of this test may have one.
  std::thread([&] {
    const int before = LiveThreads();
    const absl::StatusOr<LoadedEngine> engine = CreateEngine(options, metrics);
    ASSERT_TRUE(engine.ok()) << engine.status();
    // Workers that were told to go may still be on their way out.
    const absl::Time giving_up = RealClock().Now() + kAwaitLimit;
    while (LiveThreads() > before && RealClock().Now() < giving_up) std::this_thread::yield();
    EXPECT_EQ(LiveThreads(), before);
  }).join();
}

}  // namespace
}  // namespace stepcast
