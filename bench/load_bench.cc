// Open-loop load on the real engine: pictures arrive by a Poisson process whether or not earlier ones are done, and
// latency counts from the moment they were due. Prints one JSON object per policy and load.
//
//   load_bench [--policies slo,fifo,request_level,serial] [--loads 0.6,0.8] [--arrivals N] [--seed N] [--out DIR]
//              [--model DIR] [--dtype fp32|bf16] [--threads N] [--max_rows N] [--profile_ticks N]
//
// Load 1 is what full batches could do: max_rows / 2 guided pictures every E[steps] * t(max_rows), with t measured at
// the start on synthetic ticks. `predicted_*` is what tools/simulate says of the same arrivals with that profile,
// `observed_*` with the mean tick costs of this very run: where only the first is off, the machine ran at another speed
// than when it was profiled (`speed`: profiled over real time of the same ticks); where both are, the simulator is
// wrong or the speed changed within the run. Below --out lie `costs` (the profile, a cost cache file) and
// `trace_<load>.csv` (the arrivals).

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "bench/engine_setup.h"
#include "bench/tick_log.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "scheduler/costs/cost_cache.h"
#include "scheduler/costs/cost_model.h"
#include "scheduler/costs/profiler.h"
#include "scheduler/loop/engine_loop.h"
#include "tools/simulate/driver.h"

ABSL_FLAG(std::vector<std::string>, policies, std::vector<std::string>({"slo", "fifo", "request_level", "serial"}),
          "scheduling policies, one run each");
ABSL_FLAG(std::vector<std::string>, loads, std::vector<std::string>({"0.6", "0.8"}), "shares of the capacity");
ABSL_FLAG(int, arrivals, 200, "pictures per run; the first tenth is not counted");
ABSL_FLAG(uint64_t, seed, 1, "of the arrivals");
ABSL_FLAG(std::string, out, "build/load", "folder for costs and traces");
ABSL_FLAG(std::string, model, "models/emoji", "folder in diffusers layout");
ABSL_FLAG(std::string, dtype, "fp32", "fp32, bf16, fp16");
ABSL_FLAG(int, threads, 2, "intra-op threads");
ABSL_FLAG(int, max_rows, 16, "rows per denoise tick");
ABSL_FLAG(int, profile_ticks, 7, "ticks per row count in the profile, of which the median counts");

namespace stepcast {
namespace {

constexpr int kSteps[] = {4, 8, 20, 30, 50};  // equally likely
constexpr double kGuidance = 2.5;

using simulate::Arrival;

// The same for every policy at one load.
std::vector<Arrival> Arrivals(double rate, const ModelInfo& model) {
  simulate::TrafficOptions options;
  options.seed = absl::GetFlag(FLAGS_seed);
  options.arrivals = absl::GetFlag(FLAGS_arrivals);
  options.rate = rate;
  options.steps = {std::begin(kSteps), std::end(kSteps)};
  options.pattern.latent_height = model.defaults.height / model.vae_scale_factor;
  options.pattern.latent_width = model.defaults.width / model.vae_scale_factor;
  return simulate::MakeTraffic(options);
}

void WriteTrace(const std::string& path, const std::vector<Arrival>& arrivals) {
  std::ofstream file(path);
  file << "arrival_s,steps,model,latent_width,latent_height\n";
  for (const Arrival& arrival : arrivals) {
    file << absl::ToDoubleSeconds(arrival.at) << "," << arrival.steps << "," << arrival.model << ","
         << arrival.latent_width << "," << arrival.latent_height << "\n";
  }
  if (!file.flush()) std::fprintf(stderr, "cannot write %s\n", path.c_str());
}

// Notes when each job ended; shared by all jobs of a run.
class LatencyLog {
 public:
  // A sink for one job that was due at `due`.
  std::shared_ptr<EventSink> SinkFor(absl::Time due) { return std::make_shared<Sink>(*this, due); }

  // Waits for `count` ends; seconds each, in order of ending; failed and refused jobs are only counted.
  std::vector<double> Await(size_t count) {
    const MutexLock lock(mutex_);
    while (latencies_.size() + failed_ < count) changed_.Wait(mutex_);
    return latencies_;
  }
  size_t failed() const {
    const MutexLock lock(mutex_);
    return failed_;
  }

  void Note(absl::Time due, const absl::Status& status) {
    const MutexLock lock(mutex_);
    if (status.ok()) {
      latencies_.push_back(absl::ToDoubleSeconds(RealClock().Now() - due));
    } else {
      ++failed_;
    }
    changed_.NotifyAll();
  }

 private:
  class Sink final : public EventSink {
   public:
    Sink(LatencyLog& log, absl::Time due) : log_(log), due_(due) {}
    void OnEvent(JobEvent event) override {
      if (const auto* finished = std::get_if<JobFinished>(&event.what)) log_.Note(due_, finished->status);
    }

   private:
    LatencyLog& log_;
    const absl::Time due_;
  };

