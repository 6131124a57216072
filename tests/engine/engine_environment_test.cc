#include <ATen/ops/empty.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/config.h"
#include "engine/start/engine_factory.h"

namespace stepcast {
namespace {

TEST(EngineEnvironmentTest, BoundsTheSpinningOfOpenMp) {
  const auto& defaults = EngineEnvironment();
  const auto spin = std::ranges::find_if(
      defaults, [](const EnvironmentDefault& entry) { return std::string_view(entry.name) == "GOMP_SPINCOUNT"; });
  ASSERT_NE(spin, defaults.end());
  EXPECT_LE(std::stoi(spin->value), 5000);
}

int64_t PageFaults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

struct Pages {
  int64_t used = 0;
  int64_t faults = 0;
};

// Ticks of forty tensors of which six live at once, beside zero to fifteen that stay, as weights do. By default it
// depends on where a heap ends among them whether glibc gives memory back only to ask for it again.
Pages ManyTicks() {
  std::mt19937 random(1);  // NOLINT: the same every time
  Pages pages;
  const auto written = [&](unsigned most_mib) {
    const int64_t bytes = static_cast<int64_t>(1 + random() % most_mib) << 20;
    pages.used += bytes / sysconf(_SC_PAGESIZE);
    return at::empty({bytes}, c10::ScalarType::Byte).fill_(1);
  };
  Pages measured;
  for (int kept = 0; kept < 16; ++kept) {
    std::vector<at::Tensor> weights(kept);
    for (at::Tensor& tensor : weights) tensor = written(8);
    Pages before;
    for (int tick = 0; tick < 8; ++tick) {
      if (tick == 4) before = {.used = pages.used, .faults = PageFaults()};  // the heap has its size
      std::vector<at::Tensor> live(6);
      for (int i = 0; i < 40; ++i) live[random() % live.size()] = written(12);
    }
    measured.used += pages.used - before.used;
    measured.faults += PageFaults() - before.faults;
  }
  return measured;
}

// 0.2 to 0.4 % of the pages used are new with the environment of the engine, 4 to 8 % without.
[[noreturn]] void ExitWhetherTicksReuseTheirMemory() {
  Pages pages;
  std::thread([&] { pages = ManyTicks(); }).join();  // the engine thread is not main either
  std::cerr << pages.faults << " faults, " << pages.used << " pages used\n";
  std::_Exit(100 * pages.faults <= pages.used ? 0 : 1);
}

TEST(EngineEnvironmentDeathTest, TicksReuseTheirMemory) {
#if defined(ABSL_HAVE_ADDRESS_SANITIZER) || defined(ABSL_HAVE_THREAD_SANITIZER)
  GTEST_SKIP() << "a sanitizer brings its own allocator";
#endif
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a process that reads its environment anew
  for (const EnvironmentDefault& setting : EngineEnvironment()) setenv(setting.name, setting.value, /*overwrite=*/0);
  EXPECT_EXIT(ExitWhetherTicksReuseTheirMemory(), testing::ExitedWithCode(0), " faults");
}

}  // namespace
}  // namespace stepcast
