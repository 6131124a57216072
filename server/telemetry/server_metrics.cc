#include "server/telemetry/server_metrics.h"

#include <array>
#include <atomic>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "core/clock.h"
#include "core/string_view.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "scheduler/words/phase.h"
#include "server/telemetry/device_metrics.h"
#include "server/wire/names.h"
#include "server/wire/version.h"

namespace stepcast {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Labels;

using Buckets = Histogram::BucketBoundaries;

// Each set reaches as far as the configuration lets its numbers grow: a deadline is a day at most, a tick may take
// until liveness ends (config.h), a tick has 1024 rows at most.
const Buckets& RequestSeconds() {
  static const Buckets* const buckets = new Buckets{.05, .1, .25, .5, 1,   2,   3,   5,    7.5,  10,   15,    20,
                                                    30,  45, 60,  90, 120, 300, 600, 1800, 3600, 7200, 21600, 86400};
  return *buckets;
}
const Buckets& TickSeconds() {
  static const Buckets* const buckets =
      new Buckets{.001, .002, .005, .01, .02, .03, .05, .075, .1,  .15, .2,   .3,   .5,    .75,
                  1,    2,    5,    10,  20,  30,  60,  120,  300, 600, 1800, 3600, 21600, 86400};
  return *buckets;
}
const Buckets& ErrorRatios() {
  static const Buckets* const buckets = new Buckets{.01, .02, .05, .1, .15, .2, .3, .5, 1, 2, 5, 10};
  return *buckets;
}
const Buckets& Rows() {
  static const Buckets* const buckets = new Buckets{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};
  return *buckets;
}

constexpr std::string_view kMethods[] = {"Generate",     "GenerateImage", "ListModels",  "GetModel",  "GetServerInfo",
                                         "ListAdapters", "WatchTicks",    "GetSchedule", "LoadModel", "UnloadModel"};
constexpr std::string_view kCodes[] = {"OK",
                                       "CANCELLED",
                                       "UNKNOWN",
                                       "INVALID_ARGUMENT",
                                       "DEADLINE_EXCEEDED",
                                       "NOT_FOUND",
                                       "RESOURCE_EXHAUSTED",
                                       "INTERNAL",
                                       "UNAVAILABLE",
                                       "FAILED_PRECONDITION",
                                       "UNAUTHENTICATED",
                                       "PERMISSION_DENIED"};
constexpr std::string_view kReasons[] = {
    "FIELD_INVALID",        "MALFORMED_REQUEST", "WORK_LIMIT",     "IMAGE_UNDECODABLE", "IMAGE_TOO_LARGE",
    "RESUME_TOKEN_INVALID", "MODEL_NOT_FOUND",   "LORA_NOT_FOUND", "QUEUE_FULL",        "TENANT_LIMIT",
    "DEADLINE_UNREACHABLE", "DEVICE_MEMORY",     "DRAINING",       "MODEL_LOADING",     "MODEL_FAILED",
    "DEVICE_LOST",          "DEADLINE",          "ENGINE_ERROR",   "TOKEN_MISSING",     "TOKEN_INVALID",
    "MODEL_FORBIDDEN",      "METHOD_FORBIDDEN",  "UNKNOWN"};
constexpr char kParkedHelp[] = "Pictures that were handed out unfinished, with a token to go on from or without.";
constexpr std::string_view kOutcomes[] = {"succeeded", "failed", "cancelled", "expired"};

std::string_view OutcomeOf(std::string_view code) {
  if (code == "OK") return "succeeded";
  if (code == "CANCELLED") return "cancelled";
  if (code == "DEADLINE_EXCEEDED") return "expired";
  return "failed";
}

bool Paints(std::string_view method) { return method == "Generate" || method == "GenerateImage"; }

// A family's members by the values of its labels, joined: series are found without building a label map.
template <typename Metric>
class SeriesMap {
 public:
  void Insert(Metric& metric, std::initializer_list<std::string_view> values) { map_[Key(values)] = &metric; }

  Metric* Find(std::initializer_list<std::string_view> values) const {
    const auto found = map_.find(Key(values));
    return found == map_.end() ? nullptr : found->second;
  }

