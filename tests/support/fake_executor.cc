#include "tests/support/fake_executor.h"

#include <bit>
#include <cstdint>
#include <stdexcept>
#include <utility>

namespace stepcast {
namespace {

// One round of splitmix64: every bit of what was mixed in shows in the picture.
uint64_t Mix(uint64_t digest, uint64_t value) {
  uint64_t z = digest + value + 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

uint64_t MixEvaluation(uint64_t digest, const sampling::Evaluation& evaluation, int rows) {
  digest = Mix(digest, std::bit_cast<uint32_t>(evaluation.timestep));
  digest = Mix(digest, std::bit_cast<uint32_t>(evaluation.guidance.scale));
  return Mix(digest, static_cast<uint64_t>(rows));
}

SharedImage Paint(int width, int height, uint64_t digest) {
  auto image = std::make_shared<Image>();
  image->width = width;
  image->height = height;
  image->pixels.resize(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
  for (size_t i = 0; i < image->pixels.size(); ++i) image->pixels[i] = static_cast<uint8_t>(digest >> (i % 3 * 8));
  return image;
}

}  // namespace

// Stands for latents and generator: a digest of everything that was done to the job.
class FakeJobState final : public JobState {
 public:
  FakeJobState(FakeDevice& device, uint64_t digest) : device_(device), digest_(digest) { ++device_.live_states_; }
  ~FakeJobState() override { --device_.live_states_; }

  void Evaluate(const sampling::Evaluation& evaluation, int rows) {
    digest_ = MixEvaluation(digest_, evaluation, rows);
  }
  uint64_t digest() const { return digest_; }

 private:
  FakeDevice& device_;
  uint64_t digest_;
};

class FakeExecutor final : public StepExecutor {
 public:
  explicit FakeExecutor(FakeDevice& device) : device_(device) {}

  absl::Status Start(Job& job) override {
    const absl::Status fault = device_.StartFaultOf(job);
    if (!fault.ok()) return fault;
    const ResumePoint* resume = job.request().resume.get();
    const uint64_t digest = resume == nullptr ? Mix(0, static_cast<uint64_t>(job.seed())) : std::stoull(resume->state);
    job.set_state(std::make_unique<FakeJobState>(device_, digest));
    if (device_.options().embeddings_cached) job.set_needs_encode(false);
    return absl::OkStatus();
  }

  std::vector<StepResult> Execute(const StepPlan& plan, absl::Span<Job* const> jobs) override {
    device_.Enter(plan);
    if (device_.options().latency) device_.options().clock->Advance(device_.options().latency(plan));
    std::vector<StepResult> results;
    results.reserve(jobs.size());
    for (Job* job : jobs) results.push_back(ExecuteOne(*job, plan));
    return results;
  }

  absl::Status Park(JobState&) override { return device_.ParkFaultOf(); }

  absl::StatusOr<SavedState> Save(const Job& job) override {
    const absl::Status fault = device_.ParkFaultOf();
    if (!fault.ok()) return fault;
    if (job.state() == nullptr || job.position() == 0) return SavedState();
    return StateOf(static_cast<FakeJobState&>(*job.state()));
  }

  ExecutorLimits Limits() const override { return device_.options().limits; }

  void OnIdle() override { ++device_.idles_; }

 private:
  static SavedState StateOf(const FakeJobState& state) {
    return std::make_shared<const std::string>(std::to_string(state.digest()));
  }

  StepResult ExecuteOne(Job& job, const StepPlan& plan) {
    const Phase phase = plan.phase();
    StepResult result;
    result.status = device_.FaultOf(job, phase);
    if (!result.status.ok()) return result;
    auto& state = static_cast<FakeJobState&>(*job.state());
    const GenerationRequest& request = job.request();
    const RowPart* part = plan.PartOf(job.id());
    const bool evaluates = part == nullptr || part->first_row + part->rows == job.next().rows;
    if (phase == Phase::kDenoise && evaluates) {
      state.Evaluate(job.evaluation(), job.next().rows);
      if (job.shows_preview()) {
        result.preview = Paint(request.latent_width(), request.latent_height(), state.digest());
      }
      if (job.checkpoint_due()) result.saved = StateOf(state);
    }
    if (phase == Phase::kDecode) result.image = Paint(request.width, request.height, state.digest());
    return result;
  }

  FakeDevice& device_;
};

void FakeDevice::SetFault(Fault fault) {
  MutexLock lock(mutex_);
  fault_ = std::make_shared<Fault>(std::move(fault));
}

void FakeDevice::SetStartFault(StartFault fault) {
  MutexLock lock(mutex_);
  start_fault_ = std::make_shared<StartFault>(std::move(fault));
}

void FakeDevice::SetParkFault(ParkFault fault) {
  MutexLock lock(mutex_);
  park_fault_ = std::make_shared<ParkFault>(std::move(fault));
}

void FakeDevice::SetCrash(Crash crash) {
  MutexLock lock(mutex_);
  crash_ = std::make_shared<Crash>(std::move(crash));
}

void FakeDevice::Hold() {
  MutexLock lock(mutex_);
  hold_ = true;
}

void FakeDevice::Release() {
  {
    MutexLock lock(mutex_);
    hold_ = false;
  }
  changed_.NotifyAll();
}

bool FakeDevice::AwaitHeld() const {
  MutexLock lock(mutex_);
  const absl::Time giving_up = RealClock().Now() + kAwaitLimit;
  while (!at_gate_ && RealClock().Now() < giving_up) changed_.WaitFor(mutex_, kAwaitLimit);
  return at_gate_;
}

std::vector<std::string> FakeDevice::PlanLog() const {
  MutexLock lock(mutex_);
  return log_;
}

int FakeDevice::plans() const {
  MutexLock lock(mutex_);
  return static_cast<int>(log_.size());
}

void FakeDevice::Enter(const StepPlan& plan) {
  std::shared_ptr<Crash> crash;
  {
    MutexLock lock(mutex_);
    log_.push_back(plan.ToString());
    at_gate_ = hold_;
    changed_.NotifyAll();
    while (hold_) changed_.Wait(mutex_);
    at_gate_ = false;
    crash = crash_;
  }
  if (*crash && (*crash)(plan)) throw std::runtime_error("scripted crash");
}

absl::Status FakeDevice::FaultOf(const Job& job, Phase phase) const {
  std::shared_ptr<Fault> fault;
  {
    MutexLock lock(mutex_);
    fault = fault_;
  }
  return *fault ? (*fault)(job, phase) : absl::OkStatus();
}

absl::Status FakeDevice::StartFaultOf(const Job& job) const {
  std::shared_ptr<StartFault> fault;
  {
    MutexLock lock(mutex_);
    fault = start_fault_;
  }
  return *fault ? (*fault)(job) : absl::OkStatus();
}

absl::Status FakeDevice::ParkFaultOf() const {
  std::shared_ptr<ParkFault> fault;
  {
    MutexLock lock(mutex_);
    fault = park_fault_;
  }
  return *fault ? (*fault)() : absl::OkStatus();
}

std::unique_ptr<StepExecutor> MakeFakeExecutor(FakeDevice& device) { return std::make_unique<FakeExecutor>(device); }

SharedImage ExpectedFakeImage(const JobSpec& spec) {
  uint64_t digest = Mix(0, static_cast<uint64_t>(spec.request->seed + spec.image_index));
  for (const sampling::Stage& stage : spec.recipe->stages) {
    for (const sampling::Evaluation& evaluation : stage.program->evaluations) {
      digest = MixEvaluation(digest, evaluation, stage.RowsOf(evaluation).size());
    }
  }
  return Paint(spec.request->width, spec.request->height, digest);
}

SharedImage ExpectedFakeImage(const Job& job) { return ExpectedFakeImage(job.spec()); }

}  // namespace stepcast
