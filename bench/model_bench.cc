// Models of full size without an engine: how they load, and what their sizes cost. Prints one JSON object per line.
//
//   model_bench load  --model PATH [--dtype bf16] [--threads N] [--repeat N]
//   model_bench sizes --model PATH [--dtype bf16] [--threads N] [--repeat N] [--sizes 512x512,608x416]
//
// `load`: seconds, and MiB at the peak beside the model in the dtypes that it computes in; the first load also brings
// the files to the page cache. `sizes`: milliseconds of one guided step (two rows) per 1,000 latent cells, width x
// height in pixels, the sizes taking turns; `ratio` is over the first size's, `cpu_ratio` the same of CPU time, which
// other processes disturb less. tools/parity/make_random_model.py makes models.
#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "core/clock.h"
#include "core/dtype.h"
#include "engine/start/engine_environment.h"
#include "model/model_bundle.h"
#include "tests/support/process_memory.h"

ABSL_FLAG(std::string, model, "", "folder in diffusers layout, or checkpoint in one file");
ABSL_FLAG(std::string, dtype, "bf16", "fp32, bf16, fp16");
ABSL_FLAG(int, threads, 2, "intra-op threads");
ABSL_FLAG(int, repeat, 3, "measurements");
ABSL_FLAG(std::vector<std::string>, sizes, std::vector<std::string>({"512x512", "416x608", "608x416"}),
          "width x height, pixels; the trained one first");

namespace stepcast::model {
namespace {

using Bundle = std::shared_ptr<const ModelBundle>;

double CpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

struct Times {
  double wall = 0;  // seconds
  double cpu = 0;
};

Times Measure(const std::function<void()>& work) {
  const absl::Time start = RealClock().Now();
  const double cpu = CpuSeconds();
  work();
  return {absl::ToDoubleSeconds(RealClock().Now() - start), CpuSeconds() - cpu};
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Bundle Load() {
  LoadOptions options;
  options.id = "bench";
  options.path = absl::GetFlag(FLAGS_model);
  options.card.source = "--dtype";
  options.card.dtype.whole = DtypeFromName(absl::GetFlag(FLAGS_dtype));
  absl::StatusOr<Bundle> bundle = ModelBundle::Load(options);
  if (bundle.ok() && options.card.dtype.whole.has_value()) return *std::move(bundle);
  std::fprintf(stderr, "%s\n", bundle.ok() ? "--dtype: unknown" : bundle.status().ToString().c_str());
  std::exit(1);
}

double ModelMiB(const ModelInfo& info) {
  double bytes = 0;
  for (const ModelComponent& part : info.components) {
    bytes += static_cast<double>(part.parameters) * (part.compute_type == "fp32" ? 4 : 2);
  }
  return bytes / (1 << 20);
}

void MeasureLoad() {
  for (int i = 0; i < absl::GetFlag(FLAGS_repeat); ++i) {
    const double before = ProcessMemory("VmRSS");
    std::ofstream("/proc/self/clear_refs") << "5" << std::flush;  // forgets the peak so far
    Bundle bundle;
    const Times times = Measure([&] { bundle = Load(); });
    const double peak = ProcessMemory("VmHWM") - before;
    const double model = ModelMiB(*bundle->info());
    std::printf(
        "{\"load_s\": %.2f, \"cpu_s\": %.2f, \"model_mib\": %.0f, \"peak_mib\": %.0f, \"allowed_mib\": %.0f, "
        "\"dtypes\": \"%s\"}\n",
        times.wall, times.cpu, model, peak, 1.15 * model + 200, DescribeDtypes(*bundle->info()).c_str());
    std::fflush(stdout);
  }
}

struct Size {
  std::string text;
  int64_t width = 0;  // latent cells
  int64_t height = 0;
  std::vector<double> wall;  // milliseconds per 1,000 cells
  std::vector<double> cpu;
};

std::vector<Size> Sizes(const ModelInfo& info) {
  std::vector<Size> sizes;
  for (const std::string& text : absl::GetFlag(FLAGS_sizes)) {
    const std::vector<std::string> sides = absl::StrSplit(text, 'x');
    Size size;
    size.text = text;
    if (sides.size() != 2 || !absl::SimpleAtoi(sides[0], &size.width) || !absl::SimpleAtoi(sides[1], &size.height)) {
      std::fprintf(stderr, "--sizes: %s\n", text.c_str());
      std::exit(1);
    }
    size.width /= info.vae_scale_factor;
    size.height /= info.vae_scale_factor;
    sizes.push_back(std::move(size));
  }
  return sizes;
}

void MeasureSizes() {
  const c10::InferenceMode no_autograd;
  const Bundle bundle = Load();
  const ModelInfo& info = *bundle->info();
  ConditioningInput input;
  input.text.ids.assign(info.tokenizer_dirs.size(), std::vector<int32_t>(77, 1));
  input.size_ids = SizeIds(info.size_conditioning, {}, /*negative=*/false);
  const Denoiser& denoiser = bundle->denoiser();
  const Conditioning text = denoiser.Prepare(bundle->conditioner().Encode({input, input}));
  const auto step = [&](const Size& size) {
    const at::Tensor latents = at::randn({2, info.latent_channels, size.height, size.width}).to(bundle->dtype());
    denoiser(latents, at::full({2}, 500.0, at::kFloat), text);
  };
  std::vector<Size> sizes = Sizes(info);
  for (const Size& size : sizes) step(size);  // works out the layouts
  for (int i = 0; i < absl::GetFlag(FLAGS_repeat); ++i) {
    for (Size& size : sizes) {
      const Times times = Measure([&] { step(size); });
      const double scale = 1e6 / static_cast<double>(size.width * size.height);
      size.wall.push_back(times.wall * scale);
      size.cpu.push_back(times.cpu * scale);
    }
  }
  const double wall = Median(sizes.front().wall), cpu = Median(sizes.front().cpu);
  for (const Size& size : sizes) {
    std::printf("{\"size\": \"%s\", \"ms_per_1000_cells\": %.1f, \"ratio\": %.3f, ", size.text.c_str(),
                Median(size.wall), Median(size.wall) / wall);
    std::printf("\"cpu_ms_per_1000_cells\": %.1f, \"cpu_ratio\": %.3f, \"dtype\": \"%s\"}\n", Median(size.cpu),
                Median(size.cpu) / cpu, info.dtype.c_str());
  }
}

}  // namespace
}  // namespace stepcast::model

int main(int argc, char** argv) {
  stepcast::ExecuteWithEngineEnvironment(argv);
  const std::vector<char*> scenario = absl::ParseCommandLine(argc, argv);
  at::set_num_threads(absl::GetFlag(FLAGS_threads));
  const std::string name = scenario.size() == 2 ? scenario[1] : "";
  if (name == "load") {
    stepcast::model::MeasureLoad();
  } else if (name == "sizes") {
    stepcast::model::MeasureSizes();
  } else {
    std::fprintf(stderr, "usage: model_bench load|sizes --model PATH\n");
    return 2;
  }
  return 0;
}
