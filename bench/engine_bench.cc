// The engine without a server: ticks, one request, eight at once. Prints one JSON object per line.
//
//   engine_bench <scenario> [--model DIR] [--device D] [--dtype fp32|bf16|fp16] [--threads N] [--policy P] [--jobs N]
//                [--steps N] [--repeat N] [--previews N]
//
// Scenarios: `ticks` (milliseconds per denoise tick for 1, 2, 4 ... rows), `jobs` (wall and CPU seconds of --jobs
// guided pictures submitted at once), `memory` (resident MiB before loading, after it, while --jobs pictures are
// painted and when the engine is idle again).

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "bench/engine_setup.h"
#include "bench/tick_log.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "scheduler/loop/engine_loop.h"

ABSL_FLAG(std::string, model, "models/emoji", "folder in diffusers layout");
ABSL_FLAG(std::string, device, "cpu", "cpu, cuda, cuda:N");
ABSL_FLAG(std::string, dtype, "fp32", "fp32, bf16, fp16");
ABSL_FLAG(std::string, policy, "fifo", "scheduling policy");
ABSL_FLAG(int, threads, 2, "intra-op threads");
ABSL_FLAG(int, max_rows, 32, "rows per denoise tick");
ABSL_FLAG(int, strict_rows, 0, "rows of every forward in strict mode; 0: free");
ABSL_FLAG(int, jobs, 1, "pictures submitted at once");
ABSL_FLAG(int, steps, 20, "steps of each");
ABSL_FLAG(int, repeat, 5, "measurements");
ABSL_FLAG(int, previews, 0, "steps between previews; 0: none");

namespace stepcast {
namespace {

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
    Count();
  }

  void Count() {
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
    options.device = absl::GetFlag(FLAGS_device);
    options.models.front().card.dtype = DtypeNamed(absl::GetFlag(FLAGS_dtype));
    options.threads = absl::GetFlag(FLAGS_threads);
    options.max_rows = absl::GetFlag(FLAGS_max_rows);
    options.strict_rows = absl::GetFlag(FLAGS_strict_rows);
    LoadedEngine engine = Require(CreateEngine(options, ticks_));
    pictures_ = std::make_unique<PictureMaker>(engine.models[0]);
    EngineLoopOptions loop;
    loop.policy.name = absl::GetFlag(FLAGS_policy);
    loop.admission.max_queued_jobs = 1000;
    loop_ = Require(EngineLoop::Create(loop, std::move(engine.devices[0].executor), RealClock(), ticks_));
  }

  TickLog& ticks() { return ticks_; }

  // Returns once the loop has nothing left to do: an empty request is answered after the executor was told so.
  void AwaitIdle() {
    for (int i = 0; i < 2; ++i) {
      auto asked = std::make_shared<CountingSink>();
      loop_->Submit({}, [asked](absl::StatusOr<Admission>) { asked->Count(); });
      asked->AwaitFinished(1);
    }
  }

  // Paints `count` pictures submitted at once; returns wall and CPU seconds.
  std::pair<double, double> Paint(int count, double guidance, int steps) {
    auto sink = std::make_shared<CountingSink>();
    std::vector<std::vector<JobSpec>> requests;
    for (int i = 0; i < count; ++i) {
      requests.push_back(pictures_->Specs(
          {.index = i, .guidance = guidance, .steps = steps, .preview_every = absl::GetFlag(FLAGS_previews)}, sink));
    }
    const double cpu = CpuSeconds();
    const absl::Time start = RealClock().Now();
    for (auto& specs : requests) {
      loop_->Submit(std::move(specs), [](absl::StatusOr<Admission> admission) { Require(std::move(admission)); });
    }
    sink->AwaitFinished(count);
    return {absl::ToDoubleSeconds(RealClock().Now() - start), CpuSeconds() - cpu};
  }

 private:
  TickLog ticks_;
  std::unique_ptr<const PictureMaker> pictures_;
  std::unique_ptr<EngineLoop> loop_;
};

void Ticks(Bench& bench) {
  for (int rows = 1; rows <= absl::GetFlag(FLAGS_max_rows); rows *= 2) {
    bench.ticks().Take();
    bench.Paint(std::max(1, rows / 2), rows == 1 ? 1.0 : 2.5, 10 * absl::GetFlag(FLAGS_repeat));
    std::vector<double> ticks = bench.ticks().Take()["denoise"][rows];
    std::sort(ticks.begin(), ticks.end());
    std::printf("{\"rows\": %d, \"tick_ms\": %.3f, \"p99_ms\": %.3f, \"ticks\": %zu}\n", rows, 1e3 * Median(ticks),
                1e3 * ticks[(ticks.size() - 1) * 99 / 100], ticks.size());
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

double ResidentMib() {
  std::ifstream file("/proc/self/statm");
  int64_t total = 0;
  int64_t resident = 0;
  file >> total >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1024.0 * 1024.0);
}

void Memory() {
  const double before = ResidentMib();
  Bench bench;
  bench.AwaitIdle();
  const double loaded = ResidentMib();
  for (int i = 0; i < absl::GetFlag(FLAGS_repeat); ++i)
    bench.Paint(absl::GetFlag(FLAGS_jobs), 2.5, absl::GetFlag(FLAGS_steps));
  const double painted = ResidentMib();
  bench.AwaitIdle();
  std::printf("{\"before_mib\": %.1f, \"loaded_mib\": %.1f, \"painted_mib\": %.1f, \"idle_mib\": %.1f}\n", before,
              loaded, painted, ResidentMib());
}

int Main(int argc, char** argv) {
  ExecuteWithEngineEnvironment(argv);
  const std::vector<char*> arguments = absl::ParseCommandLine(argc, argv);
  const std::string scenario = arguments.size() == 2 ? arguments[1] : "";
  if (scenario == "memory") {
    Memory();
    return 0;
  }
  if (scenario != "ticks" && scenario != "jobs") {
    std::fprintf(stderr, "usage: engine_bench ticks|jobs|memory [--flags]; see the head of bench/engine_bench.cc\n");
    return 2;
  }
  Bench bench;
  scenario == "ticks" ? Ticks(bench) : Jobs(bench);
  return 0;
}

}  // namespace
}  // namespace stepcast

int main(int argc, char** argv) { return stepcast::Main(argc, argv); }
