// The engine without a server: ticks, one request, eight at once. Prints one JSON object per line.
//
//   engine_bench <scenario> [--model DIR] [--dtype fp32|bf16] [--threads N] [--policy P] [--jobs N] [--steps N]
//                [--repeat N] [--previews N]
//
// Scenarios: `ticks` (milliseconds per denoise tick for 1, 2, 4 ... rows), `jobs` (wall and CPU seconds of --jobs
// guided pictures submitted at once).

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "engine/engine_factory.h"
#include "sampling/compile.h"
#include "scheduler/engine_loop.h"
#include "text/clip_tokenizer.h"

ABSL_FLAG(std::string, model, "models/emoji", "folder in diffusers layout");
ABSL_FLAG(std::string, dtype, "fp32", "fp32, bf16, fp16");
ABSL_FLAG(std::string, policy, "fifo", "scheduling policy");
ABSL_FLAG(int, threads, 2, "intra-op threads");
ABSL_FLAG(int, max_rows, 32, "rows per denoise tick");
ABSL_FLAG(int, jobs, 1, "pictures submitted at once");
ABSL_FLAG(int, steps, 20, "steps of each");
ABSL_FLAG(int, repeat, 5, "measurements");
ABSL_FLAG(int, previews, 0, "steps between previews; 0: none");

namespace stepcast {
namespace {

// Durations of denoise ticks by their rows.
class TickLog final : public EngineMetrics {
 public:
  void ObserveTick(std::string_view phase, std::string_view, int, int rows, absl::Duration duration) override {
    const MutexLock lock(mutex_);
    if (phase == "denoise") ticks_[rows].push_back(absl::ToDoubleMilliseconds(duration));
  }
  void SetQueue(int, int) override {}
  void CountJob(std::string_view, std::string_view, absl::Duration) override {}
  void CountEmbeddingLookup(bool) override {}

  std::map<int, std::vector<double>> Take() {
    const MutexLock lock(mutex_);
    return std::exchange(ticks_, {});
  }

 private:
  Mutex mutex_;
  std::map<int, std::vector<double>> ticks_ ABSL_GUARDED_BY(mutex_);
};

// Counts jobs that ended; aborts on one that failed.
class CountingSink final : public EventSink {
 public:
  void OnEvent(JobEvent event) override {
    const JobFinished* finished = std::get_if<JobFinished>(&event.what);
    if (finished == nullptr) return;
    if (!finished->status.ok()) {
      std::cerr << finished->status << "\n";
      std::abort();
    }
    const MutexLock lock(mutex_);
    ++finished_;
    changed_.NotifyAll();
  }

  void AwaitFinished(int count) {
    const MutexLock lock(mutex_);
    while (finished_ < count) changed_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int finished_ ABSL_GUARDED_BY(mutex_) = 0;
};

template <typename T>
T Require(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::cerr << value.status() << "\n";
    std::exit(1);
  }
  return *std::move(value);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

class Bench {
 public:
  Bench() {
    EngineOptions options;
    options.models = {{"bench", absl::GetFlag(FLAGS_model)}};
    options.device = "cpu";
    options.dtype = absl::GetFlag(FLAGS_dtype);
    options.threads = absl::GetFlag(FLAGS_threads);
    options.max_rows = absl::GetFlag(FLAGS_max_rows);
    LoadedEngine engine = Require(CreateEngine(options, ticks_));
    model_ = engine.models[0];
    tokenizer_ = Require(ClipTokenizer::Load(model_->tokenizer_dirs[0]));
    EngineLoopOptions loop;
    loop.policy.name = absl::GetFlag(FLAGS_policy);
    loop.admission.max_queued_jobs = 1000;
    loop_ = Require(EngineLoop::Create(loop, std::move(engine.executor), RealClock(), ticks_));
  }

  TickLog& ticks() { return ticks_; }

  // Paints `count` pictures submitted at once; returns wall and CPU seconds.
  std::pair<double, double> Paint(int count, double guidance, int steps) {
    auto sink = std::make_shared<CountingSink>();
    std::vector<std::vector<JobSpec>> requests;
    for (int i = 0; i < count; ++i) requests.push_back(Specs(i, guidance, steps, sink));
    const double cpu = CpuSeconds();
    const absl::Time start = RealClock().Now();
    for (auto& specs : requests) {
      loop_->Submit(std::move(specs), [](absl::StatusOr<Admission> admission) { Require(std::move(admission)); });
    }
    sink->AwaitFinished(count);
    return {absl::ToDoubleSeconds(RealClock().Now() - start), CpuSeconds() - cpu};
  }

