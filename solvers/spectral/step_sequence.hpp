#pragma once
// Sequences of equal time steps: called one by one, or recorded once and replayed as graphs.
#include <cstdint>
#include <memory>

namespace sns::spectral {

/// Calls every step.
class PlainSteps {
 public:
  template <class Backend, class Step>
  void run(const Backend&, std::int64_t steps, const void* /*state*/, Step step) {
    for (; steps > 0; --steps) step();
  }
};

/// Steps of a longer graph; the rest of a sequence is replayed step by step.
inline constexpr std::int64_t kStepsPerGraph = 10;

/// Replays graphs of one and of kStepsPerGraph steps. A Graph is built as Graph(backend, body), which records
/// the work that body() enqueues without doing it, and offers launch(). What a step enqueues must be the same
/// every time but for what is in memory: it may depend neither on the step's number nor on results. Graphs are
/// recorded anew when the state lies elsewhere, or the workspace that transforms share, whose addresses are in
/// them. backend.graphs() = false calls every step, as PlainSteps does.
template <class Graph>
class GraphSteps {
 public:
  /// `state` is the address that step() works on.
  template <class Backend, class Step>
  void run(const Backend& backend, std::int64_t steps, const void* state, Step step) {
    if (!backend.graphs()) return PlainSteps().run(backend, steps, state, step);
    if (steps > 0 && (state != state_ || backend.workspace() != workspace_)) {
      one_.reset();
      many_.reset();
      state_ = state;
      workspace_ = backend.workspace();
      // A first call loads kernels and tells plans where the workspace is, which is no work for a recording.
      step();
      --steps;
    }
    for (; steps >= kStepsPerGraph; steps -= kStepsPerGraph) launch(many_, backend, kStepsPerGraph, step);
    for (; steps > 0; --steps) launch(one_, backend, 1, step);
  }

 private:
  template <class Backend, class Step>
  static void launch(std::unique_ptr<Graph>& graph, const Backend& backend, std::int64_t steps, Step step) {
    if (!graph)
      graph = std::make_unique<Graph>(backend, [&] {
        for (std::int64_t s = 0; s < steps; ++s) step();
      });
    graph->launch();
  }

  const void *state_ = nullptr, *workspace_ = nullptr;
  std::unique_ptr<Graph> one_, many_;
};

}  // namespace sns::spectral
