#include "emulator/diffusion/sampler.hpp"

#include "core/error.hpp"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

#include <algorithm>
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

/// Noise that a frame of a leg gets.
struct Draw {
  std::size_t row;  ///< of the leg
  std::int64_t frame;
  Levels at;  ///< of the reverse step, see ReverseNoise
};

/// One step of all samples that take it, with its part of the tables on the device:
/// x <- keep * x - remove * eps + spread * z, and past <- signal * (clean past) + noise_std * z where the past
/// is a condition. The first leg of a plan has no moves: it noises frames to where their walks begin.
struct Leg {
  Step step;
  std::vector<Draw> draws;             ///< frames without one have no noise, z = 0
  torch::Tensor keep, remove, spread;  ///< [n, frames, 1, 1, 1]
  bool conditioned = false;
  torch::Tensor signal, noise_std;  ///< [n, 1, 1, 1]
};

/// Host memory that copies to and from a CUDA device do not wait for. It comes from an allocator that waits for
/// the copy before it gives a block out again. Other devices: plain memory.
at::TensorOptions staging(torch::ScalarType type, torch::Device device) {
  return at::TensorOptions().dtype(type).pinned_memory(device.is_cuda());
}

/// The values as a vector on the device; the caller does not wait for the copy.
template <class T>
torch::Tensor on_device(const std::vector<T>& values, torch::Device device) {
  const torch::Tensor host =
      at::empty({std::ssize(values)}, staging(c10::CppTypeToScalarType<T>::value, device));
  std::copy(values.begin(), values.end(), host.data_ptr<T>());
  return host.to(device, /*non_blocking=*/true);
}

/// Makes the legs of a call before its first step, so that the device gets all tables at once.
class Planner {
 public:
  Planner(const Schedule& schedule, const Layout& layout, ReverseStd reverse_std)
      : schedule_(schedule), layout_(layout), reverse_std_(reverse_std) {}

  void new_leg() { legs_.emplace_back(); }

  void add_start(std::int64_t row, const Levels& start) {
    for (std::int64_t f = 0; f < layout_.frames; ++f) {
      const int s = level_of(start, f, layout_);
      levels_.push_back(0);
      if (s == Levels::kClean) {
        set(f, 1, 0, 0);
        continue;
      }
      draw(f, start);
      if (s == schedule_.levels())  // pure noise
        set(f, 0, 0, 1);
      else
        set(f, schedule_.signal(s), 0, schedule_.noise_std(s));
    }
    finish(row);
  }

  /// standing: the levels that frames which rest stand at.
  void add_move(std::int64_t row, const Move& move, const Levels& standing) {
    const Levels at{move.past == Move::kRest ? standing.past : move.past,
                    move.present == Move::kRest ? standing.present : move.present};
    Leg& leg = legs_.back();
    for (std::int64_t f = 0; f < layout_.frames; ++f) {
      const int s = level_of(move, f, layout_);
      levels_.push_back(std::max(s, 0));
      if (s == Move::kRest) {
        set(f, 1, 0, 0);
        continue;
      }
      const auto i = static_cast<std::size_t>(s);
      const double root = std::sqrt(schedule_.alpha[i]);
      const double std = spread(i);
      set(f, 1.0 / root, schedule_.beta[i] / (schedule_.noise_std(s) * root), std);
      if (std != 0) draw(f, at);
    }
    leg.step.moves.push_back(move);
    leg.step.at.push_back(at);
    leg.conditioned = move.condition.has_value();
    if (move.condition)
      finish(row, schedule_.signal(move.condition->level), schedule_.noise_std(move.condition->level));
    else
      finish(row);
  }

