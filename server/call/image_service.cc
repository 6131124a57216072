#include "server/call/image_service.h"

#include <functional>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "core/string_view.h"
#include "sampling/recipe/picture_inputs.h"
#include "server/request/checks/surprises.h"
#include "server/request/errors/field_violations.h"
#include "server/request/errors/status_mapping.h"
#include "server/request/parse/request_parser.h"
#include "server/request/pictures/picture_parameters.h"
#include "server/request/pictures/read_pictures.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

sampling::SamplerSpec SpecOf(const GenerationRequest& request) {
  return {.sampler = request.sampler,
          .steps = request.steps,
          .sigma_schedule = request.sigma_schedule,
          .timestep_spacing = request.timestep_spacing,
          .eta = request.eta,
          .guidance_scale = sampling::GuidanceOf(request),
          .guidance_rescale = request.guidance_rescale,
          .guidance_start = request.guidance_start,
          .guidance_end = request.guidance_end,
          .classifier_scale = request.classifier_scale,
          .strength = sampling::StrengthOf(request),
          .inversion = request.invert ? sampling::Inversion::kPaintsInverted : sampling::Inversion::kNone,
          .options = request.sampler_options,
          .timesteps = request.timesteps,
          .sigmas = request.sigmas};
}

constexpr int kMaxQueuedUploads = 256;

// What a proxy routes by, which reads no message.
constexpr char kModelKey[] = "x-stepcast-model";

// What files and what is kept of them may take: the rest is for the picture at work.
int64_t UploadRoom(const InputPictureLimits& limits) {
  return limits.budget_bytes - kDecodingBytesPerPixel * limits.max_pixels;
}

// Counts a request among those that wait, for as long as it lives.
std::shared_ptr<void> Waiting(ServerMetrics& metrics) {
  metrics.uploads().AddWaiting(1);
  return {nullptr, [&metrics](void*) { metrics.uploads().AddWaiting(-1); }};
}

// gRPC holds a request's bytes until its call ends, unless they are taken away: pictures are large, and parsed by now.
void Forget(const grpc::ByteBuffer& bytes) { const_cast<grpc::ByteBuffer&>(bytes).Clear(); }

absl::Status Draining() { return MakeError({.reason = v1::ERROR_REASON_DRAINING}); }

}  // namespace

ImageService::ImageService(const ServerConfig& config, const CallBooks& books, LiveCalls& live, RequestSources sources)
    : config_(config),
      books_(books),
      metrics_(books.metrics),
      live_(live),
      sources_(sources),
      clock_(books.clock),
      started_(clock_.Now()),
      upload_budget_(
          std::make_shared<UploadBudget>(UploadRoom(config.limits.input_pictures),
                                         [&metrics = metrics_](int64_t held) { metrics.uploads().SetHeld(held); })),
      uploads_(/*threads=*/1, kMaxQueuedUploads) {}

void ImageService::Serve(const Backend& backend) { backend_ = &backend; }

void ImageService::RefuseNew() { refusing_ = true; }

std::unique_ptr<CallRecord> ImageService::Record(std::string_view method, grpc::CallbackServerContext& context) const {
  return std::make_unique<CallRecord>(method, context, books_, config_.default_deadline);
}

absl::StatusOr<const Backend*> ImageService::Ready() const {
  const Backend* const backend = backend_;
  if (backend == nullptr) {
    return MakeError({.reason = v1::ERROR_REASON_MODEL_LOADING, .retry_after = absl::Seconds(2)});
  }
  return backend;
}

absl::Status ImageService::Parse(const CallRecord& record, const grpc::ByteBuffer& bytes,
                                 google::protobuf::Message& request) const {
  STEPCAST_RETURN_IF_ERROR(record.caller().status());
  return ParseRequest(bytes, record.caller()->server_limits().max_request_bytes, request,
                      "ServerLimits.max_request_bytes of GetServerInfo");
}

absl::Status ImageService::NameModel(const CallRecord& record, std::string& model) const {
  STEPCAST_ASSIGN_OR_RETURN(const Backend* backend, Ready());
  const std::shared_ptr<const ModelRegistry> models = backend->models.registry();
  STEPCAST_ASSIGN_OR_RETURN(model, record.caller()->ModelFor(model, *models));
  const std::string& meant = model.empty() ? models->default_model().info->id : model;
  FieldViolations violations;
  for (const std::string_view routed : record.Metadata(kModelKey)) {
    if (routed != meant) {
      violations.Add(kModelKey, Quoted(ToAbsl(routed)), absl::StrCat("the request's model, ", Quoted(meant)));
    }
  }
  return violations.ToStatus();
}

CallStart ImageService::Begin(std::string_view method, grpc::CallbackServerContext& context) {
  return {.context = context,
          .record = Record(method, context),
          .live = live_,
          .model = "",
          .request = absl::UnknownError("not checked")};
}

