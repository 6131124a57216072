#include "scheduler/dispatch/dispatcher.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/error_reason.h"
#include "core/model_memory.h"
#include "core/mutex.h"
#include "core/status_macros.h"
#include "scheduler/costs/profiler.h"
#include "scheduler/dispatch/loop_books.h"
#include "scheduler/dispatch/placement.h"
#include "scheduler/dispatch/split_submit.h"

namespace stepcast {
namespace {

absl::Status NoDeviceLeft() {
  return WithReason(absl::UnavailableError("every device of the server is lost"), "DEVICE_LOST");
}

// Whether another loop may take what this one refused.
bool AnotherMay(const absl::Status& refusal) {
  return absl::IsResourceExhausted(refusal) || ErrorReason(refusal) == "DEVICE_LOST";
}

}  // namespace

struct Dispatcher::Impl {
  struct Device {
    std::string name;
    ExecutorLimits limits;
    std::unique_ptr<EngineLoop> loop;
  };

  // A request on its way to a decision: the images spread first, then, should there be no room for them, the whole of
  // it on one loop after the other.
  struct Tour {
    std::vector<JobSpec> specs;
    std::vector<size_t> placed;     // the loop of each image of the first try
    std::vector<size_t> fallbacks;  // loops to try alone afterwards
    size_t next = 0;                // of them
    absl::Status refusal;           // the mildest so far
  };
  using SharedTour = std::shared_ptr<Tour>;

  Impl(size_t loops, int max_queued_jobs) : books(loops, max_queued_jobs) {}
  ~Impl() {
    for (const Device& device : devices) device.loop->Stop();
  }

  SharedTour Plan(std::vector<JobSpec> specs);
  std::vector<RequestPart> Parts(const Tour& tour);
  bool Advance(Tour& tour, const absl::Status& refusal);
  void Submit(const SharedTour& tour, absl::AnyInvocable<void(absl::StatusOr<Admission>) &&> on_decision);
  void Estimate(const SharedTour& tour, absl::AnyInvocable<void(absl::StatusOr<AdmissionVerdict>) &&> on_verdict);

