#include "emulator/diffusion/noise_source.hpp"

#include "core/random.hpp"

#include <utility>

namespace sns {
namespace {

// One word holds the time step, the level (19 bits) and the frame (1 bit).
std::uint64_t address(std::uint64_t time_step, Frame frame, int level) {
  return time_step << 20 | static_cast<std::uint64_t>(level) << 1 | static_cast<std::uint64_t>(frame);
}

}  // namespace

PhiloxNoise::PhiloxNoise(std::uint64_t seed, std::vector<std::uint64_t> trajectories, std::uint64_t time_step)
    : seed_(seed), trajectories_(std::move(trajectories)), time_step_(time_step) {}

void PhiloxNoise::forward(std::int64_t sample, Frame frame, std::span<float> out) {
  RandomStream(seed_, Purpose::refine_forward, trajectories_.at(static_cast<std::size_t>(sample)),
               address(time_step_, frame, 0))
      .fill_normal(out);
}

void PhiloxNoise::reverse(std::int64_t sample, Frame frame, int level, std::span<float> out) {
  RandomStream(seed_, Purpose::refine_reverse, trajectories_.at(static_cast<std::size_t>(sample)),
               address(time_step_, frame, level))
      .fill_normal(out);
}

// The forward noise of a frame has level 0 in its address; draws begin at 1.
void PhiloxNoise::condition(std::int64_t sample, int draw, std::span<float> out) {
  RandomStream(seed_, Purpose::refine_forward, trajectories_.at(static_cast<std::size_t>(sample)),
               address(time_step_, Frame::past, draw + 1))
      .fill_normal(out);
}

}  // namespace sns