 private:
  std::vector<JobSpec> Specs(int index, double guidance, int steps, const std::shared_ptr<EventSink>& sink) {
    auto request = std::make_shared<GenerationRequest>();
    request->model = model_;
    request->prompt_ids = {tokenizer_->Encode(index % 2 == 0 ? "a red apple" : "panda").ids};
    request->negative_prompt_ids = {tokenizer_->Encode("").ids};
    request->width = model_->defaults.width;
    request->height = model_->defaults.height;
    request->steps = steps;
    request->guidance_scale = guidance;
    request->seed = index;
    request->preview.every_n_steps = absl::GetFlag(FLAGS_previews);
    sampling::SamplerSpec spec;
    spec.sampler = Sampler::kDdim;
    spec.steps = steps;
    spec.guidance_scale = guidance;
    JobSpec job;
    job.request = std::move(request);
    job.program = Require(sampling::Compile(model_->noise_schedule, spec));
    job.arrival = RealClock().Now();
    job.sink = sink;
    return {job};
  }

  TickLog ticks_;
  SharedModelInfo model_;
  std::unique_ptr<const ClipTokenizer> tokenizer_;
  std::unique_ptr<EngineLoop> loop_;
};

void Ticks(Bench& bench) {
  for (int rows = 1; rows <= absl::GetFlag(FLAGS_max_rows); rows *= 2) {
    bench.ticks().Take();
    bench.Paint(std::max(1, rows / 2), rows == 1 ? 1.0 : 2.5, 10 * absl::GetFlag(FLAGS_repeat));
    const std::vector<double> ticks = bench.ticks().Take()[rows];
    std::vector<double> sorted = ticks;
    std::sort(sorted.begin(), sorted.end());
    std::printf("{\"rows\": %d, \"tick_ms\": %.3f, \"p99_ms\": %.3f, \"ticks\": %zu}\n", rows, Median(ticks),
                sorted[(sorted.size() - 1) * 99 / 100], ticks.size());
    std::fflush(stdout);
  }
}

void Jobs(Bench& bench) {
  const int jobs = absl::GetFlag(FLAGS_jobs);
  const int steps = absl::GetFlag(FLAGS_steps);
  bench.Paint(jobs, 2.5, 2);  // shapes and caches
  std::vector<double> wall;
  std::vector<double> cpu;
  for (int i = 0; i < absl::GetFlag(FLAGS_repeat); ++i) {
    const auto [wall_s, cpu_s] = bench.Paint(jobs, 2.5, steps);
    wall.push_back(wall_s);
    cpu.push_back(cpu_s);
  }
  std::printf("{\"jobs\": %d, \"steps\": %d, \"wall_s\": %.4f, \"cpu_s\": %.4f}\n", jobs, steps, Median(wall),
              Median(cpu));
}

// The engine wants some variables of the OpenMP runtime; see EngineEnvironment.
void ExecuteWithEngineEnvironment(char** argv) {
  bool changed = false;
  for (const EnvironmentDefault& variable : EngineEnvironment()) {
    if (std::getenv(variable.name) != nullptr) continue;
    setenv(variable.name, variable.value, 0);
    changed = true;
  }
  if (changed) execv("/proc/self/exe", argv);
}

int Main(int argc, char** argv) {
  ExecuteWithEngineEnvironment(argv);
  const std::vector<char*> arguments = absl::ParseCommandLine(argc, argv);
  const std::string scenario = arguments.size() == 2 ? arguments[1] : "";
  if (scenario != "ticks" && scenario != "jobs") {
    std::fprintf(stderr, "usage: engine_bench ticks|jobs [--flags]; see the head of bench/engine_bench.cc\n");
    return 2;
  }
  Bench bench;
  scenario == "ticks" ? Ticks(bench) : Jobs(bench);
  return 0;
}

}  // namespace
}  // namespace stepcast

int main(int argc, char** argv) { return stepcast::Main(argc, argv); }