  std::vector<Leg> upload(torch::Device device) {
    const std::int64_t frames = layout_.frames, rows = static_cast<std::int64_t>(rows_.size());
    std::vector<std::int64_t> whole = rows_;
    whole.insert(whole.end(), levels_.begin(), levels_.end());
    const torch::Tensor numbers = on_device(whole, device),
                        factors = on_device(factors_, device).view({rows, width()});
    const torch::Tensor levels = numbers.narrow(0, rows, rows * frames).view({rows, frames});
    std::int64_t first = 0;
    for (Leg& leg : legs_) {
      const auto n = static_cast<std::int64_t>(leg.step.rows.size());
      leg.step.index = numbers.narrow(0, first, n);
      leg.step.levels = levels.narrow(0, first, n);
      const torch::Tensor mine = factors.narrow(0, first, n);
      const auto of_frames = [&](std::int64_t block) {
        return mine.narrow(1, block * frames, frames).view({n, frames, 1, 1, 1});
      };
      const auto of_row = [&](std::int64_t place) {
        return mine.narrow(1, 3 * frames + place, 1).view({n, 1, 1, 1});
      };
      leg.keep = of_frames(0);
      leg.remove = of_frames(1);
      leg.spread = of_frames(2);
      leg.signal = of_row(0);
      leg.noise_std = of_row(1);
      first += n;
    }
    return std::move(legs_);
  }

 private:
  // A row of the table: keep, remove and spread of all frames, signal and noise std of the condition.
  std::int64_t width() const { return 3 * layout_.frames + 2; }
  void set(std::int64_t f, double keep, double remove, double spread) {
    const auto frames = static_cast<std::size_t>(layout_.frames), at = static_cast<std::size_t>(f);
    row_.resize(static_cast<std::size_t>(width()));
    row_[at] = static_cast<float>(keep);
    row_[frames + at] = static_cast<float>(remove);
    row_[2 * frames + at] = static_cast<float>(spread);
  }
  /// Standard deviation of a step's noise; 1 where it has its strength from elsewhere.
  double spread(std::size_t s) const {
    switch (reverse_std_) {
      case ReverseStd::posterior:
        return schedule_.posterior_std[s];
      case ReverseStd::sqrt_beta:
        return std::sqrt(schedule_.beta[s]);
      case ReverseStd::measured:
        return 1;
    }
    return 0;
  }
  void draw(std::int64_t f, const Levels& at) {
    Leg& leg = legs_.back();
    leg.draws.push_back({leg.step.rows.size(), f, at});
  }
  void finish(std::int64_t row, double signal = 0, double noise_std = 0) {
    row_[row_.size() - 2] = static_cast<float>(signal);
    row_.back() = static_cast<float>(noise_std);
    factors_.insert(factors_.end(), row_.begin(), row_.end());
    rows_.push_back(row);
    legs_.back().step.rows.push_back(row);
  }

  const Schedule& schedule_;
  const Layout layout_;
  ReverseStd reverse_std_;
  std::vector<Leg> legs_;
  std::vector<std::int64_t> rows_, levels_;
  std::vector<float> factors_, row_;
};

/// Standard normal numbers for the device, in one buffer that every leg uses again.
class NoiseBuffer {
 public:
  NoiseBuffer(std::vector<std::int64_t> sizes, torch::Device device)
      : sizes_(std::move(sizes)), device_(device) {}

  /// [rows, ...] with what `fill(values)` writes into zeros on the host.
  template <class Fill>
  torch::Tensor get(std::int64_t rows, const Fill& fill) {
    if (!on_device_.defined())
      on_device_ = at::empty(sizes_, at::TensorOptions().dtype(torch::kFloat32).device(device_));
    const torch::Tensor target = on_device_.narrow(0, 0, rows);
    if (device_.is_cpu()) {
      target.zero_();
      fill(std::span(target.data_ptr<float>(), static_cast<std::size_t>(target.numel())));
      return target;
    }
    std::vector<std::int64_t> sizes = sizes_;
    sizes[0] = rows;
    const torch::Tensor host = at::zeros(sizes, staging(torch::kFloat32, device_));
    fill(std::span(host.data_ptr<float>(), static_cast<std::size_t>(host.numel())));
    return target.copy_(host, /*non_blocking=*/true);
  }

