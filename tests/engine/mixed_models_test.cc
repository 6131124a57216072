// Two models of one size and two dtypes in one executor: their pictures never share a forward, so each is to the last
// bit what it is alone; and a model that comes back paints what it painted.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/model_card.h"
#include "engine/start/engine_factory.h"
#include "scheduler/loop/engine_loop.h"
#include "tests/engine/picture_jobs.h"
#include "tests/support/recording_sink.h"

namespace stepcast::engine {
namespace {

ModelSource Emoji(const std::string& id, Dtype dtype) {
  ModelSource source{.id = id, .path = STEPCAST_SOURCE_DIR "/models/emoji"};
  source.card.dtype.whole = dtype;
  return source;
}

absl::StatusOr<LoadedEngine> Load(std::vector<ModelSource> models) {
  static NullEngineMetrics metrics;
  EngineOptions options;
  options.models = std::move(models);
  options.device = "cpu";
  options.threads = 1;
  options.warm_up = false;
  return CreateEngine(options, metrics);
}

SharedImage ImageOf(const RecordingSink& sink) {
  for (const JobEvent& event : sink.events()) {
    if (const JobImage* image = std::get_if<JobImage>(&event.what)) return image->image;
  }
  return nullptr;
}

// One picture of each of `models`, all in flight together.
std::vector<SharedImage> Paint(EngineLoop& loop, const std::vector<SharedModelInfo>& models) {
  std::vector<std::shared_ptr<RecordingSink>> sinks;
  for (const SharedModelInfo& model : models) {
    sinks.push_back(std::make_shared<RecordingSink>());
    const Picture picture = {.prompt = std::vector<int32_t>(77, 5),
                             .negative = std::vector<int32_t>(77, 1),
                             .width = 64,
                             .height = 64,
                             .steps = 4,
                             .seed = 7};
    JobSpec spec = MakePictureSpec(model, picture, sinks.back());
    spec.arrival = RealClock().Now();
    loop.Submit({std::move(spec)}, [](absl::StatusOr<Admission> admission) { EXPECT_TRUE(admission.ok()); });
  }
  std::vector<SharedImage> images;
  for (const auto& sink : sinks) {
    EXPECT_TRUE(sink->AwaitFinished(1));
    images.push_back(ImageOf(*sink));
  }
  return images;
}

std::unique_ptr<EngineLoop> LoopOf(LoadedEngine& engine) {
  static NullEngineMetrics metrics;
  return *EngineLoop::Create({}, std::move(engine.devices.front().executor), RealClock(), metrics);
}

TEST(MixedModelsTest, EachPictureIsWhatItIsAlone) {
  auto engine = Load({Emoji("full", Dtype::kFp32), Emoji("half", Dtype::kBf16)});
  ASSERT_TRUE(engine.ok()) << engine.status();
  ASSERT_EQ(engine->models.size(), 2u);
  EXPECT_EQ(engine->models[0]->dtype, "fp32");
  EXPECT_EQ(engine->models[1]->dtype, "bf16");
  const auto loop = LoopOf(*engine);
  const SharedImage full = Paint(*loop, {engine->models[0]})[0];
  const SharedImage half = Paint(*loop, {engine->models[1]})[0];
  ASSERT_TRUE(full != nullptr && half != nullptr);
  EXPECT_NE(full->pixels, half->pixels) << "they compute in different types";
  const std::vector<SharedImage> both = Paint(*loop, {engine->models[0], engine->models[1]});
  EXPECT_EQ(both[0]->pixels, full->pixels);
  EXPECT_EQ(both[1]->pixels, half->pixels);
}

TEST(MixedModelsTest, AModelThatComesBackPaintsWhatItPaintedWhileAnotherPaints) {
  auto engine = Load({Emoji("one", Dtype::kFp32), Emoji("two", Dtype::kFp32)});
  ASSERT_TRUE(engine.ok()) << engine.status();
  const auto loop = LoopOf(*engine);
  const SharedImage before = Paint(*loop, {engine->models[0]})[0];
  engine->host->Unload("one");
  const SharedImage other = Paint(*loop, {engine->models[1]})[0];
  const auto back = engine->host->Load("one");
  ASSERT_TRUE(back.ok()) << back.status();
  const std::vector<SharedImage> after = Paint(*loop, {back->info, engine->models[1]});
  ASSERT_TRUE(before != nullptr && other != nullptr && after[0] != nullptr);
  EXPECT_EQ(after[0]->pixels, before->pixels);
  EXPECT_EQ(after[1]->pixels, other->pixels);
}

}  // namespace
}  // namespace stepcast::engine