  std::vector<Device> devices;  // fixed once built
  Mutex mutex;
  LoopBooks books ABSL_GUARDED_BY(mutex);
};

Dispatcher::Impl::SharedTour Dispatcher::Impl::Plan(std::vector<JobSpec> specs) {
  auto tour = std::make_shared<Tour>();
  const int images = static_cast<int>(specs.size());
  {
    MutexLock lock(mutex);
    // Under the lock: a loop reports whom it lets in before it decides, so whoever is in the books no more is in here.
    std::vector<EngineStatus> statuses;
    for (const Device& device : devices) statuses.push_back(device.loop->status());
    std::vector<LoopLoad> loads = books.LoadsFor(specs.front(), statuses);
    for (size_t i = 0; i < devices.size(); ++i) {
      loads[i].usable = loads[i].usable && IsPaintedBy(*specs.front().request->model, devices[i].name);
    }
    tour->placed = PlaceImages(loads, images);
    tour->fallbacks = ByFinish(loads, images);
  }
  tour->specs = std::move(specs);
  // A loop that gets all of it in the first try need not be asked again.
  const auto& placed = tour->placed;
  if (std::adjacent_find(placed.begin(), placed.end(), std::not_equal_to<>()) == placed.end() && !placed.empty()) {
    std::erase(tour->fallbacks, placed.front());
  }
  return tour;
}

std::vector<RequestPart> Dispatcher::Impl::Parts(const Tour& tour) {
  std::vector<RequestPart> parts;
  for (size_t loop = 0; loop < devices.size(); ++loop) {
    RequestPart part{.loop = devices[loop].loop.get()};
    for (size_t i = 0; i < tour.specs.size(); ++i) {
      if (tour.placed[i] == loop) part.specs.push_back(tour.specs[i]);
    }
    if (!part.specs.empty()) parts.push_back(std::move(part));
  }
  return parts;
}

// Takes note of a refusal and turns to the next loop. False when there is none or none would help.
bool Dispatcher::Impl::Advance(Tour& tour, const absl::Status& refusal) {
  tour.refusal = AnotherMay(refusal) ? MilderRefusal(tour.refusal, refusal) : refusal;
  if (!AnotherMay(refusal) || tour.next == tour.fallbacks.size()) return false;
  std::fill(tour.placed.begin(), tour.placed.end(), tour.fallbacks[tour.next++]);
  return true;
}

void Dispatcher::Impl::Submit(const SharedTour& tour,
                              absl::AnyInvocable<void(absl::StatusOr<Admission>) &&> on_decision) {
  if (tour->placed.empty()) return std::move(on_decision)(NoDeviceLeft());
  std::vector<RequestPart> parts = Parts(*tour);
  std::vector<std::pair<size_t, int64_t>> sent;
  {
    MutexLock lock(mutex);
    for (size_t loop = 0; loop < devices.size(); ++loop) {
      const auto images = std::count(tour->placed.begin(), tour->placed.end(), loop);
      if (images > 0) sent.emplace_back(loop, books.OnSent(loop, tour->specs.front(), static_cast<int>(images)));
    }
  }
  SubmitParts(std::move(parts), [this, tour, sent,
                                 on_decision = std::move(on_decision)](absl::StatusOr<Admission> decision) mutable {
    {
      MutexLock lock(mutex);
      for (const auto& [loop, number] : sent) books.OnDecided(loop, number);
      if (decision.ok() && sent.size() == 1) {
        books.OnCost(sent[0].first, tour->specs.front(), decision->work / static_cast<int>(tour->specs.size()));
      }
    }
    if (!decision.ok()) {
      if (Advance(*tour, decision.status())) return Submit(tour, std::move(on_decision));
      decision = std::move(tour->refusal);
    }
    std::move(on_decision)(std::move(decision));
  });
}

void Dispatcher::Impl::Estimate(const SharedTour& tour,
                                absl::AnyInvocable<void(absl::StatusOr<AdmissionVerdict>) &&> on_verdict) {
  if (tour->placed.empty()) return std::move(on_verdict)(NoDeviceLeft());
  EstimateParts(Parts(*tour),
                [this, tour, on_verdict = std::move(on_verdict)](absl::StatusOr<AdmissionVerdict> verdict) mutable {
                  if (!verdict.ok()) {
                    if (Advance(*tour, verdict.status())) return Estimate(tour, std::move(on_verdict));
                    verdict = std::move(tour->refusal);
                  }
                  std::move(on_verdict)(std::move(verdict));
                });
}

absl::StatusOr<std::unique_ptr<Dispatcher>> Dispatcher::Create(const EngineLoopOptions& options,
                                                               std::vector<DispatchDevice> devices,
                                                               const Clock& clock) {
  if (devices.empty()) return absl::InvalidArgumentError("a dispatcher needs at least one device");
  auto impl = std::make_unique<Impl>(devices.size(), options.admission.max_queued_jobs);
  for (size_t i = 0; i < devices.size(); ++i) {
    DispatchDevice& device = devices[i];
    EngineLoopOptions own = options;
    own.id_first = static_cast<int64_t>(i) + 1;
    own.id_stride = static_cast<int64_t>(devices.size());
    own.observer = device.observer;
    std::erase_if(own.profile.keys, [&device](const BatchKey& key) {
      return std::find(device.foreign.begin(), device.foreign.end(), key.model) != device.foreign.end();
    });
    own.profile.fingerprint = absl::StrCat(options.profile.fingerprint, " ", device.name);
    if (i > 0 && !options.profile.cache_file.empty()) absl::StrAppend(&own.profile.cache_file, ".", i);
    const ExecutorLimits limits = device.executor->Limits();
    STEPCAST_ASSIGN_OR_RETURN(std::unique_ptr<EngineLoop> loop,
                              EngineLoop::Create(own, std::move(device.executor), clock, *device.metrics));
    impl->devices.push_back({.name = std::move(device.name), .limits = limits, .loop = std::move(loop)});
  }
  return std::unique_ptr<Dispatcher>(new Dispatcher(std::move(impl)));
}

Dispatcher::Dispatcher(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Dispatcher::~Dispatcher() = default;

void Dispatcher::Submit(std::vector<JobSpec> specs,
                        absl::AnyInvocable<void(absl::StatusOr<Admission>) &&> on_decision) {
  // Nothing to choose, or nothing to place: the loop says what it is.
  if (impl_->devices.size() == 1 || specs.empty()) {
    return impl_->devices[0].loop->Submit(std::move(specs), std::move(on_decision));
  }
  impl_->Submit(impl_->Plan(std::move(specs)), std::move(on_decision));
}

void Dispatcher::Estimate(std::vector<JobSpec> specs,
                          absl::AnyInvocable<void(absl::StatusOr<AdmissionVerdict>) &&> on_verdict) {
  if (impl_->devices.size() == 1 || specs.empty()) {
    return impl_->devices[0].loop->Estimate(std::move(specs), std::move(on_verdict));
  }
  impl_->Estimate(impl_->Plan(std::move(specs)), std::move(on_verdict));
}

void Dispatcher::Snapshot(absl::AnyInvocable<void(std::vector<DeviceView>) &&> on_views) {
  struct Collection {
    std::vector<DeviceView> views;  // each written by one thread, read when all are there
    std::atomic<size_t> missing;
    absl::AnyInvocable<void(std::vector<DeviceView>) &&> on_views;
    void OnOne() {
      if (--missing == 0) std::move(on_views)(std::move(views));
    }
  };
  auto collection = std::make_shared<Collection>();
  const std::vector<DeviceStatus> statuses = devices();
  for (const DeviceStatus& status : statuses) collection->views.push_back({.device = status});
  collection->missing = statuses.size();
  collection->on_views = std::move(on_views);
  for (size_t i = 0; i < statuses.size(); ++i) {
    // A lost device may hang whoever asks it.
    if (statuses[i].engine.lost) {
      collection->OnOne();
      continue;
    }
    impl_->devices[i].loop->Snapshot([collection, i](ScheduleView view) {
      collection->views[i].schedule = std::move(view);
      collection->OnOne();
    });
  }
}

void Dispatcher::Learn(const ModelInfo& model) {
  for (const Impl::Device& device : impl_->devices) {
    if (IsPaintedBy(model, device.name)) device.loop->Learn(ProfileKeys(model));
  }
}

void Dispatcher::Cancel(JobId job, absl::Status reason) {
  if (job.value < 1) return;
  const size_t loop = static_cast<size_t>(job.value - 1) % impl_->devices.size();
  impl_->devices[loop].loop->Cancel(job, std::move(reason));
}

void Dispatcher::Drain(absl::Time deadline, absl::AnyInvocable<void() &&> on_drained) {
  struct Countdown {
    std::atomic<size_t> left;
    absl::AnyInvocable<void() &&> on_drained;
  };
  auto countdown = std::make_shared<Countdown>();
  countdown->left = impl_->devices.size();
  countdown->on_drained = std::move(on_drained);
  for (const Impl::Device& device : impl_->devices) {
    device.loop->Drain(deadline, [countdown] {
      if (--countdown->left == 0) std::move(countdown->on_drained)();
    });
  }
}

void Dispatcher::Stop() {
  for (const Impl::Device& device : impl_->devices) device.loop->Stop();
}

void Dispatcher::Wake() {
  for (const Impl::Device& device : impl_->devices) device.loop->Wake();
}

EngineStatus Dispatcher::status() const {
  EngineStatus sum{.last_progress = absl::InfinitePast(), .ready = true, .lost = true};
  for (const Impl::Device& device : impl_->devices) {
    const EngineStatus one = device.loop->status();
    sum.waiting += one.waiting;
    sum.running += one.running;
    sum.parked += one.parked;
    sum.ticks += one.ticks;
    sum.last_progress = std::max(sum.last_progress, one.last_progress);
    sum.draining |= one.draining;
    sum.ready &= one.ready || one.lost;
    sum.lost &= one.lost;
    sum.backlog = std::max(sum.backlog, one.backlog);
  }
  return sum;
}

std::vector<DeviceStatus> Dispatcher::devices() const {
  std::vector<DeviceStatus> statuses;
  for (const Impl::Device& device : impl_->devices) {
    statuses.push_back({.name = device.name, .limits = device.limits, .engine = device.loop->status()});
  }
  return statuses;
}

}  // namespace stepcast