 private:
  std::vector<std::int64_t> sizes_;
  torch::Device device_;
  torch::Tensor on_device_;
};

/// The frames of a batch on their walks.
class Sampler {
 public:
  Sampler(const Layout& layout, const torch::Tensor& x, std::int64_t most_rows, NoiseSource& noise,
          const ReverseNoise* reverse_noise)
      : layout_(layout),
        noise_(noise),
        reverse_noise_(reverse_noise),
        origin_(x),
        x_(x.clone(at::MemoryFormat::Contiguous)),
        frame_size_(static_cast<std::size_t>(layout.channels * x.size(2) * x.size(3))),
        z_({most_rows, layout.frames, layout.channels, x.size(2), x.size(3)}, x.device()),
        condition_z_({most_rows, layout.channels, x.size(2), x.size(3)}, x.device()),
        update_(at::empty({most_rows, layout.frames, layout.channels, x.size(2), x.size(3)}, x.options())) {}

  /// Noises the frames of the leg's samples to where their walks begin.
  void begin(const Leg& leg) {
    take(leg.step);
    const torch::Tensor now = frames(active_);
    now.mul_(leg.keep).add_(noise(leg).mul_(leg.spread));
  }

  /// One network evaluation.
  void move(const Leg& leg, const Denoiser& denoiser) {
    take(leg.step);
    if (leg.conditioned) noise_condition(leg);
    const torch::Tensor eps = denoiser(active_, leg.step).unflatten(1, {layout_.frames, layout_.channels});
    torch::Tensor removed = update_.narrow(0, 0, active_.size(0));
    at::mul_out(removed, eps, leg.remove);
    const torch::Tensor now = frames(active_);
    now.mul_(leg.keep).sub_(removed);
    if (!leg.draws.empty()) now.add_(noise(leg).mul_(leg.spread));
  }

  /// The batch; the sampler is spent.
  torch::Tensor finish() {
    put_back();
    return x_;
  }

 private:
  bool all(const std::vector<std::int64_t>& rows) const {
    return static_cast<std::int64_t>(rows.size()) == x_.size(0);
  }

  /// Gathers the samples that move, unless they are those of the last step.
  void take(const Step& step) {
    if (step.rows == rows_) return;
    put_back();
    rows_ = step.rows;
    index_ = step.index;
    active_ = all(rows_) ? x_ : x_.index_select(0, index_);
    clean_.reset();
  }
  void put_back() {
    if (!rows_.empty() && !all(rows_)) x_.index_copy_(0, index_, active_);
  }

  /// Replaces past frames, which serve as a condition, by their clean origin, noised to the move's level.
  void noise_condition(const Leg& leg) {
    if (!clean_.defined()) clean_ = frames(all(rows_) ? origin_ : origin_.index_select(0, index_)).select(1, 0);
    torch::Tensor past = frames(active_).select(1, 0);
    at::mul_out(past, clean_, leg.signal);
    past.add_(condition_noise(leg).mul_(leg.noise_std));
  }

  torch::Tensor noise(const Leg& leg) {
    const bool starts = leg.step.moves.empty();
    return z_.get(active_.size(0), [&](std::span<float> values) {
      for (const Draw& draw : leg.draws) {
        const auto slot =
            draw.row * static_cast<std::size_t>(layout_.frames) + static_cast<std::size_t>(draw.frame);
        const std::span<float> out = values.subspan(slot * frame_size_, frame_size_);
        const Frame frame = frame_of(draw.frame, layout_);
        if (starts)
          noise_.forward(leg.step.rows[draw.row], frame, out);
        else
          noise_.reverse(leg.step.rows[draw.row], frame, level_of(draw.at, draw.frame, layout_), out);
        if (!starts && reverse_noise_ != nullptr) reverse_noise_->shape(draw.at, frame, out);
      }
    });
  }