// A painting call as it came.
struct ImageService::AskedFor {
  v1::GenerateRequest request;
  PictureFiles pictures;  // their headers alone
  Caller caller;
  int64_t upload_bytes = 0;
  absl::Time arrival;
  absl::Time deadline;
  bool unary = false;
};

absl::StatusOr<ImageService::SharedAsked> ImageService::Ask(v1::GenerateRequest request, const PictureFiles& files,
                                                            const CallRecord& record, bool unary) const {
  if (refusing_) return Draining();
  STEPCAST_RETURN_IF_ERROR(Ready().status());
  STEPCAST_RETURN_IF_ERROR(sources_.rates.Admit(record.caller()->tenant(), record.caller()->limits()));
  if (unary) {
    FieldViolations violations;
    if (request.has_preview()) {
      violations.Add("preview", "a value", "unset: one answer has no place for previews; call Generate");
    }
    if (request.checkpoint_every() != 0) {
      violations.Add("checkpoint_every", absl::StrCat(request.checkpoint_every()),
                     "0: one answer has no place for checkpoints; call Generate");
    }
    STEPCAST_RETURN_IF_ERROR(violations.ToStatus());
  }
  STEPCAST_RETURN_IF_ERROR(NameModel(record, *request.mutable_model()));
  return std::make_shared<const AskedFor>(AskedFor{.request = std::move(request),
                                                   .pictures = HeadersOf(files),
                                                   .caller = *record.caller(),
                                                   .upload_bytes = files.bytes(),
                                                   .arrival = record.arrival(),
                                                   .deadline = record.deadline(),
                                                   .unary = unary});
}

absl::StatusOr<SharedRequest> ImageService::Validate(const AskedFor& asked, const ModelRegistry& models) {
  STEPCAST_ASSIGN_OR_RETURN(SharedRequest request,
                            ValidateRequest(asked.request, models, asked.caller.server_limits(), sources_.seeds,
                                            {.tenant = asked.caller.tenant(),
                                             .pictures = &asked.pictures,
                                             .adapters = &backend_.load()->adapters,
                                             .loras = backend_.load()->loras}));
  STEPCAST_RETURN_IF_ERROR(asked.caller.CheckSize(*request, asked.upload_bytes));
  if (asked.unary) STEPCAST_RETURN_IF_ERROR(CheckUnaryResponseFits(*request, asked.caller.server_limits()));
  return request;
}

absl::StatusOr<StreamRequest> ImageService::Prepare(const SharedAsked& asked, const SharedRequest& read,
                                                    const ModelRegistry& models) {
  STEPCAST_ASSIGN_OR_RETURN(SharedRequest request, Validate(*asked, models));
  if (read != nullptr) {
    STEPCAST_ASSIGN_OR_RETURN(request, WithPicturesOf(*request, *read));
  }
  return Complete(asked, request);
}

absl::StatusOr<StreamRequest> ImageService::Complete(const SharedAsked& asked, const SharedRequest& request) {
  // With its pictures it has more to tell.
  if (!asked->pictures.empty()) STEPCAST_RETURN_IF_ERROR(CheckParametersFit(*request));
  StreamRequest stream;
  stream.request = request;
  absl::StatusOr<sampling::SharedProgram> program = programs_.Get(request->model->noise_schedule, SpecOf(*request));
  if (!program.ok()) return FromCompileError(program.status());
  stream.program = *std::move(program);
  if (request->invert) {
    sampling::SamplerSpec inverting = SpecOf(*request);
    inverting.inversion = sampling::Inversion::kInverts;
    program = programs_.Get(request->model->noise_schedule, inverting);
    if (!program.ok()) return FromCompileError(program.status());
    stream.inversion = *std::move(program);
  }
  *stream.accepted.mutable_request() = ToEffectiveRequest(*request);
  const size_t inverting = stream.inversion == nullptr ? 0 : stream.inversion->evaluations.size();
  stream.accepted.set_evaluations(static_cast<int>(stream.program->evaluations.size() + inverting));
  if (Quarantine* const quarantine = backend_.load()->streams.quarantine) {
    STEPCAST_RETURN_IF_ERROR(quarantine->Check(stream.accepted.request()));
  }
  STEPCAST_RETURN_IF_ERROR(Resume(asked->request.resume_token(), stream));
  for (const std::string& warning : request->warnings) stream.accepted.add_warnings(warning);
  for (const PromptLength& length : request->prompt_lengths) {
    v1::PromptLength& told = *stream.accepted.add_prompts();
    told.set_field(length.field);
    told.set_tokens(length.tokens);
    told.set_chunks(length.chunks);
  }
  for (const std::string& warning : Surprises(asked->request, *request, *stream.program)) {
    stream.accepted.add_warnings(warning);
  }
  stream.arrival = asked->arrival;
  stream.deadline = asked->deadline;
  const SharedRequest read = asked->pictures.empty() ? nullptr : request;
  stream.again = [this, asked, read](const ModelRegistry& newer) { return Prepare(asked, read, newer); };
  return stream;
}

