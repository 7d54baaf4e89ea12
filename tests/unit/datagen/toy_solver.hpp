#pragma once
// A solver that is quick and exactly predictable: every point follows the logistic map with a coupling to its
// neighbour, from a state that the trajectory id determines.
#include "core/error.hpp"
#include "core/random.hpp"
#include "solvers/solver.hpp"

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <set>

namespace sns {

/// Shared by the solvers that one test makes.
struct ToySettings {
  int points = 8;
  int fields = 1;
  bool stacked = false;                         ///< fields as one array "all" with an axis "level"
  std::map<std::uint64_t, std::int64_t> fails;  ///< trajectory id -> step at which it fails
  bool silent = false;                          ///< failures are only seen by frame() and check_members()
  std::set<std::uint64_t> impossible;           ///< trajectory ids whose initial states cannot be advanced
  std::function<void()> on_advance;             ///< called before every advance, and record of steps
  int largest_batch = 0;                        ///< members of the largest solver made so far
};

class ToySolver : public Solver {
 public:
  ToySolver(ToySettings& settings, int members)
      : settings_(settings), members_(static_cast<std::size_t>(members)) {
    settings_.largest_batch = std::max(settings_.largest_batch, members);
    info_.system = "toy";
    info_.title = "Coupled logistic maps";
    info_.pde = "x <- 3.9 x (1 - x)";
    info_.precision = "float64";
    info_.backend = "fftw";
    for (int f = 0; f < settings.fields; ++f)
      info_.fields.push_back({"field_" + std::to_string(f), "1", "toy field"});
    if (settings.stacked) info_.stacked = {{"all", "1", "toy fields"}, "level"};
    for (const char* name : {"x", "y"}) {
      Axis axis{name, {}, "1"};
      for (int i = 0; i < settings.points; ++i) axis.coordinates.push_back(0.5 * i);
      info_.axes.push_back(axis);
    }
    info_.parameters = {{"rate", 3.9}, {"points", static_cast<double>(settings.points)}};
    info_.scalars = {{"rate", 3.9}};
    info_.dt = 0.25;
    info_.time_units = "1";
    info_.diagnostics = {{"mean", "1", "mean"}, {"largest", "1", "largest value"}};
    info_.diagnostic_axes = {{"row", std::vector<double>(static_cast<std::size_t>(settings.points)), "1"}};
    info_.array_diagnostics = {{"rows", "1", "mean of each row of the first field", {"row"}}};
    for (Member& m : members_) m.values.resize(state_size());
  }

  const SolverInfo& info() const override { return info_; }
  int members() const override { return static_cast<int>(members_.size()); }
  std::int64_t step(int member) const override { return at(member).step; }

