// Bytes of a client, parsed and checked as GenerateRequest: any answer will do, as long as it is one, and what was
// found fine is found fine again when it is sent as the server understood it.
//
// tests/fuzz/run_fuzz.sh request builds this with libFuzzer and the address sanitizer, and runs it from the committed
// corpus.

#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "google/protobuf/stubs/logging.h"
#include "server/request/errors/status_mapping.h"
#include "server/request/parse/request_parser.h"
#include "server/request/parse/wire_scan.h"
#include "server/request/pictures/read_pictures.h"
#include "server/request/request_validator.h"
#include "tests/server/fake_models.h"

namespace stepcast {
namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

void CheckRefusal(const absl::Status& refusal) {
  const grpc::Status told = ToGrpcStatus(refusal);
  Check(told.error_code() == grpc::StatusCode::INVALID_ARGUMENT || told.error_code() == grpc::StatusCode::NOT_FOUND);
  // What clients accept is 8 KiB of metadata, of which the message takes up to three times its size.
  Check(told.error_message().size() <= 512 && told.error_details().size() <= 4096);
}

void TryRequest(std::string_view bytes) {
  static const google::protobuf::LogSilencer silencer;  // protobuf prints a line for each
  static const ModelRegistry& models = *new ModelRegistry(FiveModels());
  static FixedSeed& seeds = *new FixedSeed(7);
  const LimitsConfig limits;
  v1::GenerateRequest request;
  if (const absl::Status parsed = ParseRequest(bytes, request); !parsed.ok()) return CheckRefusal(parsed);
  Check(ScanWire(bytes, *v1::GenerateRequest::descriptor()).well_formed);
  PictureFiles files = TakePictures(request, limits.input_pictures);
  const bool has_pictures = !files.empty();
  const absl::StatusOr<SharedRequest> checked = ValidateRequest(request, models, limits, seeds, {.pictures = &files});
  if (!checked.ok()) return CheckRefusal(checked.status());
  if (has_pictures) {
    const auto read = ReadPictures(**checked, std::move(files), limits.input_pictures, [] { return true; });
    if (!read.ok()) return CheckRefusal(read.status());
    Check(ToEffectiveRequest(**read).sent_pictures_size() > 0);
  } else {
    Check(ValidateRequest(ToEffectiveRequest(**checked), models, limits, seeds).ok());
  }
}

}  // namespace
}  // namespace stepcast

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  stepcast::TryRequest({reinterpret_cast<const char*>(data), size});
  return 0;
}