absl::Status ImageService::Resume(const std::string& token, StreamRequest& stream) const {
  const Backend* const backend = backend_;
  if (backend->streams.tokens == nullptr) return absl::OkStatus();
  stream.binding = BindingOf(*stream.request, backend->numerics);
  if (token.empty()) return absl::OkStatus();
  ResumeBinding binding = stream.binding;
  binding.picture = PictureDigest(stream.accepted.request(), /*image_index=*/0);
  STEPCAST_ASSIGN_OR_RETURN(ResumePoint point, backend->streams.tokens->Read(token, binding));
  metrics_.CountResumed();
  auto resumed = std::make_shared<GenerationRequest>(*stream.request);
  resumed->resume = std::make_shared<const ResumePoint>(std::move(point));
  stream.request = std::move(resumed);
  return absl::OkStatus();
}

absl::StatusOr<Upload::Work> ImageService::PrepareUpload(const SharedAsked& asked, PictureFiles files,
                                                         const ModelRegistry& models) {
  STEPCAST_ASSIGN_OR_RETURN(SharedRequest checked, Validate(*asked, models));
  const int64_t kept = KeptBytes(*checked, files);
  std::optional<UploadBudget::Share> share = upload_budget_->TryTake(files.bytes() + kept);
  if (!share.has_value()) {
    metrics_.uploads().CountNoRoom();
    return UploadsFull();
  }
  return [this, asked, checked, kept, files = std::move(files), share = *std::move(share),
          waits = Waiting(metrics_)](const std::function<bool()>& wanted) mutable -> absl::StatusOr<StreamRequest> {
    waits.reset();
    const absl::Time start = clock_.Now();
    const absl::StatusOr<SharedRequest> request = ReadPictures(
        *checked, std::move(files), asked->caller.server_limits().input_pictures, [&] { return wanted(); });
    metrics_.uploads().CountRead(request.ok(), clock_.Now() - start);
    if (!request.ok()) return request.status();
    share.ShrinkTo(kept);
    STEPCAST_ASSIGN_OR_RETURN(StreamRequest stream, Complete(asked, *request));
    const auto held = std::make_shared<UploadBudget::Share>(std::move(share));
    stream.upload_share = held;
    stream.again = [again = std::move(stream.again), held](const ModelRegistry& newer) {
      absl::StatusOr<StreamRequest> renewed = again(newer);
      if (renewed.ok()) renewed->upload_share = held;
      return renewed;
    };
    return stream;
  };
}

void ImageService::Check(v1::GenerateRequest request, bool unary, CallStart& start) {
  start.validate_only = request.validate_only();
  PictureFiles files = TakePictures(request, start.record->caller()->server_limits().input_pictures);
  const Backend* const backend = backend_;
  if (backend != nullptr) {
    const auto models = backend->models.registry();
    const absl::StatusOr<std::string> name = start.record->caller()->ModelFor(request.model(), *models);
    const RegisteredModel* const model = name.ok() ? models->Find(*name) : nullptr;
    if (model != nullptr) start.model = model->info->id;
    start.services = &backend->streams;
  }
  absl::StatusOr<SharedAsked> asked = Ask(std::move(request), files, *start.record, unary);
  if (!asked.ok()) {
    start.request = asked.status();
  } else if (files.empty()) {
    start.request = Prepare(*asked, nullptr, *backend->models.registry());
  } else {
    absl::StatusOr<Upload::Work> work = PrepareUpload(*asked, std::move(files), *backend->models.registry());
    if (!work.ok()) {
      start.request = work.status();
    } else {
      start.upload = *std::move(work);
      start.uploads = &uploads_;
    }
  }
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* ImageService::Generate(grpc::CallbackServerContext* context,
                                                                   const grpc::ByteBuffer* bytes) {
  CallStart start = Begin("Generate", *context);
  v1::GenerateRequest request;
  absl::Status parsed = Parse(*start.record, *bytes, request);
  Forget(*bytes);
  if (!parsed.ok()) {
    start.request = std::move(parsed);
  } else {
    Check(std::move(request), /*unary=*/false, start);
  }
  return AnswerGenerate(std::move(start));
}

grpc::ServerUnaryReactor* ImageService::GenerateImage(grpc::CallbackServerContext* context,
                                                      const grpc::ByteBuffer* bytes, grpc::ByteBuffer* response) {
  CallStart start = Begin("GenerateImage", *context);
  v1::GenerateImageRequest request;
  absl::Status parsed = Parse(*start.record, *bytes, request);
  Forget(*bytes);
  if (!parsed.ok()) {
    start.request = std::move(parsed);
  } else {
    Check(std::move(*request.mutable_request()), /*unary=*/true, start);
  }
  return AnswerGenerateImage(std::move(start), *response);
}

}  // namespace stepcast
