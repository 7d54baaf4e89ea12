#pragma once
// What the networks are built from. No LibTorch here.
#include <optional>
#include <vector>

namespace sns {

/// The backbone.
struct UNetConfig {
  int channels_in = 1;
  int channels_out = 1;
  int hidden = 64;  ///< channels after the first convolution
  std::vector<int> multipliers = {
      2, 2, 2};                   ///< channel growth per resolution level; each halves the image but the last
  int blocks = 2;                 ///< residual blocks per level on the way down (one more on the way up)
  int image = 64;                 ///< points along one side of the square image
  bool attention_middle = false;  ///< attention between the two middle blocks
  std::vector<bool> attention_levels;  ///< attention after the residual blocks of a level; empty = none
  bool softmax_over_keys = true;       ///< true: textbook; false: over queries, as the reference code does
  /// Periods along the second axis of the force that the network sees as one more input channel; none: no such
  /// channel, as in the reference code.
  std::optional<int> forcing_wavenumber;
  /// The network sees each channel of its input whitened, too (nets/whitened_frames.hpp), as further channels;
  /// not in the reference code.
  bool whitened = false;
  std::vector<double> whitening;  ///< by field and shell; empty, which is as good for sizes and costs: ones
};

/// Throws ConfigError if the network cannot be built: image not divisible, non-positive sizes, ...
void check(const UNetConfig& config);
/// Channels and points along one side at the bottleneck.
int bottleneck_channels(const UNetConfig& config);
int bottleneck_points(const UNetConfig& config);

struct ThermalizerNetConfig {
  UNetConfig unet;           ///< channels_in = channels_out = C
  int levels = 1000;         ///< classes of the head
  int head_features = 4096;  ///< about how many numbers of the bottleneck the head keeps
};

struct AcdmNetConfig {
  UNetConfig unet;      ///< channels_in = 2C (past, present), both noised; channels_out = 2C, or C
  int embedding = 512;  ///< width of the level's embedding, even
};

struct SnsNetConfig {
  UNetConfig unet;    ///< channels_in = 3C (long, past, present), channels_out = 2C (noise of past, present)
  int levels = 1000;  ///< classes of each head
  int head_features = 4096;  ///< about how many numbers of the bottleneck each head keeps
  std::optional<int>
      embedding;  ///< width of the embedding MLPs (levels -> E -> E); none: `levels`, as the reference
  std::optional<int> lag_embedding;  ///< width of the lag embedding in every residual block; none: no lag
};

}  // namespace sns