 private:
  static std::string Key(std::initializer_list<std::string_view> values) {
    std::string key;
    for (const std::string_view value : values) absl::StrAppend(&key, ToAbsl(value), "\n");
    return key;
  }
  absl::flat_hash_map<std::string, Metric*> map_;
};

std::string Str(std::string_view text) { return std::string(text); }

// The series with a model label. Complete before anybody sees it: calls are counted while models load.
struct ModelSeries {
  SeriesMap<Counter> calls;            // method, model, code
  SeriesMap<Histogram> call_seconds;   // model, outcome
  SeriesMap<Histogram> rows;           // model
  SeriesMap<Counter> images;           // model, finish_reason
  SeriesMap<Histogram> image_seconds;  // model, outcome
  SeriesMap<Counter> steps;            // model, kind
};

}  // namespace

struct ServerMetrics::Impl {
  explicit Impl(const Clock& clock_in) : clock(clock_in) {}

  Counter& AddCounter(const char* name, const char* help, Labels labels = {}) {
    return BuildCounter().Name(name).Help(help).Register(*registry).Add(labels);
  }
  Gauge& AddGauge(const char* name, const char* help, Labels labels = {}) {
    return BuildGauge().Name(name).Help(help).Register(*registry).Add(labels);
  }
  Histogram& AddHistogram(const char* name, const char* help, const Buckets& buckets, Labels labels = {}) {
    return BuildHistogram().Name(name).Help(help).Register(*registry).Add(labels, buckets);
  }

  void AddCalls(std::string_view method, std::string_view model, SeriesMap<Counter>& calls);
  void AddModel(const ModelInfo& model, ModelSeries& series);

  const Clock& clock;
  const std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();

  ModelMetrics memory{*registry};
  UploadMetrics uploads{*registry};
  TenantMetrics tenants{*registry};
  OperationsMetrics operations{*registry};
  LoraMetrics loras{*registry};

  SeriesMap<Counter> calls;                // method, "", code
  SeriesMap<Counter> rejections;           // reason
  SeriesMap<Histogram> tick_seconds;       // phase
  SeriesMap<Histogram> prediction_errors;  // phase
  std::map<std::string, std::unique_ptr<DeviceMetrics>> devices;
  std::unique_ptr<ModelSeries> model_series;
  std::atomic<const ModelSeries*> models{nullptr};  // null until AddModels is through

  Gauge& waiting = AddGauge("stepcast_requests_waiting", "Images admitted and not started.");
  Gauge& running = AddGauge("stepcast_requests_running", "Images being painted.");
  Histogram& queue_wait =
      AddHistogram("stepcast_queue_wait_seconds", "From arrival of an image to its first tick.", RequestSeconds());
  Histogram& first_preview =
      AddHistogram("stepcast_time_to_first_preview_seconds",
                   "From arrival of a request to its first preview on the wire.", RequestSeconds());
  Histogram& encode =
      AddHistogram("stepcast_image_encode_seconds", "Time to encode one finished picture.", TickSeconds());
  Counter& cache_hits =
      AddCounter("stepcast_embedding_cache_lookups_total", "Look-ups of encoded prompts.", {{"result", "hit"}});
  Counter& cache_misses =
      AddCounter("stepcast_embedding_cache_lookups_total", "Look-ups of encoded prompts.", {{"result", "miss"}});
  Counter& stalled = AddCounter("stepcast_stalled_clients_total", "Calls ended because the client stopped reading.");
  Counter& parked = AddCounter("stepcast_parked_total", kParkedHelp, {{"token", "yes"}});
  Counter& parked_without = AddCounter("stepcast_parked_total", kParkedHelp, {{"token", "no"}});
  Counter& resumed = AddCounter("stepcast_resumed_total", "Requests that went on from a resume token.");
  std::array<Counter*, 3> previews{};
};

void ServerMetrics::Impl::AddCalls(std::string_view method, std::string_view model, SeriesMap<Counter>& into) {
  for (const std::string_view code : kCodes) {
    into.Insert(AddCounter("stepcast_requests_total", "Finished calls.",
                           {{"method", Str(method)}, {"model", Str(model)}, {"code", Str(code)}}),
                {method, model, code});
  }
}

