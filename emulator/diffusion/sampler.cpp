#include "emulator/diffusion/sampler.hpp"

#include "core/error.hpp"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <span>

namespace sns {
namespace {

/// Level of frame f = 0..frames-1; the last frame is the present.
template <class Pair>
int level_of(const Pair& pair, std::int64_t f, const Layout& layout) {
  return f + 1 == layout.frames ? pair.present : pair.past;
}

Frame frame_of(std::int64_t f, const Layout& layout) {
  return f + 1 == layout.frames ? Frame::present : Frame::past;
}

torch::Tensor column(const std::vector<float>& values, const Layout& layout, const torch::Tensor& like) {
  return at::tensor(values, torch::kFloat32)
      .view({static_cast<std::int64_t>(values.size()) / layout.frames, layout.frames, 1, 1, 1})
      .to(like.device());
}

/// Factors of x <- keep * x - remove * eps + spread * z, per row and frame.
struct Factors {
  std::vector<float> keep, remove, spread;

  void add(double k, double r, double s) {
    keep.push_back(static_cast<float>(k));
    remove.push_back(static_cast<float>(r));
    spread.push_back(static_cast<float>(s));
  }
  void add_rest() { add(1, 0, 0); }
  /// Noise to level s; pure noise at s = S.
  void add_noising(const Schedule& schedule, int s) {
    if (s == schedule.levels())
      add(0, 0, 1);
    else
      add(schedule.signal(s), 0, schedule.noise_std(s));
  }
  /// Ancestral step at level s.
  void add_step(const Schedule& schedule, int s, double std) {
    const auto i = static_cast<std::size_t>(s);
    const double root = std::sqrt(schedule.alpha[i]);
    add(1.0 / root, schedule.beta[i] / (schedule.noise_std(s) * root), std);
  }
};

/// The frames of a batch on their walks.
class Sampler {
 public:
  Sampler(const Schedule& schedule, const Layout& layout, const torch::Tensor& x, ReverseStd reverse_std,
          NoiseSource& noise)
      : schedule_(schedule),
        layout_(layout),
        reverse_std_(reverse_std),
        noise_(noise),
        origin_(x),
        x_(x.clone()),
        frame_size_(layout.channels * x.size(2) * x.size(3)) {}

  /// Noises the frames of the given rows to where their walks begin.
  void begin(const std::vector<std::int64_t>& rows, const std::vector<Levels>& starts) {
    torch::Tensor z = blank(rows.size());
    Factors factors;
    for (std::size_t r = 0; r < rows.size(); ++r)
      for (std::int64_t f = 0; f < layout_.frames; ++f) {
        const int s = level_of(starts[r], f, layout_);
        if (s == Levels::kClean) {
          factors.add_rest();
          continue;
        }
        factors.add_noising(schedule_, s);
        noise_.forward(rows[r], frame_of(f, layout_), slot(z, r, f));
      }
    torch::Tensor sub = select(x_, rows);
    store(rows, sub,
          frames(sub) * column(factors.keep, layout_, x_) +
              z.to(x_.device()) * column(factors.spread, layout_, x_));
  }

  /// One network evaluation.
  void move(const Step& step, const Denoiser& denoiser) {
    const auto& [rows, moves] = step;
    torch::Tensor sub = select(x_, rows);
    noise_condition(step, sub);
    torch::Tensor z = blank(rows.size());
    Factors factors;
    bool noisy = false;
    for (std::size_t r = 0; r < rows.size(); ++r)
      for (std::int64_t f = 0; f < layout_.frames; ++f) {
        const int s = level_of(moves[r], f, layout_);
        if (s == Move::kRest) {
          factors.add_rest();
          continue;
        }
        const auto i = static_cast<std::size_t>(s);
        const double std =
            reverse_std_ == ReverseStd::posterior ? schedule_.posterior_std[i] : std::sqrt(schedule_.beta[i]);
        factors.add_step(schedule_, s, std);
        if (std == 0) continue;
        noise_.reverse(rows[r], frame_of(f, layout_), s, slot(z, r, f));
        noisy = true;
      }
    const torch::Tensor eps = denoiser(sub, step);
    torch::Tensor next =
        frames(sub) * column(factors.keep, layout_, x_) - eps.view_as(z) * column(factors.remove, layout_, x_);
    if (noisy) next += z.to(x_.device()) * column(factors.spread, layout_, x_);
    store(rows, sub, next);
  }

  const torch::Tensor& x() const { return x_; }

 private:
  /// Replaces past frames that serve as a condition by their clean origin, noised to the move's level.
  void noise_condition(const Step& step, torch::Tensor& sub) {
    const auto& [rows, moves] = step;
    torch::Tensor z, past;
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const auto& condition = moves[r].condition;
      if (!condition) continue;
      if (!z.defined()) {
        z = at::empty({layout_.channels, x_.size(2), x_.size(3)}, torch::kFloat32);
        past = frames(sub).select(1, 0);
      }
      noise_.condition(rows[r], condition->draw, {z.data_ptr<float>(), static_cast<std::size_t>(frame_size_)});
      const torch::Tensor clean = frames(origin_)[rows[r]][0];
      past[static_cast<std::int64_t>(r)].copy_(clean * schedule_.signal(condition->level) +
                                               z.to(x_.device()) * schedule_.noise_std(condition->level));
    }
  }

