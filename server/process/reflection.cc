#include "server/process/reflection.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "server/call/await_empty.h"
#include "server/call/generate_calls.h"
#include "server/request/errors/status_mapping.h"
#include "server/request/parse/request_parser.h"

namespace stepcast {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using grpc::reflection::v1::ServerReflectionRequest;
using grpc::reflection::v1::ServerReflectionResponse;

// Longer than any name of ours; a question is echoed in its answer.
constexpr int64_t kMaxRequestBytes = 4096;

void SetError(grpc::StatusCode code, const std::string& message, ServerReflectionResponse& response) {
  response.mutable_error_response()->set_error_code(code);
  response.mutable_error_response()->set_error_message(message);
}

// `file` and, behind it, what it imports; each once.
void AddFiles(const FileDescriptor& file, absl::flat_hash_set<const FileDescriptor*>& seen,
              ServerReflectionResponse& response) {
  if (!seen.insert(&file).second) return;
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  response.mutable_file_descriptor_response()->add_file_descriptor_proto(proto.SerializeAsString());
  for (int i = 0; i < file.dependency_count(); ++i) AddFiles(*file.dependency(i), seen, response);
}

void AnswerFile(const FileDescriptor* file, const char* missing, ServerReflectionResponse& response) {
  if (file == nullptr) return SetError(grpc::StatusCode::NOT_FOUND, missing, response);
  absl::flat_hash_set<const FileDescriptor*> seen;
  AddFiles(*file, seen, response);
}

const FileDescriptor* FileOfExtension(const grpc::reflection::v1::ExtensionRequest& request) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  const Descriptor* const type = pool.FindMessageTypeByName(request.containing_type());
  if (type == nullptr) return nullptr;
  const FieldDescriptor* const extension = pool.FindExtensionByNumber(type, request.extension_number());
  return extension == nullptr ? nullptr : extension->file();
}

void AnswerExtensionNumbers(const std::string& name, ServerReflectionResponse& response) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  const Descriptor* const type = pool.FindMessageTypeByName(name);
  if (type == nullptr) return SetError(grpc::StatusCode::NOT_FOUND, "Type not found.", response);
  std::vector<const FieldDescriptor*> extensions;
  pool.FindAllExtensions(type, &extensions);
  auto& answer = *response.mutable_all_extension_numbers_response();
  answer.set_base_type_name(name);
  for (const FieldDescriptor* extension : extensions) answer.add_extension_number(extension->number());
}

}  // namespace

ServerReflectionResponse Reflect(const ServerReflectionRequest& request, const std::vector<std::string>& services) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  ServerReflectionResponse response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kFileByFilename:
      AnswerFile(pool.FindFileByName(request.file_by_filename()), "File not found.", response);
      break;
    case ServerReflectionRequest::kFileContainingSymbol:
      AnswerFile(pool.FindFileContainingSymbol(request.file_containing_symbol()), "Symbol not found.", response);
      break;
    case ServerReflectionRequest::kFileContainingExtension:
      AnswerFile(FileOfExtension(request.file_containing_extension()), "Extension not found.", response);
      break;
    case ServerReflectionRequest::kAllExtensionNumbersOfType:
      AnswerExtensionNumbers(request.all_extension_numbers_of_type(), response);
      break;
    case ServerReflectionRequest::kListServices: {
      auto& list = *response.mutable_list_services_response();
      for (const std::string& service : services) list.add_service()->set_name(service);
      break;
    }
    case ServerReflectionRequest::MESSAGE_REQUEST_NOT_SET:
      SetError(grpc::StatusCode::INVALID_ARGUMENT, "invalid MessageRequest", response);
      break;
  }
  return response;
}

// One stream: reads a question, writes the answer, reads the next. Deletes itself in OnDone.
class ReflectionReactor final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  explicit ReflectionReactor(ReflectionService& service) : service_(service) {}

  void Start() {
    service_.Add(this);
    MutexLock lock(mutex_);
    if (!finished_) StartRead(&request_);
  }

  // Once what is being written has been.
  void End() {
    MutexLock lock(mutex_);
    ending_ = true;
    if (!writing_) FinishOnce(Stopping());
  }

  void OnReadDone(bool ok) override {
    MutexLock lock(mutex_);
    if (!ok) return FinishOnce(grpc::Status::OK);
    if (finished_) return;
    ServerReflectionRequest question;
    const absl::Status parsed = ParseRequest(request_, kMaxRequestBytes, question);
    if (!parsed.ok()) return FinishOnce(ToGrpcStatus(parsed));
    ToBytes(Reflect(question, service_.services()), response_);
    writing_ = true;
    StartWrite(&response_);
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(mutex_);
    writing_ = false;
    if (!ok) return FinishOnce(grpc::Status(grpc::StatusCode::CANCELLED, "the client is gone"));
    if (ending_) return FinishOnce(Stopping());
    StartRead(&request_);
  }

  void OnDone() override {
    service_.Remove(this);
    delete this;
  }

 private:
  static grpc::Status Stopping() { return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server stops"); }

  // gRPC never runs reactions inside its own calls, so calling it with the lock held cannot deadlock.
  void FinishOnce(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!std::exchange(finished_, true)) Finish(status);
  }

  ReflectionService& service_;
  Mutex mutex_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
};

ReflectionService::ReflectionService(std::vector<std::string> services) : services_(std::move(services)) {
  services_.emplace_back(grpc::reflection::v1::ServerReflection::service_full_name());
  services_.emplace_back("grpc.reflection.v1alpha.ServerReflection");
  std::sort(services_.begin(), services_.end());
}

ReflectionService::~ReflectionService() = default;

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* ReflectionService::ServerReflectionInfo(
    grpc::CallbackServerContext*) {
  auto* const reactor = new ReflectionReactor(*this);
  reactor->Start();
  return reactor;
}

void ReflectionService::EndStreams() {
  MutexLock lock(mutex_);
  ended_ = true;
  for (ReflectionReactor* const stream : streams_) stream->End();
}

void ReflectionService::Add(ReflectionReactor* stream) {
  MutexLock lock(mutex_);
  if (ended_) stream->End();
  streams_.insert(stream);
}

void ReflectionService::Remove(ReflectionReactor* stream) {
  MutexLock lock(mutex_);
  streams_.erase(stream);
  if (streams_.empty()) emptied_.NotifyAll();
}

bool ReflectionService::AwaitNone(absl::Duration patience) {
  MutexLock lock(mutex_);
  return AwaitEmpty(streams_, mutex_, emptied_, patience);
}

}  // namespace stepcast