  mutable Mutex mutex_;
  CondVar changed_;
  std::vector<double> latencies_ ABSL_GUARDED_BY(mutex_);
  size_t failed_ ABSL_GUARDED_BY(mutex_) = 0;
};

void WaitUntil(absl::Time when) {
  Mutex mutex;
  CondVar never;
  const MutexLock lock(mutex);
  for (absl::Time now = RealClock().Now(); now < when; now = RealClock().Now()) never.WaitFor(mutex, when - now);
}

class LoadBench {
 public:
  explicit LoadBench(std::string out) : out_(std::move(out)) {}

  // Measures all ticks of a default request.
  void Profile() {
    LoadedEngine engine = Load();
    // On a thread of its own, as the engine thread will be.
    std::thread([&] {
      StepExecutor& executor = *engine.devices[0].executor;
      CostModel costs(executor.Limits());
      const absl::Status status = ProfileCosts(executor, engine.profile_keys, absl::InfiniteDuration(), RealClock(),
                                               costs, absl::GetFlag(FLAGS_profile_ticks));
      if (!status.ok()) {
        std::cerr << status << "\n";
        std::exit(1);
      }
      costs_ = costs.Table();
    }).join();
    WriteCosts();
  }

  // A fresh engine and loop, with warm embeddings.
  std::unique_ptr<EngineLoop> Start(const std::string& policy) {
    LoadedEngine engine = Load();
    WriteCosts();  // a loop that stopped has written what it learned, and every policy is to start from the same
    EngineLoopOptions loop_options;
    loop_options.policy.name = policy;
    loop_options.admission.max_queued_jobs = 100'000;
    loop_options.profile.cache_file = CostFile();
    loop_options.profile.fingerprint = fingerprint_;
    auto loop = Require(EngineLoop::Create(loop_options, std::move(engine.devices[0].executor), RealClock(), ticks_));
    LatencyLog warm;
    for (int i = 0; i < 2; ++i) Submit(*loop, /*steps=*/2, i, RealClock().Now(), warm);
    warm.Await(2);
    ticks_.Take();
    return loop;
  }

  // Guided pictures per second in full batches.
  double Capacity() const {
    const simulate::Device device = MeasuredDevice(costs_);
    const CostModel costs = CostsOf(device);
    double steps = 0;
    for (const int n : kSteps) steps += static_cast<double>(n) / static_cast<double>(std::size(kSteps));
    const ModelInfo& model = *pictures_->model();
    const BatchKey key{.phase = Phase::kDenoise,
                       .model = model.id,
                       .latent_height = model.defaults.height / model.vae_scale_factor,
                       .latent_width = model.defaults.width / model.vae_scale_factor};
    const int rows = device.limits.max_denoise_rows;
    return rows / 2 / (steps * absl::ToDoubleSeconds(costs.Predict(key, rows)));
  }

  void Run(const std::string& policy, const std::string& load) {
    const std::unique_ptr<EngineLoop> loop = Start(policy);
    const double rate = std::stod(load) * Capacity();
    const ModelInfo& model = *pictures_->model();
    const std::vector<Arrival> arrivals = Arrivals(rate, model);
    WriteTrace(absl::StrCat(out_, "/trace_", load, ".csv"), arrivals);
    LatencyLog log;
    const absl::Time start = RealClock().Now();
    const size_t skipped = arrivals.size() / 10;
    for (size_t i = 0; i < arrivals.size(); ++i) {
      const absl::Time due = start + arrivals[i].at;
      WaitUntil(due);
      Submit(*loop, arrivals[i].steps, static_cast<int>(i), due, i < skipped ? warm_ : log);
    }
    const std::vector<double> latencies = log.Await(arrivals.size() - skipped);
    warm_.Await(warmed_ += skipped);
    const Observed observed = Observe();
    Print(policy, load, latencies, log.failed(), Predict(costs_, policy, arrivals, static_cast<int>(skipped)),
          Predict(observed.costs, policy, arrivals, static_cast<int>(skipped)), observed.speed);
  }

 private:
  LoadedEngine Load() {
    EngineOptions options;
    options.models = {{simulate::kModel, absl::GetFlag(FLAGS_model)}};
    options.device = "cpu";
    options.models.front().card.dtype = DtypeNamed(absl::GetFlag(FLAGS_dtype));
    options.threads = absl::GetFlag(FLAGS_threads);
    options.max_rows = absl::GetFlag(FLAGS_max_rows);
    LoadedEngine engine = Require(CreateEngine(options, ticks_));
    fingerprint_ = engine.cost_fingerprint;
    pictures_ = std::make_unique<PictureMaker>(engine.models[0]);
    return engine;
  }

  struct Observed {
    std::vector<CostEntry> costs;
    double speed = 1;  // of denoise ticks: profiled over real seconds
  };