  torch::Tensor blank(std::size_t rows) const {
    return at::zeros(
        {static_cast<std::int64_t>(rows), layout_.frames, layout_.channels, x_.size(2), x_.size(3)},
        torch::kFloat32);
  }
  std::span<float> slot(torch::Tensor& z, std::size_t row, std::int64_t frame) const {
    const std::int64_t index = static_cast<std::int64_t>(row) * layout_.frames + frame;
    return {z.data_ptr<float>() + index * frame_size_, static_cast<std::size_t>(frame_size_)};
  }
  bool all(const std::vector<std::int64_t>& rows) const {
    return static_cast<std::int64_t>(rows.size()) == x_.size(0);
  }
  torch::Tensor index(const std::vector<std::int64_t>& rows) const {
    return at::tensor(rows, torch::kInt64).to(x_.device());
  }
  torch::Tensor select(const torch::Tensor& from, const std::vector<std::int64_t>& rows) const {
    return all(rows) ? from : from.index_select(0, index(rows));
  }
  /// The frames [n, frames, C, h, w], a view.
  torch::Tensor frames(const torch::Tensor& x) const {
    const std::int64_t width = layout_.frames * layout_.channels;
    return x.narrow(1, x.size(1) - width, width).unflatten(1, {layout_.frames, layout_.channels});
  }
  void store(const std::vector<std::int64_t>& rows, torch::Tensor& sub, const torch::Tensor& new_frames) {
    frames(sub).copy_(new_frames);
    if (!all(rows)) x_.index_copy_(0, index(rows), sub);
  }

  const Schedule& schedule_;
  const Layout layout_;
  ReverseStd reverse_std_;
  NoiseSource& noise_;
  torch::Tensor origin_, x_;
  std::int64_t frame_size_;
};

/// The factors that levels stand for, as columns for x.
std::pair<torch::Tensor, torch::Tensor> signal_and_std(const Schedule& schedule, const torch::Tensor& x,
                                                       const torch::Tensor& levels) {
  const torch::Tensor alpha_bar =
      at::tensor(schedule.alpha_bar, torch::kFloat64).to(levels.device()).index_select(0, levels);
  std::vector<std::int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
  shape[0] = x.size(0);
  return {alpha_bar.sqrt().to(x.scalar_type()).view(shape),
          (1 - alpha_bar).sqrt().to(x.scalar_type()).view(shape)};
}

void check(const Schedule& schedule, const Walk& walk) {
  const auto within = [](int s, int lowest, int highest) {
    require(s >= lowest && s <= highest, "level {} of a walk is outside {}..{}", s, lowest, highest);
  };
  for (const int s : {walk.start.past, walk.start.present}) within(s, Levels::kClean, schedule.levels());
  for (const Move& move : walk.moves) {
    for (const int s : {move.past, move.present}) within(s, Move::kRest, schedule.levels() - 1);
    if (move.condition) within(move.condition->level, 0, schedule.levels() - 1);
  }
}

}  // namespace

Sampled follow(const Schedule& schedule, const Layout& layout, const Denoiser& denoiser, const torch::Tensor& x,
               const std::vector<Walk>& walks, ReverseStd reverse_std, NoiseSource& noise) {
  const c10::AutoGradMode no_grad(false);
  require(x.dim() == 4 && x.size(1) >= layout.frames * layout.channels,
          "the sampler takes a batch [B, K, n, n] with {} frames of {} channels last", layout.frames,
          layout.channels);
  require(static_cast<std::int64_t>(walks.size()) == x.size(0), "{} walks for a batch of {}", walks.size(),
          x.size(0));
  Sampled result;
  result.evaluations.assign(walks.size(), 0);
  std::vector<std::int64_t> active;
  std::vector<Levels> starts;
  for (std::size_t b = 0; b < walks.size(); ++b) {
    const Walk& walk = walks[b];
    check(schedule, walk);
    if (walk.stays()) continue;
    active.push_back(static_cast<std::int64_t>(b));
    starts.push_back(walk.start);
  }
  if (active.empty()) {
    result.x = x.clone();
    return result;
  }
  Sampler sampler(schedule, layout, x, reverse_std, noise);
  sampler.begin(active, starts);
  for (std::size_t k = 0;; ++k) {
    Step step;
    for (const std::int64_t b : active) {
      const auto row = static_cast<std::size_t>(b);
      if (k >= walks[row].moves.size()) continue;
      step.rows.push_back(b);
      step.moves.push_back(walks[row].moves[k]);
      ++result.evaluations[row];
    }
    if (step.rows.empty()) break;
    sampler.move(step, denoiser);
  }
  result.x = sampler.x();
  return result;
}

torch::Tensor add_noise(const Schedule& schedule, const torch::Tensor& x, const torch::Tensor& levels,
                        const torch::Tensor& noise) {
  const auto [signal, std] = signal_and_std(schedule, x, levels);
  return signal * x + std * noise;
}

torch::Tensor tweedie(const Schedule& schedule, const torch::Tensor& x, const torch::Tensor& levels,
                      const torch::Tensor& eps) {
  const auto [signal, std] = signal_and_std(schedule, x, levels);
  return (x - std * eps) / signal;
}

}  // namespace sns
