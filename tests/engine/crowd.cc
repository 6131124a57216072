#include "tests/engine/crowd.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "core/sha256.h"
#include "engine/job/denoise_state.h"
#include "sampling/samplers/registry.h"
#include "scheduler/decide/policy.h"
#include "tests/support/shifted_lora.h"

namespace stepcast::engine {

std::vector<Visitor> RandomTraffic(int count, const ModelInfo& model, const ClipTokenizer& tokenizer,
                                   std::mt19937& random) {
  const char* const prompts[] = {"red apple", "a fox", "rocket", "sunflower", "panda", "grapes", "red heart",
                                 "pizza",     "tiger", "lemon",  "robot",     "cake",  "owl",    "banana"};
  const int sizes[][2] = {{32, 32}, {64, 64}, {48, 32}};
  const auto pick = [&random](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  std::vector<Visitor> traffic;
  for (int i = 0; i < count; ++i) {
    Visitor visitor;
    Picture& picture = visitor.picture;
    picture.prompt = tokenizer.Encode(prompts[pick(std::size(prompts))]).ids;
    picture.negative = tokenizer.Encode(pick(4) == 0 ? prompts[pick(std::size(prompts))] : "").ids;
    const int size = pick(10);
    picture.width = sizes[size < 6 ? 0 : size < 8 ? 1 : 2][0];
    picture.height = sizes[size < 6 ? 0 : size < 8 ? 1 : 2][1];
    picture.steps = 2 + pick(6);
    picture.sampler = model.samplers[static_cast<size_t>(i) % model.samplers.size()];
    if (picture.sampler == Sampler::kAnnealedLangevin) picture.steps = 2;  // of five evaluations each
    picture.guidance_scale = pick(4) == 0 ? 1.0 : 1.5 + 0.5 * pick(8);
    picture.guidance_rescale = pick(5) == 0 ? 0.7 : 0.0;
    picture.guidance_end = pick(5) == 0 ? 0.6 : 1.0;
    if (sampling::FindSampler(picture.sampler)->default_eta) picture.eta = 0.5 * pick(3);
    picture.seed = static_cast<int64_t>(random());
    picture.preview_every = pick(3) == 0 ? 1 : 0;
    visitor.joins_at = i < 8 ? 0 : pick(count);
    visitor.cancels_at = pick(6) == 0 ? visitor.joins_at + pick(6) : -1;
    traffic.push_back(std::move(visitor));
  }
  return traffic;
}

void MixRows(std::vector<Visitor>& traffic, const ClipTokenizer& tokenizer) {
  for (size_t i = 0; i < traffic.size(); i += 3) {
    traffic[i].rows = static_cast<RowKind>(1 + i / 3 % (kRowKinds - 1));
    traffic[i].second_prompt = tokenizer.Encode(i % 2 == 0 ? "blue heart" : "green tree").ids;
  }
}

void MixPictures(std::vector<Visitor>& traffic) {
  const Brought kinds[] = {{.strength = 0.7},
                           {.strength = 0.9, .masked = true},
                           {.strength = 0.8, .masked = true, .x0 = true, .noise_fill = true},
                           {.strength = 0.9, .masked = true, .differential = true},
                           {.strength = 1.0, .masked = true},
                           {.invert = true}};
  for (size_t i = 1; i < traffic.size(); i += 3) {
    Picture& picture = traffic[i].picture;
    picture.brought = kinds[i / 3 % std::size(kinds)];
    picture.brought->pattern = static_cast<int>(i % 4);
    const bool table = picture.sampler != Sampler::kSdeVe && picture.sampler != Sampler::kAnnealedLangevin;
    if (picture.brought->invert && !table) picture.brought->invert = false;
  }
  for (size_t i = 2; i < traffic.size(); i += 7) traffic[i].second_pass = true;
}

void MixPrompts(std::vector<Visitor>& traffic) {
  const auto longer = [](const std::vector<int32_t>& ids, int chunks, bool weighs, bool restores) {
    PromptTokens tokens{.ids = {{}}, .chunks = chunks};
    for (int i = 0; i < chunks; ++i) tokens.ids[0].insert(tokens.ids[0].end(), ids.begin(), ids.end());
    if (!weighs) return tokens;
    tokens.weights = {std::vector<float>(tokens.ids[0].size(), 1.0f)};
    for (size_t i = 1; i < tokens.ids[0].size(); i += 3) tokens.weights[0][i] = i % 2 == 0 ? 1.3f : 0.6f;
    tokens.restores_mean = restores;
    return tokens;
  };
  for (size_t i = 1; i < traffic.size(); i += 2) {
    Picture& picture = traffic[i].picture;
    const int chunks = 1 + static_cast<int>(i / 2 % 3);
    picture.tokens = longer(picture.prompt, chunks, i % 4 == 1, i % 3 == 0);
    if (i % 4 == 3) picture.negative_tokens = longer(picture.negative, 4 - chunks, false, false);
  }
}

std::vector<std::string> LoadLoras(LoadedEngine& engine) {
  const std::string shipped = STEPCAST_SOURCE_DIR "/loras/emoji-line-art.safetensors";
  const std::string other = ShiftLora(shipped, 1000, testing::TempDir() + "crowd_lora.safetensors");
  std::vector<std::string> keys;
  for (const std::string& path : {shipped, other}) {
    const auto lora = engine.host->loras()->Read("style", path);
    if (!lora.ok() || !engine.host->loras()->Load(**lora, *engine.models.front()).ok()) {
      ADD_FAILURE() << path << " cannot be loaded: " << lora.status();
      return {};
    }
    keys.push_back(LoraKey(*engine.models.front(), (*lora)->sha256));
  }
  return keys;
}

void MixLoras(std::vector<Visitor>& traffic, const std::vector<std::string>& keys) {
  for (size_t i = 0; i < traffic.size(); ++i) {
    std::vector<sampling::StageLora>& loras = traffic[i].loras;
    if (i % 5 == 0) loras = {{.key = keys[0], .scale = 1.0f}};
    if (i % 5 == 2) loras = {{.key = keys[1], .scale = -0.4f}};
    if (i % 5 == 3) loras = {{.key = keys[0], .scale = 0.5f}, {.key = keys[1], .scale = 0.3f}};
  }
}

namespace {

using sampling::Row;
using sampling::RowSet;
using sampling::Weight;
using sampling::WeightMap;

constexpr int kTile = 8;  // cells; of a picture of 32 pixels

// u + s (w1 (c1 - u) + w2 (c2 - u)), and without guidance the mean of the two, in the halves or everywhere.
RowSet TwoPrompts(int uncond, const int (&conds)[2], bool guided, const sampling::SharedWeightMap (&maps)[2]) {
  RowSet set;
  if (guided) {
    set.rows.push_back({.conditioning = uncond, .guided = {1.0f, -1.0f}, .cond = {}, .uncond = {1.0f}});
  }
  for (int i = 0; i < 2; ++i) {
    const Weight weight = guided ? Weight{0.0f, 0.5f} : Weight{0.5f};
    set.rows.push_back({.conditioning = conds[i], .guided = weight, .cond = {0.5f}, .map = maps[i]});
  }
  return set;
}

sampling::SharedWeightMap Half(int height, int width, bool left) {
  auto map = std::make_shared<WeightMap>(WeightMap{height, width, {}});
  for (int i = 0; i < height * width; ++i) map->values.push_back((i % width < width / 2) == left ? 2.0f : 0.0f);
  return map;
}

// Where tiles of one side begin: at both its ends.
std::vector<int> TileStarts(int side) {
  if (side == kTile) return {0};
  return {0, side - kTile};
}

// `whole`, in tiles that overlap where they must; each cell is the mean of the tiles that reach it.
RowSet Tiles(const RowSet& whole, int height, int width) {
  std::vector<sampling::Window> windows;
  std::vector<float> reached(static_cast<size_t>(height * width), 0.0f);
  for (const int top : TileStarts(height)) {
    for (const int left : TileStarts(width)) windows.push_back({top, left, kTile, kTile});
  }
  const auto each = [&](const sampling::Window& window, auto visit) {
    for (int y = 0; y < kTile; ++y) {
      for (int x = 0; x < kTile; ++x) visit(reached[static_cast<size_t>((window.top + y) * width + window.left + x)]);
    }
  };
  for (const auto& window : windows) each(window, [](float& cell) { cell += 1.0f; });
  RowSet tiles;
  for (const auto& window : windows) {
    auto map = std::make_shared<WeightMap>(WeightMap{kTile, kTile, {}});
    each(window, [&](float& cell) { map->values.push_back(1.0f / cell); });
    for (Row row : whole.rows) {
      row.window = window;
      row.map = map;
      tiles.rows.push_back(row);
    }
  }
  return tiles;
}

void AddSecondPass(Picture picture, sampling::Recipe& recipe) {
  sampling::Stage second = recipe.stages.back();
  picture.brought = Brought{.strength = 0.5};
  second.program = CompilePicture(second.model->noise_schedule, picture);
  second.start = sampling::StageStart::kLatents;
  second.blend.reset();
  if (second.row_sets.size() < 2) second.row_sets.resize(2, second.row_sets.front());
  second.resize = sampling::LatentResize::kBilinear;
  second.latent_height += 4;
  second.latent_width += 8;
  recipe.stages.push_back(std::move(second));
}

// The plain recipe of `picture`, with other rows.
sampling::SharedRecipe RecipeOf(const JobSpec& plain, const Visitor& visitor) {
  auto recipe = std::make_shared<sampling::Recipe>(*plain.recipe);
  recipe->stages.front().loras = visitor.loras;
  if (visitor.second_pass) AddSecondPass(visitor.picture, *recipe);
  if (visitor.rows == RowKind::kPlain) return recipe;
  sampling::Stage& stage = recipe->stages.front();
  const int height = stage.latent_height, width = stage.latent_width;
  const int uncond = stage.row_sets.back().rows.front().conditioning;
  const int conds[2] = {stage.row_sets.front().rows.front().conditioning,
                        static_cast<int>(recipe->conditionings.size())};
  const bool halves = visitor.rows == RowKind::kRegions;
  const sampling::SharedWeightMap maps[2] = {halves ? Half(height, width, true) : nullptr,
                                             halves ? Half(height, width, false) : nullptr};
  if (visitor.rows != RowKind::kTiles) recipe->conditionings.push_back({.text = {.ids = {visitor.second_prompt}}});
  for (size_t i = 0; i < stage.row_sets.size(); ++i) {
    stage.row_sets[i] = visitor.rows == RowKind::kTiles ? Tiles(stage.row_sets[i], height, width)
                                                        : TwoPrompts(uncond, conds, /*guided=*/i == 1, maps);
  }
  return recipe;
}

}  // namespace

House::House(StepExecutor& executor, SharedModelInfo model) : executor_(executor), model_(std::move(model)) {
  StepSchedulerOptions options;
  options.limits = executor.Limits();
  options.checks = InvariantChecks::kEveryCall;
  scheduler_ = std::make_unique<StepScheduler>(*MakePolicy({.name = "fifo"}), options, metrics_);
}

void House::Run(const std::vector<const Visitor*>& visitors) {
  sinks_.resize(visitors.size());
  ids_.resize(visitors.size());
  digests_.resize(visitors.size());
  for (int tick = 0; tick < 10000 && !Over(); ++tick) {
    const absl::Time now = absl::UnixEpoch() + tick * absl::Milliseconds(10);
    for (size_t i = 0; i < visitors.size(); ++i) {
      if (visitors[i]->joins_at == tick) Join(i, *visitors[i], now);
      if (visitors[i]->cancels_at == tick) scheduler_->Cancel(ids_[i], absl::CancelledError("left"), now);
    }
    const StepPlan plan = scheduler_->Next(now);
    if (plan.empty()) continue;
    const std::vector<Job*> jobs = scheduler_->JobsOf(plan);
    std::vector<StepResult> results = executor_.Execute(plan, jobs);
    if (plan.phase() == Phase::kDenoise) {
      largest_batch_ = std::max(largest_batch_, static_cast<int>(jobs.size()));
      Digest(jobs);
    }
    scheduler_->Complete(plan, std::move(results), now);
  }
  EXPECT_EQ(scheduler_->live(), 0);
}

SharedImage House::ImageOf(size_t i) const {
  const std::vector<JobImage> images = sinks_[i]->Of<JobImage>(ids_[i]);
  return images.empty() ? nullptr : images.front().image;
}

absl::Status House::StatusOf(size_t i) const {
  return sinks_[i]->StatusOf(ids_[i]).value_or(absl::InternalError("no terminal event"));
}

void House::Join(size_t i, const Visitor& visitor, absl::Time now) {
  ids_[i] = JobId{++last_id_};
  sinks_[i] = std::make_shared<RecordingSink>();
  ++joined_;
  const JobSpec plain = MakePictureSpec(visitor.model == nullptr ? model_ : visitor.model, visitor.picture, sinks_[i]);
  JobSpec spec = MakeJobSpec(plain.request, RecipeOf(plain, visitor));
  spec.sink = plain.sink;
  spec.arrival = now;
  std::vector<std::unique_ptr<Job>> jobs;
  jobs.push_back(std::make_unique<Job>(ids_[i], std::move(spec)));
  const absl::Status started = executor_.Start(*jobs.front());
  ASSERT_TRUE(started.ok()) << started;
  scheduler_->Submit(std::move(jobs), now);
}

void House::Digest(const std::vector<Job*>& jobs) {
  for (const Job* job : jobs) {
    const size_t i = static_cast<size_t>(std::ranges::find(ids_, job->id()) - ids_.begin());
    Sha256 hash;
    for (const at::Tensor& slot : static_cast<const DenoiseState&>(*job->state()).tensors()) {
      const at::Tensor values = slot.contiguous();
      hash.Update(std::string_view(static_cast<const char*>(values.const_data_ptr()), values.nbytes()));
    }
    digests_[i].push_back(hash.HexDigest());
  }
}

}  // namespace stepcast::engine
