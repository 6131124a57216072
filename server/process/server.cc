#include "server/process/server.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <utility>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "core/cpu_budget.h"
#include "core/model_memory.h"
#include "core/status_macros.h"
#include "prometheus/registry.h"
#include "scheduler/recording/recorder.h"
#include "server/config/loop_options.h"
#include "server/operators/observer_list.h"
#include "server/request/errors/status_mapping.h"
#include "server/request/request_validator.h"
#include "server/telemetry/logging.h"

namespace stepcast {
namespace {

// Messages above our own limit must still reach the validator, which says what is wrong; gRPC's refusal does not.
constexpr int64_t kReceiveSlack = 20 << 20;
// Requests of the admin port are a few bytes.
constexpr int64_t kAdminReceiveBytes = 1 << 20;
// For the ends of calls to reach their clients; then for what gRPC itself still has to send.
constexpr absl::Duration kLastWords = absl::Seconds(5);
constexpr absl::Duration kShutdownGrace = absl::Milliseconds(100);
// Every stream posts at most one write at a time, so this queue is bounded by admission.
constexpr int kWriterQueue = 1 << 20;
constexpr int kMostCodecThreads = 2;  // of those that nobody has asked for

int CodecThreads(const CodecConfig& codec) {
  return codec.threads > 0 ? codec.threads : std::min(kMostCodecThreads, ReadCpuBudget().threads);
}

absl::Status Draining() { return MakeError({.reason = v1::ERROR_REASON_DRAINING}); }

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Create(ServerConfig config, const Clock& clock,
                                                       std::function<void()> wake, ReadInversion read) {
  STEPCAST_ASSIGN_OR_RETURN(SharedAccess access, LoadAccess(config, clock.Now()));
  std::unique_ptr<Server> server(
      new Server(std::move(config), std::move(access), clock, std::move(wake), std::move(read)));
  STEPCAST_RETURN_IF_ERROR(server->Listen());
  return server;
}

Server::Server(ServerConfig config, SharedAccess access, const Clock& clock, std::function<void()> wake,
               ReadInversion read)
    : config_(std::move(config)),
      clock_(clock),
      wake_(std::move(wake)),
      metrics_(clock),
      live_([this] { wake_(); }),
      quarantine_(clock, *metrics_.registry()),
      codec_(CodecThreads(config_.codec), config_.codec.max_queued),
      writers_(/*threads=*/1, kWriterQueue),
      adapters_(config_.embeddings_dir, std::move(read), [](std::string_view line) { Log(LogLevel::kWarning, line); }),
      loras_(config_.loras_dirs, [](std::string_view line) { Log(LogLevel::kWarning, line); }),
      access_(std::move(access)),
      rates_(clock),
      public_gate_(Port::kPublic, access_, tenants_, clock),
      admin_gate_(Port::kAdmin, access_, tenants_, clock),
      service_(config_, {public_gate_, metrics_, clock}, live_, {seeds_, rates_}),
      scheduler_service_(ticks_, writers_, {admin_gate_, metrics_, clock}),
      model_service_(config_, writers_, {admin_gate_, metrics_, clock}),
      public_reflection_(
          {v1::ImageGenerationService::service_full_name(), grpc::health::v1::Health::service_full_name()}),
      admin_reflection_({v1::SchedulerService::service_full_name(), v1::ModelService::service_full_name(),
                         grpc::health::v1::Health::service_full_name()}),
      devices_(config_.health.stall_timeout) {}

Server::~Server() {
  StopServing();
  // Before the loops: a model that is freed waits for the tick that still holds it.
  if (lora_store_ != nullptr) lora_store_->Stop();
  if (models_ != nullptr) models_->Stop();
  if (loops_ != nullptr) loops_->Stop();
}

absl::Status Server::Listen() {
  const ListenConfig& listen = config_.listen;
  ListenerOptions options;
  options.name = "gRPC";
  options.host = listen.host;
  options.port = listen.port;
  options.socket_mode = listen.socket_mode;
  if (config_.tls.on()) {
    STEPCAST_ASSIGN_OR_RETURN(certificates_, Certificates::Load(config_.tls, clock_.Now()));
    metrics_.operations().SetCertificateExpiry(certificates_->expires());
    options.credentials = certificates_->credentials();
  }
  options.services = {&service_, &public_health_};
  options.reflection = config_.reflection;
  if (config_.reflection) options.services.push_back(&public_reflection_);
  options.max_receive_bytes = config_.limits.max_request_bytes + kReceiveSlack;
  options.max_buffered_bytes += config_.limits.input_pictures.budget_bytes;
  STEPCAST_ASSIGN_OR_RETURN(public_, Listener::Start(options));
  ports_.grpc = public_->port();
  if (listen.admin_port) {
    options.name = "admin gRPC";
    options.host = listen.admin_host;
    options.port = *listen.admin_port;
    options.services = {&admin_health_, &scheduler_service_, &model_service_, &admin_reflection_};
    options.reflection = true;
    options.channelz = config_.admin.channelz;
    if (!config_.admin.tls) options.credentials = nullptr;
    options.max_receive_bytes = kAdminReceiveBytes;
    options.max_buffered_bytes = ListenerOptions().max_buffered_bytes;
    STEPCAST_ASSIGN_OR_RETURN(admin_, Listener::Start(options));
    ports_.admin = admin_->port();
  }
  if (listen.metrics_port) {
    const std::string address = JoinHostPort(listen.metrics_host, *listen.metrics_port);
    STEPCAST_ASSIGN_OR_RETURN(exporter_, MetricsExporter::Start(address, metrics_.registry()));
    ports_.metrics = exporter_->port();
  }
  settings_.emplace(config_, LiveSettings::Parts{access_, certificates_.get(), metrics_.operations()});
  return WritePortFile();
}

absl::Status Server::WritePortFile() const {
  if (config_.port_file.empty()) return absl::OkStatus();
  const nlohmann::json ports = {{"port", ports_.grpc}, {"admin_port", ports_.admin}, {"metrics_port", ports_.metrics}};
  // Renamed into place, so that a reader sees all of it or nothing.
  const std::string draft = config_.port_file + ".tmp";
  std::ofstream file(draft, std::ios::trunc);
  file << ports.dump() << "\n";
  file.close();
  if (!file || std::rename(draft.c_str(), config_.port_file.c_str()) != 0) {
    return absl::FailedPreconditionError(absl::StrCat("cannot write port_file ", config_.port_file));
  }
  return absl::OkStatus();
}

absl::Status Server::Serve(LoadedEngine engine, const ModelRegistry::TokenizerLoader& load_tokenizer) {
  STEPCAST_ASSIGN_OR_RETURN(ModelRegistry models, RegisterModels(engine, load_tokenizer));
  metrics_.AddModels(engine.models);
  metrics_.tenants().Add(TenantLabels(config_.tenants));
  metrics_.tenants().Listen([this](std::string_view tenant, absl::Duration had) { rates_.Charge(tenant, had); });
  STEPCAST_RETURN_IF_ERROR(StartLoops(engine));
  LoraHost* const lora_host = engine.host == nullptr ? nullptr : engine.host->loras();
  models_ = StoreModels(std::move(models), engine, load_tokenizer);
  STEPCAST_RETURN_IF_ERROR(OpenTokens());
  loras_.Serve(lora_host);
  loras_.Refresh();
  lora_store_ = std::make_unique<LoraStore>(loras_, lora_host, config_.loras_budget, metrics_.loras());
  backend_.emplace(Backend{.models = *models_,
                           .streams = {.loops = *loops_,
                                       .codec = codec_,
                                       .writers = writers_,
                                       .metrics = metrics_,
                                       .pace = pace_,
                                       .clock = clock_,
                                       .tokens = tokens_.get(),
                                       .quarantine = &quarantine_,
                                       .models = models_.get(),
                                       .loras = lora_store_.get(),
                                       .on_device_lost = [this] { wake_(); },
                                       .chunk_bytes = config_.limits.image_chunk_bytes,
                                       .log_prompts = config_.log.prompts},
                           .numerics = std::move(engine.numerics),
                           .adapters = adapters_,
                           .loras = lora_host == nullptr || config_.loras_dirs.empty() ? nullptr : &loras_});
  adapters_.Refresh(*models_->registry());
  service_.Serve(*backend_);
  scheduler_service_.Serve(*loops_);
  model_service_.Serve(*models_);
  if (config_.scheduler.profile.budget == absl::ZeroDuration()) AnnounceReady();
  return absl::OkStatus();
}

absl::Status Server::OpenTokens() {
  const ResumeConfig& resume = config_.resume;
  if (resume.key_file.empty()) return absl::OkStatus();
  STEPCAST_ASSIGN_OR_RETURN(std::vector<std::string> keys, ReadResumeKeys(resume.key_file));
  tokens_ = std::make_unique<const ResumeTokens>(
      ResumeTokenOptions{.keys = std::move(keys), .ttl = resume.token_ttl, .max_bytes = resume.max_token_bytes},
      clock_);
  return absl::OkStatus();
}

// Leaves what cannot be served out of `engine.models` and `engine.profile_keys`.
absl::StatusOr<ModelRegistry> Server::RegisterModels(LoadedEngine& engine,
                                                     const ModelRegistry::TokenizerLoader& load_tokenizer) const {
  std::vector<RefusedModel> refused = std::move(engine.refused);
  // Of those that were to be loaded config_checks has seen that the default is one.
  const bool is_refused = std::any_of(refused.begin(), refused.end(),
                                      [this](const RefusedModel& model) { return model.id == config_.default_model; });
  STEPCAST_ASSIGN_OR_RETURN(
      ModelRegistry models,
      ModelRegistry::Create(engine.models, is_refused ? "" : config_.default_model, load_tokenizer));
  for (RefusedModel& misfit : FindMisfits(models, config_.limits)) {
    STEPCAST_RETURN_IF_ERROR(models.LeaveOut(std::move(misfit)));
  }
  refused.insert(refused.end(), models.refused().begin(), models.refused().end());
  for (const RefusedModel& model : refused) {
    Log(LogLevel::kError, "model left out", {{"model", model.id}, {"cause", model.why}});
  }
  const std::string& standing_in = models.default_model().info->id;
  if (!config_.default_model.empty() && standing_in != config_.default_model) {
    Log(LogLevel::kError, "the default model is left out; another stands in",
        {{"model", config_.default_model}, {"stands_in", standing_in}});
  }
  std::erase_if(engine.models, [&](const SharedModelInfo& info) { return models.Find(info->id) == nullptr; });
  std::erase_if(engine.profile_keys, [&](const BatchKey& key) { return models.Find(key.model) == nullptr; });
  return models;
}

// What is loaded later is judged as what was loaded at the start.
std::unique_ptr<ModelStore> Server::StoreModels(ModelRegistry models, LoadedEngine& engine,
                                                const ModelRegistry::TokenizerLoader& load_tokenizer) {
  ModelStoreOptions options;
  options.max_waiting = config_.max_waiting_for_models;
  for (const ModelSource& source : config_.engine.models) options.loading[source.id] = source.loading;
  options.unloaded = std::move(engine.unloaded);
  options.memory = std::move(engine.memory);
  options.admit = [load_tokenizer, limits = config_.limits](SharedModelInfo info) -> absl::StatusOr<RegisteredModel> {
    STEPCAST_ASSIGN_OR_RETURN(ModelRegistry alone, ModelRegistry::Create({std::move(info)}, "", load_tokenizer));
    const std::vector<RefusedModel> misfits = FindMisfits(alone, limits);
    if (!misfits.empty()) return absl::InvalidArgumentError(misfits.front().why);
    return alone.default_model();
  };
  options.on_loaded = [this](const ModelInfo& model) { loops_->Learn(model); };
  // What is in memory and is not served has no business there.
  for (const ModelSource& source : config_.engine.models) {
    if (engine.host != nullptr && models.Find(source.id) == nullptr) engine.host->Unload(source.id);
  }
  return std::make_unique<ModelStore>(std::move(models), std::move(options), std::move(engine.host), metrics_.models(),
                                      clock_);
}

std::vector<SharedModelInfo> Server::models() const {
  std::vector<SharedModelInfo> infos;
  for (const RegisteredModel& model : models_->registry()->models()) infos.push_back(model.info);
  return infos;
}

// Once: afterwards a drain or a lost device decides.
void Server::AnnounceReady() {
  if (std::exchange(announced_ready_, true)) return;
  health_.SetReady(true);
}

absl::Status Server::StartLoops(LoadedEngine& engine) {
  EngineLoopOptions options = LoopOptions(config_);
  options.profile.keys = std::move(engine.profile_keys);
  options.profile.fingerprint = std::move(engine.cost_fingerprint);
  // The engine thread writes no log lines.
  options.profile.on_warning = [this](const absl::Status& problem) {
    writers_.Post(
        [cause = std::string(problem.message())] { Log(LogLevel::kWarning, "costs of ticks", {{"cause", cause}}); });
  };
  std::vector<DispatchDevice> devices;
  for (LoadedDevice& device : engine.devices) {
    STEPCAST_ASSIGN_OR_RETURN(SchedulerObserver* const observer,
                              ObserverOf(device.name, device.executor->Limits(), options));
    devices.push_back({.name = device.name,
                       .executor = std::move(device.executor),
                       .metrics = &metrics_.AddDevice(device.name),
                       .observer = observer});
    for (const SharedModelInfo& model : engine.models) {
      if (!IsPaintedBy(*model, device.name)) devices.back().foreign.push_back(model->id);
    }
  }
  STEPCAST_ASSIGN_OR_RETURN(loops_, Dispatcher::Create(options, std::move(devices), clock_));
  return absl::OkStatus();
}

absl::StatusOr<SchedulerObserver*> Server::ObserverOf(const std::string& device, const ExecutorLimits& limits,
                                                      const EngineLoopOptions& options) {
  observers_.push_back(ticks_.ObserverOf(device));
  if (config_.record_file.empty()) return observers_.back().get();
  SchedulerObserver* const ticks = observers_.back().get();
  const std::string path = recorders_ == 0 ? config_.record_file : absl::StrCat(config_.record_file, ".", recorders_);
  const RecordingHeader header{.policy = options.policy,
                               .limits = limits,
                               .tenant_weights = options.tenant_weights,
                               .fingerprint = options.profile.fingerprint,
                               .begin = clock_.Now()};
  RecorderOptions recording;
  recording.on_stopped = [this, path](const absl::Status& why) {
    writers_.Post([path, cause = std::string(why.message())] {
      Log(LogLevel::kWarning, "recording ended early", {{"file", path}, {"cause", cause}});
    });
  };
  STEPCAST_ASSIGN_OR_RETURN(std::unique_ptr<Recorder> recorder, Recorder::Open(path, header, std::move(recording)));
  ++recorders_;
  observers_.push_back(std::move(recorder));
  observers_.push_back(std::make_unique<ObserverList>(std::vector<SchedulerObserver*>{ticks, observers_.back().get()}));
  return observers_.back().get();
}

void Server::Housekeep() {
  const absl::Time now = clock_.Now();
  live_.CheckStalls(now);
  if (models_ != nullptr) {
    models_->Tend();
    adapters_.Refresh(*models_->registry());
    lora_store_->Tend();
  }
  settings_->Look(now);
  metrics_.operations().SetDroppedLines(DroppedLogLines());
  LookAfterDevices(now);
}

void Server::LookAfterDevices(absl::Time now) {
  if (loops_ == nullptr) return;
  const std::vector<DeviceStatus> devices = loops_->devices();
  devices_.Look(devices, now);
  if (loops_->status().ready) AnnounceReady();
  for (const DeviceStatus& device : devices) metrics_.SetDeviceUp(device.name, !device.engine.lost);
  health_.SetLive(devices_.live());
  if (devices_.all_lost()) health_.SetReady(false);
}

void Server::AnnounceNotReady() {
  announced_ready_ = true;
  health_.SetReady(false);
}

void Server::RefuseNew() { service_.RefuseNew(); }

void Server::FinishAdmitted(absl::Time deadline) {
  // Whoever waits for a model is not admitted.
  if (models_ != nullptr) models_->Close(Draining());
  if (loops_ != nullptr) loops_->Drain(deadline, [this] { wake_(); });
}

void Server::CancelRest() {
  if (tokens_ == nullptr || loops_ == nullptr) return live_.Close(Draining());
  // Jobs are handed out, which ends their calls; whoever is too slow to hear of it ends with StopServing.
  loops_->Drain(clock_.Now(), [this] { wake_(); });
}

bool Server::Idle() const { return live_.size() == 0; }

bool Server::engine_idle() const {
  if (loops_ == nullptr) return true;
  const EngineStatus engine = loops_->status();
  return engine.ready && engine.waiting + engine.running == 0 && !(models_ != nullptr && models_->busy());
}

void Server::StopServing() {
  if (std::exchange(stopped_, true)) return;
  health_.SetReady(false);
  service_.RefuseNew();
  live_.Close(Draining());
  scheduler_service_.EndCalls();
  model_service_.EndCalls();
  health_.EndWatches();
  public_reflection_.EndStreams();
  admin_reflection_.EndStreams();
  // gRPC would wait for idle connections, too, whose clients may never read that they are to go.
  const absl::Time end = RealClock().Now() + kLastWords;
  const auto left = [end] { return end - RealClock().Now(); };
  live_.AwaitNone(left());
  scheduler_service_.AwaitNone(left());
  model_service_.AwaitNone(left());
  health_.AwaitNone(left());
  public_reflection_.AwaitNone(left());
  admin_reflection_.AwaitNone(left());
  if (public_ != nullptr) public_->Shutdown(kShutdownGrace);
  if (admin_ != nullptr) admin_->Shutdown(kShutdownGrace);
}

void Server::Reload(absl::StatusOr<ServerConfig> fresh) {
  const auto judge = [this](const ServerConfig& config) -> absl::Status {
    if (models_ == nullptr) return absl::OkStatus();
    const std::vector<RefusedModel> misfits = FindMisfits(*models_->registry(), config.limits);
    return misfits.empty() ? absl::OkStatus() : absl::InvalidArgumentError(misfits.front().why);
  };
  settings_->Reload(std::move(fresh), clock_.Now(), judge,
                    [this](const ServerConfig& config) { metrics_.tenants().Add(TenantLabels(config.tenants)); });
}

}  // namespace stepcast
