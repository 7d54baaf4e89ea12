#include "core/random.hpp"

#include "core/error.hpp"

#include <Random123/philox.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

namespace sns {
namespace {

__extension__ using Wide = unsigned __int128;

std::array<std::uint64_t, 4> philox(const std::array<std::uint64_t, 4>& counter,
                                    const std::array<std::uint64_t, 2>& key) {
  const philox4x64_ctr_t c = {{counter[0], counter[1], counter[2], counter[3]}};
  const philox4x64_key_t k = {{key[0], key[1]}};
  const philox4x64_ctr_t out = philox4x64(c, k);
  return {out.v[0], out.v[1], out.v[2], out.v[3]};
}

// Single-precision Box-Muller in fixed-size batches, written so that the compiler turns each loop into vector
// code. Polynomials: Cephes logf, sinf, cosf (relative error about 1e-7). This file is compiled without
// contraction to fused multiply-adds, so the numbers are the same on every machine.
constexpr std::size_t kPairs = 64;
using Words = std::array<std::uint32_t, kPairs>;

void box_muller(const Words& radius_bits, const Words& angle_bits, float* out) {
  std::array<float, kPairs> radius, sine, cosine;
  for (std::size_t i = 0; i < kPairs; ++i) {
    // u in (0, 1] from 31 bits: the largest value is sqrt(-2 log 2^-32) = 6.66
    const float u = (static_cast<float>(static_cast<std::int32_t>(radius_bits[i] >> 1)) + 0.5f) * 0x1p-31f;
    // u = m 2^e with m in [sqrt(1/2), sqrt(2))
    constexpr std::uint32_t kRootHalf = 0x3f3504f3;
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(u) - kRootHalf;
    const float e = static_cast<float>(static_cast<std::int32_t>(bits) >> 23);
    const float x = std::bit_cast<float>((bits & 0x007fffffU) + kRootHalf) - 1.0f;
    float p = 7.0376836292e-2f;
    p = p * x - 1.1514610310e-1f;
    p = p * x + 1.1676998740e-1f;
    p = p * x - 1.2420140846e-1f;
    p = p * x + 1.4249322787e-1f;
    p = p * x - 1.6668057665e-1f;
    p = p * x + 2.0000714765e-1f;
    p = p * x - 2.4999993993e-1f;
    p = p * x + 3.3333331174e-1f;
    const float x2 = x * x;
    const float log = (x + (p * x * x2 - 2.12194440e-4f * e - 0.5f * x2)) + 0.693359375f * e;
    radius[i] = std::sqrt(-2.0f * log);
  }
  for (std::size_t i = 0; i < kPairs; ++i) {
    // angle = quarter turns (nearest) + rest, |rest| <= an eighth of a turn; exact in integers
    const std::uint32_t quarter = (angle_bits[i] + 0x20000000U) >> 30;
    const auto rest = static_cast<std::int32_t>(angle_bits[i] - (quarter << 30));
    const float x = static_cast<float>(rest) * static_cast<float>(std::numbers::pi / 2 * 0x1p-30);
    const float z = x * x;
    const float s = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * x + x;
    const float c = ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z -
                    0.5f * z + 1.0f;
    const bool swap = (quarter & 1U) != 0;
    const std::uint32_t sine_sign = (quarter & 2U) << 30;
    const std::uint32_t cosine_sign = ((quarter + 1U) & 2U) << 30;
    sine[i] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(swap ? c : s) ^ sine_sign);
    cosine[i] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(swap ? s : c) ^ cosine_sign);
  }
  for (std::size_t i = 0; i < kPairs; ++i) {
    out[2 * i] = radius[i] * cosine[i];
    out[2 * i + 1] = radius[i] * sine[i];
  }
}

}  // namespace

RandomStream::RandomStream(std::uint64_t seed, Purpose purpose, std::uint64_t id, std::uint64_t step)
    : key_{seed, static_cast<std::uint64_t>(purpose)}, counter_{0, step, id, 0} {}

void RandomStream::refill() {
  block_ = philox(counter_, key_);
  ++counter_[0];
  used_ = 0;
}

std::uint64_t RandomStream::next_u64() {
  if (used_ == 4) refill();
  return block_[static_cast<std::size_t>(used_++)];
}

double RandomStream::uniform() {
  return static_cast<double>(next_u64() >> 11) * 0x1p-53;
}

std::uint64_t RandomStream::below(std::uint64_t bound) {
  require(bound > 0, "RandomStream::below needs a positive bound");
  // Lemire (2019), doi:10.1145/3230636: multiply and reject the few values that would bias
  Wide product = Wide{next_u64()} * bound;
  if (static_cast<std::uint64_t>(product) < bound) {
    const std::uint64_t threshold = (0 - bound) % bound;
    while (static_cast<std::uint64_t>(product) < threshold) product = Wide{next_u64()} * bound;
  }
  return static_cast<std::uint64_t>(product >> 64);
}

double RandomStream::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  const double u = static_cast<double>((next_u64() >> 11) + 1) * 0x1p-53;  // (0, 1]
  const double radius = std::sqrt(-2 * std::log(u));
  const double angle = 2 * std::numbers::pi * uniform();
  spare_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

void RandomStream::fill_normal(std::span<double> out) {
  for (double& value : out) value = normal();
}

void RandomStream::fill_normal(std::span<float> out) {
  constexpr std::size_t kBatch = 2 * kPairs, kPerBlock = 8;
  used_ = 4;
  has_spare_ = false;
  Words radius_bits, angle_bits;
  std::array<float, kBatch> values;
  for (std::size_t begin = 0; begin < out.size(); begin += kBatch) {
    const std::size_t count = std::min(kBatch, out.size() - begin);
    const std::size_t blocks = (count + kPerBlock - 1) / kPerBlock;
    for (std::size_t b = 0; b < kBatch / kPerBlock; ++b) {
      const auto words = b < blocks ? philox(counter_, key_) : std::array<std::uint64_t, 4>{};
      if (b < blocks) ++counter_[0];
      for (std::size_t i = 0; i < 4; ++i) {
        radius_bits[4 * b + i] = static_cast<std::uint32_t>(words[i] >> 32);
        angle_bits[4 * b + i] = static_cast<std::uint32_t>(words[i]);
      }
    }
    float* const target = count == kBatch ? out.data() + begin : values.data();
    box_muller(radius_bits, angle_bits, target);
    if (count < kBatch) std::copy_n(values.begin(), count, out.begin() + static_cast<std::ptrdiff_t>(begin));
  }
}

}  // namespace sns
