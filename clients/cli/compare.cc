#include "clients/cli/compare.h"

#include <cctype>
#include <cmath>
#include <cstdio>
#include <deque>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "clients/cli/contact_sheet.h"
#include "stepcast/v1/image_generation.grpc.pb.h"

namespace stepcast::cli {
namespace {

namespace v1 = ::stepcast::v1;

constexpr int kGap = 2;  // pixels between pictures

std::string ShortName(v1::Sampler sampler) {
  std::string name = v1::Sampler_Name(sampler).substr(8);
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

// One unary call under way.
struct Call {
  grpc::ClientContext context;
  v1::GenerateImageResponse response;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::GenerateImageResponse>> reader;
};

// Starts a call per sampler and waits for all of them.
std::deque<Call> PaintAll(const ConnectionOptions& connection, const CompareOptions& options,
                          v1::ImageGenerationService::Stub& stub, int64_t seed) {
  grpc::CompletionQueue queue;
  std::deque<Call> calls;
  for (const v1::Sampler sampler : options.samplers) {
    Call& call = calls.emplace_back();
    Prepare(connection, call.context);
    v1::GenerateImageRequest request;
    *request.mutable_request() = options.request;
    request.mutable_request()->set_sampler(sampler);
    request.mutable_request()->set_seed(seed);
    call.reader = stub.AsyncGenerateImage(&call.context, request, &queue);
    call.reader->Finish(&call.response, &call.status, &call);
  }
  void* tag = nullptr;
  bool ok = false;
  for (size_t done = 0; done < calls.size(); ++done) (void)queue.Next(&tag, &ok);
  return calls;
}

// The seed of all pictures: the request's, or one that the server draws.
grpc::Status SharedSeed(const ConnectionOptions& connection, const CompareOptions& options,
                        v1::ImageGenerationService::Stub& stub, int64_t& seed) {
  seed = options.request.seed();
  if (options.request.has_seed()) return grpc::Status::OK;
  grpc::ClientContext context;
  Prepare(connection, context);
  v1::GenerateImageRequest question;
  *question.mutable_request() = options.request;
  question.mutable_request()->set_sampler(options.samplers.front());
  question.mutable_request()->set_validate_only(true);
  v1::GenerateImageResponse answer;
  const grpc::Status status = stub.GenerateImage(&context, question, &answer);
  seed = answer.request().seed();
  return status;
}

ExitCode Fail(const std::string& who, const grpc::Status& status) {
  std::fprintf(stderr, "stepcast: %s%s\n", who.c_str(), Describe(status).c_str());
  return ExitCodeOf(status);
}

bool WriteSheet(const std::string& path, const std::string& png) {
  const auto size = static_cast<std::streamsize>(png.size());
  if (path == "-") return static_cast<bool>(std::cout.write(png.data(), size).flush());
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  return static_cast<bool>(file.write(png.data(), size).flush());
}

}  // namespace

ExitCode Compare(const ConnectionOptions& connection, const CompareOptions& options) {
  auto stub = v1::ImageGenerationService::NewStub(Connect(connection));
  int64_t seed = 0;
  if (const grpc::Status status = SharedSeed(connection, options, *stub, seed); !status.ok()) return Fail("", status);
  const std::deque<Call> calls = PaintAll(connection, options, *stub, seed);
  std::vector<Pixels> pictures;
  for (size_t i = 0; i < calls.size(); ++i) {
    if (!calls[i].status.ok()) return Fail(ShortName(options.samplers[i]) + ": ", calls[i].status);
    std::optional<Pixels> pixels = ReadPng(calls[i].response.images(0).data());
    if (!pixels.has_value()) {
      std::fprintf(stderr, "stepcast: %s: the answer is no PNG\n", ShortName(options.samplers[i]).c_str());
      return kFailed;
    }
    pictures.push_back(*std::move(pixels));
  }
  const int columns = static_cast<int>(std::ceil(std::sqrt(static_cast<double>(pictures.size()))));
  if (!WriteSheet(options.output, WritePng(ContactSheet(pictures, columns, kGap)))) {
    std::fprintf(stderr, "stepcast: cannot write %s\n", options.output.c_str());
    return kFailed;
  }
  std::FILE* out = options.output == "-" ? stderr : stdout;
  std::fprintf(out, "%s  seed %lld\n", options.output.c_str(), static_cast<long long>(seed));
  for (size_t i = 0; i < calls.size(); ++i) {
    const int place = static_cast<int>(i);
    std::fprintf(out, "  row %d column %d  %-18s %lld evaluations\n", place / columns + 1, place % columns + 1,
                 ShortName(options.samplers[i]).c_str(), static_cast<long long>(calls[i].response.evaluations()));
  }
  return kOk;
}

}  // namespace stepcast::cli