  void initialise(int member, std::uint64_t trajectory) override {
    if (settings_.impossible.contains(trajectory)) throw InitialStateError("told to be impossible");
    Member& m = at(member);
    m = {};
    m.trajectory = trajectory;
    m.values.resize(state_size());
    RandomStream stream(7, Purpose::initial_condition, trajectory);
    for (double& v : m.values) v = stream.uniform();
  }
  void set_state(int member, std::span<const double> state) override {
    at(member) = {};
    at(member).values.assign(state.begin(), state.end());
  }
  void state(int member, std::span<double> out) const override {
    std::copy(at(member).values.begin(), at(member).values.end(), out.begin());
  }
  void advance(std::int64_t steps) override {
    if (settings_.on_advance) settings_.on_advance();
    for (Member& m : members_) advance(m, steps);
  }
  void record(const FrameRequest& request, std::span<float> out) override {
    if (settings_.on_advance && request.steps_per_frame > 0) settings_.on_advance();
    const std::size_t size = frame_size(request.coarsen.factor);
    for (int member = 0; member < members(); ++member) {
      for (std::int64_t j = 0; j < request.frames; ++j) {
        advance(at(member), request.steps_per_frame);
        frame(member, request.coarsen,
              out.subspan((static_cast<std::size_t>(member) * static_cast<std::size_t>(request.frames) +
                           static_cast<std::size_t>(j)) *
                              size,
                          size));
      }
    }
  }
  void frame(int member, const CoarsenConfig& coarsen, std::span<float> out) override {
    check(at(member));
    const auto n = static_cast<std::size_t>(settings_.points), step = static_cast<std::size_t>(coarsen.factor);
    std::size_t next = 0;
    for (std::size_t f = 0; f < info_.fields.size(); ++f) {
      for (std::size_t x = 0; x < n; x += step) {
        for (std::size_t y = 0; y < n; y += step)
          out[next++] = static_cast<float>(at(member).values[(f * n + x) * n + y]);
      }
    }
  }
  MemberStatus status(int member) const override { return at(member).status; }
  void check_members() override {
    for (Member& m : members_) check(m);
  }
  void retire(int member, MemberStatus status) override { at(member).status = std::move(status); }
  std::vector<double> diagnostics(int member) const override {
    double sum = 0, largest = 0;
    for (const double v : at(member).values) {
      sum += v;
      largest = std::max(largest, v);
    }
    return {sum / static_cast<double>(state_size()), largest};
  }
  std::vector<double> array_diagnostics(int member) const override {
    std::vector<double> rows;
    const auto points = static_cast<std::size_t>(settings_.points);
    for (std::size_t x = 0; x < points; ++x) {
      const double* row = &at(member).values[x * points];
      rows.push_back(std::accumulate(row, row + points, 0.0) / static_cast<double>(points));
    }
    return rows;
  }
  std::vector<std::byte> save(int member) const override {
    const Member& m = at(member);
    std::vector<std::byte> bytes(2 * sizeof(std::int64_t) + m.values.size() * sizeof(double));
    std::memcpy(bytes.data(), &m.step, sizeof(m.step));
    std::memcpy(bytes.data() + 8, &m.trajectory, sizeof(m.trajectory));
    std::memcpy(bytes.data() + 16, m.values.data(), m.values.size() * sizeof(double));
    return bytes;
  }
  void restore(int member, std::span<const std::byte> bytes) override {
    Member& m = at(member);
    m = {};
    m.values.resize(state_size());
    require(bytes.size() == 16 + m.values.size() * sizeof(double), "the bytes are of another configuration");
    std::memcpy(&m.step, bytes.data(), sizeof(m.step));
    std::memcpy(&m.trajectory, bytes.data() + 8, sizeof(m.trajectory));
    std::memcpy(m.values.data(), bytes.data() + 16, m.values.size() * sizeof(double));
  }

 private:
  struct Member {
    std::uint64_t trajectory = 0;
    std::int64_t step = 0;
    std::vector<double> values;
    MemberStatus status;
  };
  Member& at(int member) { return members_[static_cast<std::size_t>(member)]; }
  const Member& at(int member) const { return members_[static_cast<std::size_t>(member)]; }

  static void check(Member& m) {
    if (m.status.alive && std::isnan(m.values.front())) m.status = {false, m.step, "seen to be NaN"};
  }

  void advance(Member& m, std::int64_t steps) const {
    const auto failure = settings_.fails.find(m.trajectory);
    for (std::int64_t i = 0; i < steps; ++i, ++m.step) {
      if (failure != settings_.fails.end() && m.step == failure->second) {
        if (!settings_.silent) m.status = {false, m.step, "told to fail"};
        std::fill(m.values.begin(), m.values.end(), std::numeric_limits<double>::quiet_NaN());
      }
      for (std::size_t j = 0; j < m.values.size(); ++j) {
        const double x = 0.9 * m.values[j] + 0.1 * m.values[(j + 1) % m.values.size()];
        m.values[j] = 3.9 * x * (1 - x);
      }
    }
  }

  ToySettings& settings_;
  SolverInfo info_;
  std::vector<Member> members_;
};

}  // namespace sns