  torch::Tensor condition_noise(const Leg& leg) {
    return condition_z_.get(active_.size(0), [&](std::span<float> values) {
      for (std::size_t r = 0; r < leg.step.rows.size(); ++r)
        noise_.condition(leg.step.rows[r], leg.step.moves[r].condition->draw,
                         values.subspan(r * frame_size_, frame_size_));
    });
  }

  /// The frames [n, frames, C, h, w], a view.
  torch::Tensor frames(const torch::Tensor& x) const {
    const std::int64_t width = layout_.frames * layout_.channels;
    return x.narrow(1, x.size(1) - width, width).unflatten(1, {layout_.frames, layout_.channels});
  }

  const Layout layout_;
  NoiseSource& noise_;
  const ReverseNoise* reverse_noise_;
  torch::Tensor origin_, x_;
  std::size_t frame_size_;
  NoiseBuffer z_, condition_z_;
  torch::Tensor update_;            // room for what a step removes
  std::vector<std::int64_t> rows_;  // of the samples that move now
  torch::Tensor index_, active_, clean_;
};

torch::Tensor alpha_bars(const Schedule& schedule, torch::Device device) {
  return at::tensor(schedule.alpha_bar, torch::kFloat64).to(device);
}

/// The factors that levels stand for, as columns for x.
std::pair<torch::Tensor, torch::Tensor> signal_and_std(const torch::Tensor& alpha_bars, const torch::Tensor& x,
                                                       const torch::Tensor& levels) {
  const torch::Tensor alpha_bar = alpha_bars.index_select(0, levels);
  std::vector<std::int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
  shape[0] = x.size(0);
  return {alpha_bar.sqrt().to(x.scalar_type()).view(shape),
          (1 - alpha_bar).sqrt().to(x.scalar_type()).view(shape)};
}

/// One frame going down its levels.
class Descent {
 public:
  Descent(const char* frame, int start) : frame_(frame), next_(start) {}
  void step(int s) {
    if (s == Move::kRest) return;
    require(s == next_ || (!moved_ && s == next_ - 1),
            "a walk steps the {} frame at level {}; {} {}: levels go down one by one", frame_, s,
            moved_ ? "the next is" : "it stands at", next_);
    next_ = s - 1;
    moved_ = true;
  }

 private:
  const char* frame_;
  int next_;
  bool moved_ = false;
};

void check(const Schedule& schedule, const Walk& walk) {
  const auto within = [](int s, int lowest, int highest) {
    require(s >= lowest && s <= highest, "level {} of a walk is outside {}..{}", s, lowest, highest);
  };
  for (const int s : {walk.start.past, walk.start.present}) within(s, Levels::kClean, schedule.levels());
  Descent past("past", walk.start.past), present("present", walk.start.present);
  for (const Move& move : walk.moves) {
    for (const int s : {move.past, move.present}) within(s, Move::kRest, schedule.levels() - 1);
    past.step(move.past);
    present.step(move.present);
    if (move.condition) within(move.condition->level, 0, schedule.levels() - 1);
    require(move.condition.has_value() == walk.moves.front().condition.has_value(),
            "some moves of a walk have a condition, others have none");
  }
}

/// The legs of all walks that go anywhere; empty where none does.
std::vector<Leg> plan(const Schedule& schedule, const Layout& layout, const std::vector<Walk>& walks,
                      ReverseStd reverse_std, torch::Device device) {
  Planner planner(schedule, layout, reverse_std);
  planner.new_leg();
  std::vector<std::size_t> active;
  std::vector<Levels> standing;
  for (std::size_t b = 0; b < walks.size(); ++b) {
    check(schedule, walks[b]);
    standing.push_back(walks[b].start);
    if (walks[b].stays()) continue;
    active.push_back(b);
    planner.add_start(static_cast<std::int64_t>(b),
                      walks[b].noised ? Levels{Levels::kClean, Levels::kClean} : walks[b].start);
  }
  if (active.empty()) return {};
  for (std::size_t k = 0;; ++k) {
    std::erase_if(active, [&](std::size_t b) { return k >= walks[b].moves.size(); });
    if (active.empty()) return planner.upload(device);
    planner.new_leg();
    for (const std::size_t b : active) {
      require(walks[b].moves[k].condition.has_value() == walks[active.front()].moves[k].condition.has_value(),
              "some walks of a batch have a condition, others have none");
      const Move& move = walks[b].moves[k];
      planner.add_move(static_cast<std::int64_t>(b), move, standing[b]);
      if (move.past != Move::kRest) standing[b].past = move.past - 1;
      if (move.present != Move::kRest) standing[b].present = move.present - 1;
    }
  }
}

}  // namespace

