#include "model/vae/tiling.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "model/vae/autoencoder_kl.h"
#include "model/vae/autoencoder_tiny.h"
#include "model/vae/decode_memory.h"
#include "tests/model/any_weights.h"
#include "tests/model/memory_meter.h"
#include "tests/model/replay.h"

namespace stepcast::model {
namespace {

// Measured on this thread alone, which must therefore do all the work.
class OneThread {
 public:
  OneThread() : before_(at::get_num_threads()) { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(before_); }

 private:
  const int before_;
};

// A network of any config with weights of no matter.
class AnyWeights {
 public:
  template <typename Make>
  explicit AnyWeights(const Make& make) {
    std::map<std::string, Shape> shapes;
    const Values values = ValuesFor(make, &shapes);
    folder_ = FreshFolder("any_weights");
    WriteWeights(values, shapes, folder_ + "/model.safetensors");
    set_ = std::make_unique<WeightSet>(*WeightSet::Open(folder_, "model", {""}, nullptr));
  }
  const WeightSet& set() const { return *set_; }

 private:
  std::string folder_;
  std::unique_ptr<WeightSet> set_;
};

AutoencoderConfig Narrow(std::vector<int64_t> channels, int64_t sample_size) {
  AutoencoderConfig config;
  config.block_out_channels = std::move(channels);
  config.norm_num_groups = 4;
  config.layers_per_block = 1;
  config.sample_size = sample_size;
  return config;
}

TEST(TileGrid, JoinsWhereTilesOfDiffusersDo) {
  // Stable Diffusion, XL and the bundled model.
  for (const auto& [sample, factor, cells] : {std::tuple{512, 8, 64}, {1024, 8, 128}, {64, 4, 16}, {32, 1, 32}}) {
    const TileGrid grid = TileGrid::Of(sample, factor);
    EXPECT_EQ(grid.cells, cells);
    EXPECT_EQ(grid.stride() * factor, grid.pixels() - grid.blend());
  }
  // diffusers would take 10 cells, begin a tile every 7 and show 30 of 40 pixels of each.
  EXPECT_EQ(TileGrid::Of(40, 4).cells, 8);
  EXPECT_EQ(TileGrid::Of(8, 8).cells, 4);
}

// A decoder that looks at one cell only makes the same picture in tiles, whatever the size.
TEST(Tiles, CoverEveryPixelOnce) {
  const c10::InferenceMode no_autograd;
  const TileGrid grid = TileGrid::Of(32, 2);
  const auto decode = [](const at::Tensor& z) {
    return at::upsample_nearest2d(z.narrow(1, 0, 3), {z.size(2) * 2, z.size(3) * 2}).contiguous();
  };
  for (const auto& [height, width] : {std::pair{16, 17}, {17, 16}, {12, 40}, {13, 25}, {24, 37}, {29, 61}, {1, 50}}) {
    const at::Tensor z = at::rand({1, 4, height, width});
    // Fading one number into itself rounds twice.
    EXPECT_LE(Compare(TiledWork::Decode(z, grid, decode).Finish(), decode(z)).max, 1e-6) << height << "x" << width;
  }
}

TEST(Tiles, OfATinyDecoderCoverEveryPixel) {
  const c10::InferenceMode no_autograd;
  const auto decode = [](const at::Tensor& z) {
    return at::upsample_nearest2d(z.narrow(1, 0, 3), {z.size(2) * 8, z.size(3) * 8}).contiguous();
  };
  for (const auto& [height, width] : {std::pair{65, 20}, {57, 112}, {120, 3}}) {
    const at::Tensor z = at::rand({1, 4, height, width});
    EXPECT_LE(Compare(TiledWork::DecodeMasked(z, 8, decode).Finish(), decode(z)).max, 1e-6) << height << "x" << width;
  }
}

// Others work between two tiles, and a tile that failed may be tried again.
TEST(Tiles, ComeOneByOneAndAgain) {
  const c10::InferenceMode no_autograd;
  const TileGrid grid = TileGrid::Of(32, 2);
  bool fails = false;
  const auto decode = [&fails](const at::Tensor& z) {
    TORCH_CHECK(!fails, "no memory");
    return at::upsample_nearest2d(z.narrow(1, 0, 3), {z.size(2) * 2, z.size(3) * 2}).contiguous().sin_();
  };
  const at::Tensor z = at::rand({1, 4, 29, 37});
  const at::Tensor whole = TiledWork::Decode(z, grid, decode).Finish();
  TiledWork work = TiledWork::Decode(z, grid, decode);
  EXPECT_EQ(work.tiles(), 3 * 4);
  while (!work.done()) {
    fails = true;
    const int64_t before = work.tiles_done();
    EXPECT_THROW(work.Next(), c10::Error);
    fails = false;
    work.Next();
    EXPECT_EQ(work.tiles_done(), before + 1);
  }
  EXPECT_TRUE(at::equal(work.output(), whole));
}

// 2048 x 2048 pixels through a narrow decoder. In one piece its activations are 16 times those of a tile; measured at a
// quarter of the pixels, because they grow with the pixels and with nothing else.
TEST(Tiles, BoundTheMemoryOfALargePicture) {
  const c10::InferenceMode no_autograd;
  const OneThread one_thread;
  AutoencoderConfig config = Narrow({8, 8, 8, 8}, 512);
  config.mid_block_add_attention = false;  // of 65536 cells with each other takes long in one piece
  const AnyWeights any([&](WeightMap& map) { AutoencoderKL(map, config, /*with_encoder=*/true); });
  WeightMap weights(any.set(), c10::DeviceType::CPU, at::kFloat);
  const AutoencoderKL vae(weights, config, /*with_encoder=*/true);
  const int64_t tiled = MemoryMeter::PeakOf([&] { vae.DecodeTiled(at::zeros({1, 4, 256, 256})); });
  const int64_t quarter = MemoryMeter::PeakOf([&] { vae.Decode(at::zeros({1, 4, 128, 128})); });
  const Decoding decoding = {.tile_side = 512, .bytes_per_pixel = PeakBytesPerPixel(config, 4)};
  EXPECT_LE(tiled, DecodeBytes(decoding, 2048, 2048, /*tiled=*/true));
  EXPECT_LE(4 * quarter, DecodeBytes(decoding, 2048, 2048, /*tiled=*/false));
  EXPECT_GE(4 * quarter, 4 * tiled);
  const int64_t encoded = MemoryMeter::PeakOf([&] { vae.EncodeTiled(at::zeros({1, 3, 2048, 2048})); });
  EXPECT_LE(encoded, DecodeBytes(decoding, 2048, 2048, /*tiled=*/true)) << "admission asks for decodes alone";
  RecordProperty("tiled_bytes", std::to_string(tiled));
  RecordProperty("whole_bytes", std::to_string(4 * quarter));
}

// What the kernel of attention keeps for a thread, whatever the size: scores of 256 by 512 cells in float32, and in
// what it computes in.
constexpr double kOfKernels = 256 * 512 * (4 + 4);

// The bound that admission goes by, against what is allocated: never below it, and not so far above that pictures are
// refused which would fit.
TEST(DecodeMemory, IsBoundedByTheConfig) {
  const c10::InferenceMode no_autograd;
  const OneThread one_thread;
  struct Case {
    AutoencoderConfig config;
    int64_t height;
    int64_t width;
  };
  std::vector<Case> cases = {{Narrow({8, 16}, 32), 40, 24},
                             {Narrow({4, 8, 16, 16}, 64), 20, 12},
                             {Narrow({32, 64, 64}, 64), 16, 16},
                             {Narrow({16, 32, 64, 64}, 64), 16, 16},
                             {Narrow({64}, 64), 32, 48}};
  cases.push_back(cases[1]);
  cases.back().config.layers_per_block = 2;
  cases.back().config.mid_block_add_attention = false;
  for (const Case& each : cases) {
    const AnyWeights any([&](WeightMap& map) { AutoencoderKL(map, each.config, /*with_encoder=*/true); });
    for (const c10::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
      const double element = ActivationBytes(dtype, c10::DeviceType::CPU);
      WeightMap weights(any.set(), c10::DeviceType::CPU, dtype);
      const AutoencoderKL vae(weights, each.config, /*with_encoder=*/true);
      const at::Tensor latents = at::randn({1, each.config.latent_channels, each.height, each.width});
      const int64_t measured = MemoryMeter::PeakOf([&] { vae.Decode(latents); });
      const int64_t factor = each.config.scale_factor();
      const double bound = PeakBytesPerPixel(each.config, element) * static_cast<double>(each.height * each.width) *
                           static_cast<double>(factor * factor);
      EXPECT_LE(static_cast<double>(measured), bound + kOfKernels) << c10::toString(dtype) << " " << factor;
      const at::Tensor picture = at::rand({1, 3, each.height * factor, each.width * factor});
      const int64_t encoded = MemoryMeter::PeakOf([&] { vae.Encode(picture); });
      EXPECT_LE(static_cast<double>(encoded), bound + kOfKernels)
          << "an encode takes what a decode takes at most " << c10::toString(dtype) << " " << factor;
      if (element > static_cast<double>(c10::elementSize(dtype))) continue;  // generous where a CPU emulates the type
      EXPECT_GE(static_cast<double>(measured), bound / 1.6) << c10::toString(dtype) << " " << factor;
    }
  }
}

TEST(DecodeMemory, OfATinyDecoderIsBoundedByTheConfig) {
  const c10::InferenceMode no_autograd;
  const OneThread one_thread;
  AutoencoderTinyConfig config;
  config.decoder_width = 32;
  const AnyWeights any([&](WeightMap& map) { AutoencoderTiny(map, config, /*with_encoder=*/true); });
  for (const c10::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const double element = ActivationBytes(dtype, c10::DeviceType::CPU);
    WeightMap weights(any.set(), c10::DeviceType::CPU, dtype);
    const AutoencoderTiny tiny(weights, config, /*with_encoder=*/true);
    const at::Tensor latents = at::randn({1, 4, 16, 24});
    const int64_t measured = MemoryMeter::PeakOf([&] { tiny.Decode(latents); });
    const double bound = PeakBytesPerPixel(config, element) * 16 * 24 * 64;
    EXPECT_LE(static_cast<double>(measured), bound) << c10::toString(dtype);
    if (element > static_cast<double>(c10::elementSize(dtype))) continue;  // generous where a CPU emulates the type
    EXPECT_GE(static_cast<double>(measured), bound / 1.6) << c10::toString(dtype);
  }
}

}  // namespace
}  // namespace stepcast::model
