#pragma once
// What a request may ask for and bring, whatever the model. Told by GetServerInfo.

#include <cstdint>

namespace stepcast {

// What decoding a picture takes at most beside its file, for each pixel; a progressive JPEG's coefficients are the
// most.
inline constexpr int64_t kDecodingBytesPerPixel = 10;

// Of pictures that come with requests.
struct InputPictureLimits {
  int64_t max_bytes = 10 << 20;      // of a file, 1024..67108864
  int64_t max_pixels = 16'000'000;   // 64..67108864
  int max_side = 8192;               // pixels, 8..16384
  int max_control = 2;               // entries of `control`, 0..8
  int64_t budget_bytes = 512 << 20;  // of all requests together, received and decoded, 16777216..1099511627776
};

// Of pictures that are handed out unfinished. Read where the configuration has keys to sign with.
struct ResumeLimits {
  int64_t max_token_bytes = 0;   // 0: none are handed out; else 65536..8388608
  int min_checkpoint_every = 0;  // evaluations; 0: no checkpoints; else 1..1000
};

// A model may allow less.
struct LimitsConfig {
  int max_prompt_bytes = 8192;                 // 1..65536; prompt and negative prompt, each
  int max_steps = 1000;                        // 1..1000
  int max_image_count = 4;                     // 1..16
  int max_side = 2048;                         // 8..8192 pixels
  int64_t max_area = 4'194'304;                // 64..67108864 pixels
  int max_previews_per_image = 25;             // 0..1000; 0: no previews
  int max_preview_side = 512;                  // 1..2048 pixels
  double max_megapixel_steps = 0.0;            // megapixels x steps x images x rows; 0: no limit, ..1e9
  int64_t max_request_bytes = 24 << 20;        // 1048576..67108864
  int64_t max_unary_response_bytes = 4 << 20;  // 65536..1073741824; clients receive 4 MiB by default
  int64_t image_chunk_bytes = 3 << 20;         // 1024..67108864
  InputPictureLimits input_pictures = {};
  int max_prompt_chunks = 4;  // of 75 tokens, 1..16
  int max_loras = 8;          // entries of `loras`, 0..8; 0: none are taken
  ResumeLimits resume = {};
};

}  // namespace stepcast
