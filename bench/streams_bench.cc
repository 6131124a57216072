// A whole server whose engine computes nothing, and as many calls at once as one likes: what each costs in memory,
// whether memory comes back, and how soon a request is decided beside them. Prints one JSON object.
//
//   streams_bench [--streams 1000] [--waves 6] [--asks 2000]
//
// In each wave all calls are open at once: the first tick stands still until everybody has been accepted. Meanwhile one
// more client asks to paint, waits for Accepted and cancels, again and again. Clients live in the same process, so that
// its memory is that of both sides.

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <grpcpp/grpcpp.h>
#include <malloc.h>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "server/process/server.h"
#include "stepcast/v1/image_generation.grpc.pb.h"
#include "tests/server/fake_models.h"
#include "tests/support/process_memory.h"

ABSL_FLAG(int, streams, 1000, "calls that are open at once");
ABSL_FLAG(int, waves, 6, "how often; the first is not counted");
ABSL_FLAG(int, asks, 2000, "requests that are timed, over all waves");

namespace stepcast {
namespace {

// A gate that the engine stands at.
class Gate {
 public:
  void Set(bool open) {
    const MutexLock lock(mutex_);
    open_ = open;
    changed_.NotifyAll();
  }
  void Pass() {
    const MutexLock lock(mutex_);
    while (!open_) changed_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool open_ = true;
};

class NullExecutor final : public StepExecutor {
 public:
  explicit NullExecutor(Gate& gate) : gate_(gate) {}

  absl::Status Start(Job& job) override {
    job.set_needs_encode(false);
    return absl::OkStatus();
  }
  std::vector<StepResult> Execute(const StepPlan& plan, absl::Span<Job* const> jobs) override {
    gate_.Pass();
    std::vector<StepResult> results(jobs.size());
    if (plan.phase() == Phase::kDecode) {
      for (StepResult& result : results) result.image = image_;
    }
    return results;
  }
  ExecutorLimits Limits() const override { return {.max_denoise_rows = 64, .max_decode_jobs = 64}; }

 private:
  Gate& gate_;
  const SharedImage image_ =
      std::make_shared<const Image>(Image{.width = 64, .height = 64, .pixels = std::vector<uint8_t>(64 * 64 * 3)});
};

v1::GenerateRequest Request(int64_t seed) {
  v1::GenerateRequest request;
  request.set_prompt("a");
  request.set_steps(4);
  request.set_seed(seed);
  return request;
}

// What became of a wave.
struct Wave {
  std::atomic<int> accepted = 0;
  std::atomic<int> completed = 0;
  std::atomic<int> ended = 0;
};

// One call, read to its end on gRPC's own threads. Owned by the wave's list.
class Stream final : public grpc::ClientReadReactor<v1::GenerateResponse> {
 public:
  Stream(v1::ImageGenerationService::Stub& stub, int64_t seed, Wave& wave) : request_(Request(seed)), wave_(wave) {
    stub.async()->Generate(&context_, &request_, this);
    StartRead(&response_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    if (response_.has_accepted()) ++wave_.accepted;
    if (response_.has_completed()) ++wave_.completed;
    StartRead(&response_);
  }
  void OnDone(const grpc::Status&) override { ++wave_.ended; }

 private:
  grpc::ClientContext context_;
  const v1::GenerateRequest request_;
  v1::GenerateResponse response_;
  Wave& wave_;
};

// Milliseconds from the call to Accepted; the call is given up then.
double Ask(v1::ImageGenerationService::Stub& stub, int64_t seed) {
  grpc::ClientContext context;
  const absl::Time start = RealClock().Now();
  const auto reader = stub.Generate(&context, Request(seed));
  v1::GenerateResponse response;
  const bool accepted = reader->Read(&response) && response.has_accepted();
  const double took = absl::ToDoubleMilliseconds(RealClock().Now() - start);
  context.TryCancel();
  while (reader->Read(&response)) {
  }
  (void)reader->Finish();
  return accepted ? took : -1;
}

template <typename Condition>
void AwaitThat(Condition condition) {
  Mutex mutex;
  CondVar never;
  const MutexLock lock(mutex);
  while (!condition()) never.WaitFor(mutex, absl::Milliseconds(2));
}

double Percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values.empty() ? -1 : values[std::min(values.size() - 1, static_cast<size_t>(share * values.size()))];
}

int Main() {
  const int streams = absl::GetFlag(FLAGS_streams);
  const int waves = absl::GetFlag(FLAGS_waves);
  Gate gate;
  ServerConfig config;
  config.listen.port = 0;
  config.listen.admin_port.reset();
  config.listen.metrics_port.reset();
  config.log.level = LogLevel::kError;
  config.scheduler.admission.max_queued_jobs = 10 * streams;
  config.scheduler.profile.budget = absl::ZeroDuration();
  InitLogging(config.log);
  auto server = Server::Create(config, RealClock());
  if (!server.ok()) return std::fprintf(stderr, "%s\n", server.status().ToString().c_str()), 1;
  LoadedEngine engine;
  engine.models = {std::make_shared<const ModelInfo>(TextModel())};
  engine.devices.push_back({.name = "cpu", .executor = std::make_unique<NullExecutor>(gate)});
  const absl::Status served = (*server)->Serve(std::move(engine), &LoadFakeTokenizer);
  if (!served.ok()) return std::fprintf(stderr, "%s\n", served.ToString().c_str()), 1;
  const auto stub = v1::ImageGenerationService::NewStub(
      grpc::CreateChannel(absl::StrCat("127.0.0.1:", (*server)->ports().grpc), grpc::InsecureChannelCredentials()));

  std::vector<double> asks;
  std::vector<double> open_mib;
  std::vector<double> after_mib;
  int64_t completed = 0;
  for (int w = 0; w < waves; ++w) {
    gate.Set(false);
    Wave wave;
    std::vector<std::unique_ptr<Stream>> calls;
    for (int i = 0; i < streams; ++i) calls.push_back(std::make_unique<Stream>(*stub, w * 100'000 + i, wave));
    AwaitThat([&] { return wave.accepted + wave.ended >= streams; });
    open_mib.push_back(ProcessMemory("VmRSS"));
    for (int i = 0; w > 0 && i < absl::GetFlag(FLAGS_asks) / (waves - 1); ++i) {
      asks.push_back(Ask(*stub, w * 100'000 + 50'000 + i));
    }
    gate.Set(true);
    AwaitThat([&] { return wave.ended == streams && (*server)->Idle(); });
    completed += wave.completed;
    calls.clear();
    malloc_trim(0);
    after_mib.push_back(ProcessMemory("VmRSS"));
  }
  const auto list = [](const std::vector<double>& values) {
    std::string text;
    for (const double value : values) absl::StrAppend(&text, text.empty() ? "" : ", ", value);
    return text;
  };
  std::printf(
      "{\"streams\": %d, \"waves\": %d, \"completed\": %lld, \"accepted_ms_p50\": %.3f, \"accepted_ms_p99\": %.3f, "
      "\"asks\": %zu, \"rss_open_mib\": [%s], \"rss_after_mib\": [%s]}\n",
      streams, waves, static_cast<long long>(completed), Percentile(asks, 0.5), Percentile(asks, 0.99), asks.size(),
      list(open_mib).c_str(), list(after_mib).c_str());
  const bool whole = completed == static_cast<int64_t>(streams) * waves &&
                     std::none_of(asks.begin(), asks.end(), [](double ask) { return ask < 0; });
  return whole ? 0 : 1;
}

}  // namespace
}  // namespace stepcast

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  return stepcast::Main();
}