Sampled follow(const Schedule& schedule, const Layout& layout, const Denoiser& denoiser, const torch::Tensor& x,
               const std::vector<Walk>& walks, ReverseStd reverse_std, NoiseSource& noise,
               const ReverseNoise* reverse_noise) {
  const c10::AutoGradMode no_grad(false);
  require(x.dim() == 4 && x.size(1) >= layout.frames * layout.channels,
          "the sampler takes a batch [B, K, n, n] with {} frames of {} channels last", layout.frames,
          layout.channels);
  require(static_cast<std::int64_t>(walks.size()) == x.size(0), "{} walks for a batch of {}", walks.size(),
          x.size(0));
  require((reverse_noise != nullptr) == (reverse_std == ReverseStd::measured),
          "measured noise of reverse steps needs what was measured, and no other does");
  const std::vector<Leg> legs = plan(schedule, layout, walks, reverse_std, x.device());
  Sampled result;
  for (const Walk& walk : walks) result.evaluations.push_back(static_cast<std::int64_t>(walk.moves.size()));
  if (legs.empty()) {
    result.x = x.clone();
    return result;
  }
  Sampler sampler(layout, x, static_cast<std::int64_t>(legs.front().step.rows.size()), noise, reverse_noise);
  sampler.begin(legs.front());
  for (std::size_t k = 1; k < legs.size(); ++k) sampler.move(legs[k], denoiser);
  result.x = sampler.finish();
  return result;
}

Denoiser clipped(const Schedule& schedule, const Layout& layout, Denoiser denoiser, double limit) {
  // The table goes to the device once, not in every step.
  return [&schedule, layout, denoiser = std::move(denoiser), limit, table = torch::Tensor()](
             const torch::Tensor& active, const Step& step) mutable {
    if (!table.defined()) table = alpha_bars(schedule, active.device());
    const std::int64_t width = layout.frames * layout.channels;
    const auto by_frame = [&](const torch::Tensor& t) {
      return t.narrow(1, t.size(1) - width, width).unflatten(1, {layout.frames, layout.channels}).flatten(0, 1);
    };
    const torch::Tensor x = by_frame(active), eps = by_frame(denoiser(active, step));
    const auto [signal, std] = signal_and_std(table, x, step.levels.reshape(-1));
    const torch::Tensor clean = (x - std * eps) / signal;
    const torch::Tensor at_limit = (x - signal * clean.clamp(-limit, limit)) / std;
    return at::where(clean.abs() > limit, at_limit, eps).view({active.size(0), width, x.size(2), x.size(3)});
  };
}

torch::Tensor add_noise(const Schedule& schedule, const torch::Tensor& x, const torch::Tensor& levels,
                        const torch::Tensor& noise) {
  const auto [signal, std] = signal_and_std(alpha_bars(schedule, levels.device()), x, levels);
  return signal * x + std * noise;
}

torch::Tensor tweedie(const Schedule& schedule, const torch::Tensor& x, const torch::Tensor& levels,
                      const torch::Tensor& eps) {
  const auto [signal, std] = signal_and_std(alpha_bars(schedule, levels.device()), x, levels);
  return (x - std * eps) / signal;
}

}  // namespace sns
