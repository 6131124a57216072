// What loading takes beside the model itself.
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "model/model_bundle.h"
#include "tests/model/checkpoint_shapes.h"
#include "tests/model/safetensors_writer.h"
#include "tests/support/process_memory.h"

namespace stepcast::model {
namespace {

// Forgets the peak so far. False where the kernel does not offer it.
bool ResetPeak() {
  std::ofstream file("/proc/self/clear_refs");
  file << "5" << std::flush;
  return file.good();
}

// A checkpoint in float16 whose data are a hole in the file: zeros that take no disk.
std::string WriteHollow(const CheckpointShape& shape) {
  std::vector<std::string> entries;
  uint64_t at = 0;
  const ShapeList list(shape);
  for (const TensorEntry& entry : list.header().tensors) {
    uint64_t bytes = 2;
    for (const int64_t dim : entry.shape) bytes *= static_cast<uint64_t>(dim);
    entries.push_back(absl::StrCat("\"", entry.name, R"(":{"dtype":"F16","shape":[)", absl::StrJoin(entry.shape, ","),
                                   R"(],"data_offsets":[)", at, ",", at + bytes, "]}"));
    at += bytes;
  }
  const std::string path = FreshFolder("hollow") + "/hollow.safetensors";
  const std::string header = SafetensorsBytes(absl::StrCat("{", absl::StrJoin(entries, ","), "}"), "");
  WriteFile(path, header);
  std::filesystem::resize_file(path, header.size() + at);
  return path;
}

TEST(LoadMemory, StaysCloseToTheModel) {
  // Stable Diffusion 1 at half its width, 430 MB in float16, nearly all of it the U-Net.
  CheckpointShape shape = Sd1Shape();
  shape.channels = {192, 384, 640, 640};
  shape.vae_channels = {64, 128, 128, 128};
  shape.clip_layers = 2;
  shape.tokens = 1000;
  LoadOptions options;
  options.id = "hollow";
  options.path = WriteHollow(shape);
  options.dtype = c10::ScalarType::BFloat16;
  const double before = ProcessMemory("VmRSS");
  if (!ResetPeak()) GTEST_SKIP() << "this kernel does not tell a peak anew";
  const auto bundle = ModelBundle::Load(options);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  const double peak = ProcessMemory("VmHWM") - before;
  const double model = static_cast<double>((*bundle)->info()->parameter_count) * 2 / (1 << 20);
  EXPECT_GT(model, 350);
  EXPECT_GT(peak, model * 0.9) << "the peak is measured";
  // With the file's pages in memory beside the model it would be twice the model.
  EXPECT_LT(peak, 1.15 * model + 200);
  RecordProperty("peak_mib", static_cast<int>(peak));
  RecordProperty("model_mib", static_cast<int>(model));
}

}  // namespace
}  // namespace stepcast::model