void ServerMetrics::Impl::AddModel(const ModelInfo& model, ModelSeries& series) {
  AddCalls("Generate", model.id, series.calls);
  AddCalls("GenerateImage", model.id, series.calls);
  series.rows.Insert(AddHistogram("stepcast_batch_rows", "Denoiser rows per tick; a guided image is two.", Rows(),
                                  {{"model", model.id}}),
                     {model.id});
  for (const std::string_view outcome : kOutcomes) {
    series.call_seconds.Insert(
        AddHistogram("stepcast_request_duration_seconds", "Admitted calls, from receipt to the end.", RequestSeconds(),
                     {{"model", model.id}, {"outcome", Str(outcome)}}),
        {model.id, outcome});
    series.images.Insert(AddCounter("stepcast_images_total", "Images that ended.",
                                    {{"model", model.id}, {"finish_reason", Str(outcome)}}),
                         {model.id, outcome});
    series.image_seconds.Insert(
        AddHistogram("stepcast_image_duration_seconds", "Images, from arrival to the last tick.", RequestSeconds(),
                     {{"model", model.id}, {"outcome", Str(outcome)}}),
        {model.id, outcome});
  }
  for (const std::string_view kind : {"useful", "wasted"}) {
    series.steps.Insert(
        AddCounter("stepcast_steps_total", "Denoiser evaluations; wasted ones are of images never delivered.",
                   {{"model", model.id}, {"kind", Str(kind)}}),
        {model.id, kind});
  }
  memory.SetInfo(model);
}

ServerMetrics::ServerMetrics(const Clock& clock) : impl_(std::make_unique<Impl>(clock)) {
  for (const std::string_view method : kMethods) impl_->AddCalls(method, "", impl_->calls);
  for (const std::string_view reason : kReasons) {
    impl_->rejections.Insert(
        impl_->AddCounter("stepcast_rejected_total", "Calls refused before any work.", {{"reason", Str(reason)}}),
        {reason});
  }
  for (const Phase each : kPhases) {
    const std::string_view phase = PhaseName(each);
    impl_->tick_seconds.Insert(
        impl_->AddHistogram("stepcast_tick_duration_seconds", "Engine ticks.", TickSeconds(), {{"phase", Str(phase)}}),
        {phase});
    impl_->prediction_errors.Insert(
        impl_->AddHistogram("stepcast_tick_prediction_error_ratio",
                            "How far the cost model's prediction of a tick was off, as a fraction of what it took.",
                            ErrorRatios(), {{"phase", Str(phase)}}),
        {phase});
  }
  constexpr const char* kResults[] = {"sent", "replaced", "dropped"};
  for (size_t i = 0; i < impl_->previews.size(); ++i) {
    impl_->previews[i] = &impl_->AddCounter("stepcast_previews_total",
                                            "Previews: written, replaced by a newer one, or dropped for a slow reader "
                                            "or busy encoders.",
                                            {{"result", kResults[i]}});
  }
  impl_
      ->AddGauge("stepcast_build_info", "The running build; always 1.",
                 {{"version", Str(kVersion)}, {"commit", Str(kCommit)}})
      .Set(1);
}

ServerMetrics::~ServerMetrics() = default;

ModelMetrics& ServerMetrics::models() { return impl_->memory; }

UploadMetrics& ServerMetrics::uploads() { return impl_->uploads; }

TenantMetrics& ServerMetrics::tenants() { return impl_->tenants; }

OperationsMetrics& ServerMetrics::operations() { return impl_->operations; }

LoraMetrics& ServerMetrics::loras() { return impl_->loras; }

EngineMetrics& ServerMetrics::AddDevice(const std::string& device) {
  std::unique_ptr<DeviceMetrics>& series = impl_->devices[device];
  series = std::make_unique<DeviceMetrics>(device, *impl_->registry, *this, QueueGauges{impl_->waiting, impl_->running},
                                           impl_->clock);
  return *series;
}

void ServerMetrics::ChargeTenant(std::string_view tenant, const DeviceCost& cost) {
  impl_->tenants.Charge(tenant, cost);
}

void ServerMetrics::SetDeviceUp(const std::string& device, bool up) { impl_->devices.at(device)->SetUp(up); }

void ServerMetrics::AddModels(absl::Span<const SharedModelInfo> models) {
  auto series = std::make_unique<ModelSeries>();
  for (const SharedModelInfo& model : models) impl_->AddModel(*model, *series);
  impl_->model_series = std::move(series);
  impl_->models = impl_->model_series.get();
}

