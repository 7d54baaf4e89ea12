#include "emulator/diffusion/refine.hpp"

#include "core/error.hpp"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <span>

namespace sns {
namespace {

constexpr std::int64_t kFrames = 2;

int level_of(const Move& move, std::int64_t frame) {
  return frame == 0 ? move.past : move.present;
}

torch::Tensor column(const std::vector<float>& values, const torch::Tensor& like) {
  return at::tensor(values, torch::kFloat32)
      .view({static_cast<std::int64_t>(values.size()) / kFrames, kFrames, 1, 1, 1})
      .to(like.device());
}

/// Factors of the reverse step x <- keep * x - remove * eps + spread * z, per row and frame.
struct StepFactors {
  std::vector<float> keep, remove, spread;

  void add_rest() {
    keep.push_back(1);
    remove.push_back(0);
    spread.push_back(0);
  }
  /// Ancestral step at level s: mean (x - beta/sqrt(1 - alpha_bar) eps) / sqrt(alpha), posterior standard
  /// deviation.
  void add_step(const Schedule& schedule, int s) {
    const auto i = static_cast<std::size_t>(s);
    const double root = std::sqrt(schedule.alpha[i]);
    keep.push_back(static_cast<float>(1.0 / root));
    remove.push_back(static_cast<float>(schedule.beta[i] / (schedule.noise_std(s) * root)));
    spread.push_back(static_cast<float>(schedule.posterior_std[i]));
  }
};

/// The frames of a batch during one refinement.
class Sampler {
 public:
  Sampler(const Schedule& schedule, const torch::Tensor& x, NoiseSource& noise)
      : schedule_(schedule),
        noise_(noise),
        x_(x.clone()),
        channels_(x.size(1) / 3),
        frame_size_(channels_ * x.size(2) * x.size(3)) {}

  /// Noises both frames of the given rows to their levels.
  void noise_to(const std::vector<std::int64_t>& rows, const std::vector<Levels>& levels) {
    const auto n = static_cast<std::int64_t>(rows.size());
    torch::Tensor z = at::empty({n, kFrames, channels_, x_.size(2), x_.size(3)}, torch::kFloat32);
    std::vector<float> signal, spread;
    for (std::size_t r = 0; r < rows.size(); ++r) {
      for (const int s : {levels[r].past, levels[r].present}) {
        signal.push_back(static_cast<float>(schedule_.signal(s)));
        spread.push_back(static_cast<float>(schedule_.noise_std(s)));
      }
      noise_.forward(rows[r], Frame::past, slot(z, r, 0));
      noise_.forward(rows[r], Frame::present, slot(z, r, 1));
    }
    torch::Tensor sub = select(rows);
    const torch::Tensor noised = frames(sub) * column(signal, x_) + z.to(x_.device()) * column(spread, x_);
    store(rows, sub, noised);
  }

  /// One reverse step of the given rows; one network evaluation.
  void step(const std::vector<std::int64_t>& rows, const std::vector<Move>& moves, const Denoiser& denoiser) {
    const auto n = static_cast<std::int64_t>(rows.size());
    torch::Tensor z = at::zeros({n, kFrames, channels_, x_.size(2), x_.size(3)}, torch::kFloat32);
    StepFactors factors;
    bool noisy = false;
    for (std::size_t r = 0; r < rows.size(); ++r)
      for (std::int64_t frame = 0; frame < kFrames; ++frame) {
        const int s = level_of(moves[r], frame);
        if (s == Move::kRest) {
          factors.add_rest();
          continue;
        }
        factors.add_step(schedule_, s);
        if (s == 0) continue;  // the last step is deterministic
        noise_.reverse(rows[r], static_cast<Frame>(frame), s, slot(z, r, frame));
        noisy = true;
      }
    torch::Tensor sub = select(rows);
    const torch::Tensor eps = denoiser(sub, moves);
    torch::Tensor next = frames(sub) * column(factors.keep, x_) - eps.view_as(z) * column(factors.remove, x_);
    if (noisy) next += z.to(x_.device()) * column(factors.spread, x_);
    store(rows, sub, next);
  }

  const torch::Tensor& x() const { return x_; }