  // Mean costs of the ticks of a run; row counts without a tick cost the profile's, at the speed of the others.
  Observed Observe() {
    Observed observed;
    const CostModel profile = CostsOf(MeasuredDevice(costs_));
    auto ticks = ticks_.Take();
    for (const CostEntry& entry : costs_) {
      std::map<int, absl::Duration> points;
      double real = 0;
      double expected = 0;
      const auto& of_phase = ticks[std::string(PhaseName(entry.key.phase))];
      for (const auto& [rows, seconds] : of_phase) {
        const double sum = std::accumulate(seconds.begin(), seconds.end(), 0.0);
        const auto count = static_cast<double>(seconds.size());
        points[rows] = absl::Seconds(sum / count);
        real += sum;
        expected += count * profile.Seconds(entry.key, rows);
      }
      const double speed = real > 0 ? expected / real : 1;
      for (const CostPoint& point : entry.points) points.try_emplace(point.rows, point.cost / speed);
      CostEntry seen{.key = entry.key, .points = {}, .row_cap = entry.row_cap};
      for (const auto& [rows, cost] : points) seen.points.push_back({.rows = rows, .cost = cost});
      observed.costs.push_back(std::move(seen));
      if (entry.key.phase == Phase::kDenoise) observed.speed = speed;
    }
    return observed;
  }

  void WriteCosts() const {
    const absl::Status written = WriteCostCache(CostFile(), fingerprint_, costs_);
    if (!written.ok()) std::cerr << written << "\n";
  }

  std::string CostFile() const { return absl::StrCat(out_, "/costs"); }

  void Submit(EngineLoop& loop, int steps, int index, absl::Time due, LatencyLog& log) {
    std::vector<JobSpec> specs =
        pictures_->Specs({.index = index, .guidance = kGuidance, .steps = steps}, log.SinkFor(due));
    for (JobSpec& spec : specs) spec.arrival = due;
    loop.Submit(std::move(specs), [&log, due](absl::StatusOr<Admission> admission) {
      if (!admission.ok()) log.Note(due, admission.status());
    });
  }

  // This engine as `costs` know it.
  static simulate::Device MeasuredDevice(std::vector<CostEntry> costs) {
    return {
        .name = "measured", .limits = {.max_denoise_rows = absl::GetFlag(FLAGS_max_rows)}, .costs = std::move(costs)};
  }

  static CostModel CostsOf(const simulate::Device& device) {
    CostModel costs(device.limits);
    costs.SetCurves(device.costs);
    return costs;
  }

  static simulate::Outcome Predict(const std::vector<CostEntry>& costs, const std::string& policy,
                                   const std::vector<Arrival>& arrivals, int skipped) {
    simulate::RunOptions options;
    options.policy.name = policy;
    options.device = MeasuredDevice(costs);
    options.arrivals = arrivals;
    return simulate::WithoutFirst(simulate::Run(options), skipped);
  }

  static void Print(const std::string& policy, const std::string& load, std::vector<double> latencies, size_t failed,
                    const simulate::Outcome& predicted, const simulate::Outcome& observed, double speed) {
    std::sort(latencies.begin(), latencies.end());
    double sum = 0;
    for (const double latency : latencies) sum += latency;
    const auto at = [&latencies](double share) {
      if (latencies.empty()) return 0.0;
      const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(latencies.size())));
      return latencies[std::max<size_t>(rank, 1) - 1];
    };
    std::printf(
        "{\"policy\": \"%s\", \"load\": %s, \"pictures\": %zu, \"failed\": %zu, \"mean_s\": %.3f, \"p99_s\": %.3f, "
        "\"predicted_mean_s\": %.3f, \"predicted_p99_s\": %.3f, \"observed_mean_s\": %.3f, \"observed_p99_s\": %.3f, "
        "\"speed\": %.2f}\n",
        policy.c_str(), load.c_str(), latencies.size(), failed,
        latencies.empty() ? 0.0 : sum / static_cast<double>(latencies.size()), at(0.99),
        simulate::MeanLatency(predicted), simulate::LatencyQuantile(predicted, 0.99), simulate::MeanLatency(observed),
        simulate::LatencyQuantile(observed, 0.99), speed);
    std::fflush(stdout);
  }

  const std::string out_;
  TickLog ticks_;
  std::string fingerprint_;
  std::vector<CostEntry> costs_;  // of the profile
  std::unique_ptr<const PictureMaker> pictures_;
  LatencyLog warm_;  // of jobs that are not counted
  size_t warmed_ = 0;
};

int Main(int argc, char** argv) {
  ExecuteWithEngineEnvironment(argv);
  if (absl::ParseCommandLine(argc, argv).size() != 1) {
    std::fprintf(stderr, "usage: load_bench [--flags]; see the head of bench/load_bench.cc\n");
    return 2;
  }
  const std::string out = absl::GetFlag(FLAGS_out);
  std::filesystem::create_directories(out);
  LoadBench bench(out);
  bench.Profile();
  for (const std::string& load : absl::GetFlag(FLAGS_loads)) {
    for (const std::string& policy : absl::GetFlag(FLAGS_policies)) bench.Run(policy, load);
  }
  return 0;
}

}  // namespace
}  // namespace stepcast

int main(int argc, char** argv) { return stepcast::Main(argc, argv); }