void ServerMetrics::ObserveTick(std::string_view phase, std::string_view model, int /*jobs*/, int rows,
                                absl::Duration duration) {
  if (Histogram* series = impl_->tick_seconds.Find({phase})) series->Observe(absl::ToDoubleSeconds(duration));
  const ModelSeries* const models = impl_->models;
  if (models == nullptr) return;
  if (phase == "denoise") {
    if (Histogram* series = models->rows.Find({model})) series->Observe(rows);
  }
}

void ServerMetrics::ObservePrediction(std::string_view phase, absl::Duration predicted, absl::Duration measured) {
  if (measured <= absl::ZeroDuration()) return;
  Histogram* const series = impl_->prediction_errors.Find({phase});
  if (series != nullptr) series->Observe(absl::FDivDuration(absl::AbsDuration(measured - predicted), measured));
}

void ServerMetrics::SetQueue(int waiting, int running) {
  impl_->waiting.Set(waiting);
  impl_->running.Set(running);
}

void ServerMetrics::CountJob(std::string_view model, std::string_view outcome, absl::Duration since_arrival) {
  const ModelSeries* const models = impl_->models;
  if (models == nullptr) return;
  if (Counter* series = models->images.Find({model, outcome})) series->Increment();
  if (Histogram* series = models->image_seconds.Find({model, outcome})) {
    series->Observe(absl::ToDoubleSeconds(since_arrival));
  }
}

void ServerMetrics::CountEmbeddingLookup(bool hit) { (hit ? impl_->cache_hits : impl_->cache_misses).Increment(); }

void ServerMetrics::CountCall(const CallCount& call) {
  const ModelSeries* const models = impl_->models;
  Counter* series = models == nullptr ? nullptr : models->calls.Find({call.method, call.model, call.code});
  if (series == nullptr) series = impl_->calls.Find({call.method, "", call.code});
  if (series == nullptr) series = impl_->calls.Find({call.method, "", "UNKNOWN"});
  if (series != nullptr) series->Increment();
  if (Paints(call.method)) {
    const bool refused = !call.admitted && call.code != "OK" && call.code != "CANCELLED";
    impl_->tenants.CountCall(call.tenant, refused ? "refused" : OutcomeOf(call.code));
  }
  if (call.admitted && models != nullptr) {
    if (Histogram* seconds = models->call_seconds.Find({call.model, OutcomeOf(call.code)})) {
      seconds->Observe(absl::ToDoubleSeconds(call.duration));
    }
  } else if (!call.admitted && call.code != "OK" && call.code != "CANCELLED") {  // who leaves is not refused
    Counter* rejection = impl_->rejections.Find({call.reason});
    (rejection != nullptr ? rejection : impl_->rejections.Find({"UNKNOWN"}))->Increment();
  }
}

void ServerMetrics::CountSteps(std::string_view model, StepKind kind, int64_t evaluations) {
  const ModelSeries* const models = impl_->models;
  if (models == nullptr) return;
  if (Counter* series = models->steps.Find({model, kind == StepKind::kUseful ? "useful" : "wasted"})) {
    series->Increment(static_cast<double>(evaluations));
  }
}

void ServerMetrics::CountPreview(PreviewOutcome outcome) { impl_->previews[static_cast<size_t>(outcome)]->Increment(); }

void ServerMetrics::ObserveQueueWait(absl::Duration waited) {
  impl_->queue_wait.Observe(absl::ToDoubleSeconds(waited));
}

void ServerMetrics::ObserveFirstPreview(absl::Duration since_arrival) {
  impl_->first_preview.Observe(absl::ToDoubleSeconds(since_arrival));
}

void ServerMetrics::ObserveEncode(absl::Duration spent) { impl_->encode.Observe(absl::ToDoubleSeconds(spent)); }

void ServerMetrics::CountStalledClient() { impl_->stalled.Increment(); }
void ServerMetrics::CountParked(bool with_token) { (with_token ? impl_->parked : impl_->parked_without).Increment(); }
void ServerMetrics::CountResumed() { impl_->resumed.Increment(); }

const std::shared_ptr<prometheus::Registry>& ServerMetrics::registry() const { return impl_->registry; }

}  // namespace stepcast