 private:
  std::span<float> slot(torch::Tensor& z, std::size_t row, std::int64_t frame) const {
    const std::int64_t index = static_cast<std::int64_t>(row) * kFrames + frame;
    return {z.data_ptr<float>() + index * frame_size_, static_cast<std::size_t>(frame_size_)};
  }
  bool all(const std::vector<std::int64_t>& rows) const {
    return static_cast<std::int64_t>(rows.size()) == x_.size(0);
  }
  torch::Tensor index(const std::vector<std::int64_t>& rows) const {
    return at::tensor(rows, torch::kInt64).to(x_.device());
  }
  torch::Tensor select(const std::vector<std::int64_t>& rows) const {
    return all(rows) ? x_ : x_.index_select(0, index(rows));
  }
  /// Past and present frames [n, 2, C, h, w], a view.
  torch::Tensor frames(const torch::Tensor& x) const {
    return x.narrow(1, channels_, kFrames * channels_).unflatten(1, {kFrames, channels_});
  }
  void store(const std::vector<std::int64_t>& rows, torch::Tensor& sub, const torch::Tensor& new_frames) {
    frames(sub).copy_(new_frames);
    if (!all(rows)) x_.index_copy_(0, index(rows), sub);
  }

  const Schedule& schedule_;
  NoiseSource& noise_;
  torch::Tensor x_;
  std::int64_t channels_, frame_size_;
};

}  // namespace

torch::Tensor add_noise(const Schedule& schedule, const torch::Tensor& x, const torch::Tensor& levels,
                        const torch::Tensor& noise) {
  const torch::Tensor alpha_bar =
      at::tensor(schedule.alpha_bar, torch::kFloat64).to(levels.device()).index_select(0, levels);
  std::vector<std::int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
  shape[0] = x.size(0);
  const torch::Tensor signal = alpha_bar.sqrt().to(x.scalar_type()).view(shape);
  const torch::Tensor spread = (1 - alpha_bar).sqrt().to(x.scalar_type()).view(shape);
  return signal * x + spread * noise;
}

Refined refine(const Schedule& schedule, const Denoiser& denoiser, const torch::Tensor& x,
               const std::vector<Levels>& predicted, const RefineOptions& options, NoiseSource& noise) {
  const c10::AutoGradMode no_grad(false);
  require(x.dim() == 4 && x.size(1) % 3 == 0, "refinement takes (long, past, present) frames [B, 3C, n, n]");
  require(static_cast<std::int64_t>(predicted.size()) == x.size(0), "{} pairs of levels for a batch of {}",
          predicted.size(), x.size(0));

  Refined result;
  result.used.assign(predicted.size(), Levels{-1, -1});
  result.evaluations.assign(predicted.size(), 0);
  std::vector<std::int64_t> active;
  std::vector<Levels> levels;
  for (std::size_t b = 0; b < predicted.size(); ++b) {
    const Levels p = predicted[b];
    require(p.past >= 0 && p.present >= 0 && std::max(p.past, p.present) < schedule.levels(),
            "levels ({}, {}) are outside 0..{}", p.past, p.present, schedule.levels() - 1);
    if (p.past <= options.threshold && p.present <= options.threshold) continue;
    active.push_back(static_cast<std::int64_t>(b));
    levels.push_back({std::max(p.past, options.level_floor), std::max(p.present, options.level_floor)});
    result.used[b] = levels.back();
  }
  if (active.empty()) {
    result.x = x.clone();
    return result;
  }

  Sampler sampler(schedule, x, noise);
  sampler.noise_to(active, levels);
  const std::vector<Walk> walks = plan_walks(options.path, options.rule, levels);
  for (std::size_t k = 0;; ++k) {
    std::vector<std::int64_t> rows;
    std::vector<Move> moves;
    for (std::size_t a = 0; a < walks.size(); ++a)
      if (k < walks[a].size()) {
        rows.push_back(active[a]);
        moves.push_back(walks[a][k]);
        ++result.evaluations[static_cast<std::size_t>(active[a])];
      }
    if (rows.empty()) break;
    sampler.step(rows, moves, denoiser);
  }
  result.x = sampler.x();
  return result;
}

}  // namespace sns
