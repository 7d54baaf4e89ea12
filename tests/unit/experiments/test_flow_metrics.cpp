// Energy budget and zonal jets of frames, against flows whose values are known, and their scores.
#include "experiments/metrics/flow_scores.hpp"
#include "tests/support/relative.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

using namespace sns;
using namespace sns::metrics;

namespace {

constexpr double kPi = std::numbers::pi;
constexpr int kPoints = 32;
constexpr double kRounding = 1e-5;  // of float32 frames

/// Kolmogorov flow whose frames begin at `y` along the second axis.
Flow forced(double y = 0) {
  return {.points = kPoints,
          .length = 2 * kPi,
          .first = {0, y},
          .force = BodyForce{.viscosity = 0.02, .drag = 0.1, .wavenumber = 4, .amplitude = 1.5}};
}

/// w = -k a cos(k y), that is u = a sin(k y).
std::vector<float> wave(const Flow& flow, double a) {
  const double k = flow.force->wavenumber, spacing = flow.length / flow.points;
  std::vector<float> frame;
  for (int i = 0; i < flow.points; ++i)
    for (int j = 0; j < flow.points; ++j)
      frame.push_back(static_cast<float>(-k * a * std::cos(k * (flow.first[1] + j * spacing))));
  return frame;
}

Flow layered() {
  return {.points = kPoints,
          .length = 1e6,
          .fields = {"q_upper", "q_lower"},
          .units = {"", ""},
          .axes = {"y", "x"},
          .layers = Layers{.deformation_radius = 15000, .depth_ratio = 0.25},
          .shear = Shear{.upper = 0.03, .lower = 0.01, .bottom_drag = 2e-7}};
}

FlowRecord record_of(const std::vector<FlowWindow>& windows) {
  FlowRecord record;
  record.windows = windows;
  return record;
}

/// A score by its id.
const Score& find(const std::vector<Score>& scores, const std::string& id) {
  const auto found =
      std::find_if(scores.begin(), scores.end(), [&](const Score& s) { return s.info.id() == id; });
  REQUIRE(found != scores.end());
  return *found;
}

}  // namespace

TEST_CASE("energy terms of a sinusoidal flow, wherever the frames have their points") {
  for (const double y : {0.0, 0.05, 0.098}) {
    const Flow flow = forced(y);
    FlowDiagnostics diagnostics(flow);
    const double a = 0.7, k = 4;
    const EnergyTerms terms = diagnostics.energy(wave(flow, a));
    CHECK(terms.energy == test::relative(a * a / 4).epsilon(kRounding));
    CHECK(terms.injection == test::relative(1.5 * a / 2).epsilon(kRounding));  // <a sin(k y) A sin(k y)>
    CHECK(terms.dissipation ==
          test::relative(2 * 0.02 * k * k * a * a / 4 + 2 * 0.1 * a * a / 4).epsilon(kRounding));
  }
}

TEST_CASE("the budget of a flow that obeys its equation closes; of one that does not it tells by how much") {
  const Flow flow = forced();
  const double k = 4, damping = 0.02 * k * k + 0.1, steady = 1.5 / damping, interval = 0.01;
  // da/dt = A - damping a, from rest.
  const auto amplitude = [&](double t) { return steady * (1 - std::exp(-damping * t)); };
  for (const double speed : {1.0, 2.0}) {  // how fast the film runs
    FlowRecorder recorder(FlowDiagnostics(flow), 201, 100, interval);
    for (int t = 0; t <= 200; ++t) recorder.add(wave(flow, amplitude(1 + speed * t * interval)));
    const FlowRecord record = recorder.finish();
    REQUIRE(record.windows.size() == 2);
    for (const FlowWindow& window : record.windows) {
      CHECK(window.budgets > 20);
      CHECK(window.budgets <= kFlowSamples);
      CHECK(window.jet_frames == 0);
      const double residual = window.residual / static_cast<double>(window.budgets),
                   injection = window.injection / static_cast<double>(window.budgets);
      if (speed == 1.0) {
        CHECK(std::abs(residual) < 1e-3 * injection);
      } else {
        // dE/dt is twice what it should be: the residual is what the equation gives, injection - dissipation.
        CHECK(residual > 1e-2 * injection);
        CHECK(window.squares / static_cast<double>(window.budgets) >= residual * residual * (1 - 1e-9));
      }
    }
  }
}

TEST_CASE("frames that are not finite take their neighbours' residuals with them") {
  const Flow flow = forced();
  FlowRecorder recorder(FlowDiagnostics(flow), 11, 10, 0.01);
  for (int t = 0; t <= 10; ++t) {
    if (t == 5)
      recorder.add({});
    else
      recorder.add(wave(flow, 1));
  }
  // Residuals at frames 1..9 but 4, 5, 6; frame 10 has no successor.
  CHECK(recorder.finish().windows[0].budgets == 6);
}

TEST_CASE("jets are counted by intervals above half of the largest speed") {
  const auto profile = [](const auto& u) {
    std::vector<double> values;
    for (int j = 0; j < 64; ++j) values.push_back(u(2 * kPi * j / 64));
    return values;
  };
  CHECK(count_jets(profile([](double y) { return std::cos(3 * y); })) == 3);
  CHECK(count_jets(profile([](double y) { return std::cos(y - 0.3); })) == 1);
  CHECK(count_jets(profile([](double) { return 0.0; })) == 0);
  CHECK(count_jets(profile([](double y) { return -1 - 0.1 * std::cos(y); })) == 0);  // all westward
  // Two jets, of which one is weak: 1 at y = 0, 0.3 at y = pi.
  CHECK(count_jets(profile(
            [](double y) { return std::max(0.0, std::cos(y)) + 0.3 * std::max(0.0, -std::cos(y)); })) == 1);
}

TEST_CASE("zonal flow of a barotropic wave, and the budget's terms of two layers") {
  const Flow flow = layered();
  const double l = 2 * kPi / flow.length * 3, psi = 5e3;
  std::vector<float> frame;
  for (int z = 0; z < 2; ++z)
    for (int i = 0; i < kPoints; ++i)
      for (int j = 0; j < kPoints; ++j)
        frame.push_back(static_cast<float>(-l * l * psi * std::cos(l * (i + 0.5) * flow.length / kPoints)));
  FlowDiagnostics diagnostics(flow);
  const std::vector<double> u = diagnostics.zonal_flow(frame);
  REQUIRE(u.size() == kPoints);
  for (int i = 0; i < kPoints; ++i)  // u = -dpsi/dy
    CHECK(
        u[static_cast<std::size_t>(i)] ==
        test::relative(l * psi * std::sin(l * (i + 0.5) * flow.length / kPoints)).epsilon(1e-4).scale(l * psi));
  CHECK(count_jets(u) == 3);

  const EnergyTerms terms = diagnostics.energy(frame);
  const double speed2 = l * l * psi * psi / 2;  // of either layer
  CHECK(terms.energy == test::relative(speed2 / 2).epsilon(1e-4));
  CHECK(terms.injection == test::relative(0).scale(speed2 / 1e6));
  CHECK(terms.dissipation == test::relative(2e-7 * speed2 / 1.25).epsilon(1e-4));  // H2/H = 1 / (1 + 0.25)
}

TEST_CASE("what cannot be measured says why") {
  CHECK(no_budget(forced()).empty());
  CHECK(no_jets(forced()) == "jets are those of two-layer flow");
  Flow flow = layered();
  CHECK(no_budget(flow).empty());
  CHECK(no_jets(flow).empty());
  flow.zonal_mean_removed = true;
  CHECK(no_budget(flow) == "the frames leave the zonal mean out, and with it part of the energy");
  CHECK(no_jets(flow) == "the frames leave the zonal mean out");
  CHECK(no_budget({.points = 8, .length = 1}) == "the data set does not say what drives and damps the flow");
  // Nothing is looked at then.
  FlowRecorder recorder(FlowDiagnostics({.points = 8, .length = 1}), 4, 3, 1.0);
  for (int t = 0; t < 4; ++t) recorder.add(std::vector<float>(64, 1.0F));
  CHECK(recorder.finish().windows[0].budgets == 0);
}

TEST_CASE("scores of whole states by hand") {
  // Truth: residual -0.2 and rms 0.5 over an injection of 2; 2 jets of strength 3.
  const FlowWindow truth{.budgets = 10,
                         .jet_frames = 4,
                         .residual = -2,
                         .squares = 2.5,
                         .injection = 20,
                         .jets = 8,
                         .strength = 12,
                         .profile = {4, 0, -4, 0}};
  const std::vector<FlowRecord> truths{record_of({truth})};
  const FlowReference reference = make_flow_reference(truths);
  CHECK(*reference.injection == test::relative(2));
  CHECK(reference.residual == test::relative(-0.1));
  CHECK(reference.residual_rms == test::relative(0.25));
  CHECK(*reference.jets == test::relative(2));
  CHECK(reference.strength == test::relative(3));

  FlowWindow other = truth;
  other.residual = 6;             // 0.6 / 2 = 0.3
  other.squares = 10;             // rms 1 / 2 = 0.5
  other.jets = 12;                // 3 jets
  other.strength = 6;             // 1.5
  other.profile = {4, 0, -4, 8};  // 2 away at one point of four; the truth has rms sqrt(1/2)
  const std::vector<FlowRecord> members{record_of({truth}), record_of({other}), record_of({other})};
  const std::vector<const FlowRecord*> paired(3, &truths[0]);
  const Bootstrap bootstrap(1, 3, 50, 0.95);
  const auto scores = flow_scores(
      members, paired, reference, [](std::size_t m, std::size_t) { return m != 2; }, bootstrap);
  const double lost = std::numeric_limits<double>::infinity();
  const auto values = [&](const std::string& id, double second) {
    const Score& score = find(scores, id);
    REQUIRE(score.members.size() == 3);
    CHECK(score.members[1] == test::relative(second));
    CHECK(score.members[2] == lost);
    CHECK(score.lost == 1);
    return score.members[0];
  };
  CHECK(std::abs(values("budget_residual/late", 0.4)) < 1e-5);
  CHECK(values("budget_scatter_ratio/late", 2) == test::relative(1));
  CHECK(values("jet_count_ratio/early", 1.5) == test::relative(1));
  CHECK(values("jet_strength_ratio/mid", 0.5) == test::relative(1));
  CHECK(std::abs(values("jet_profile_distance/early", 1 / std::sqrt(0.5))) < 1e-5);
}

TEST_CASE("a window that is too short for a change from frame to frame is no loss") {
  FlowWindow judged, unjudged;
  judged.budgets = 10;
  judged.residual = -2;
  judged.squares = 2.5;
  judged.injection = 20;
  const std::vector<FlowRecord> members(4, record_of({unjudged}));
  const std::vector<FlowRecord> truths{record_of({judged})};
  const std::vector<const FlowRecord*> paired(4, &truths[0]);
  const auto scores = flow_scores(
      members, paired, make_flow_reference(truths), [](std::size_t m, std::size_t) { return m != 3; },
      Bootstrap(1, 4, 50, 0.95));
  for (const char* id : {"budget_residual/late", "budget_scatter_ratio/late"}) {
    CAPTURE(id);
    CHECK(std::isnan(find(scores, id).members[0]));
    CHECK(find(scores, id).lost == 1);
  }
  for (const char* id : {"injection_ratio/late", "reversed_share/all"}) {
    CAPTURE(id);
    CHECK(std::isnan(find(scores, id).estimate.value));
    CHECK(find(scores, id).lost == 1);
  }
}

TEST_CASE("a flow that moves against its force is seen in the mean over members, though its energy be right") {
  const FlowWindow with{.budgets = 10, .injection = 20, .profile = {}};
  FlowWindow against = with;
  against.injection = -20;
  const std::vector<FlowRecord> truths{record_of({with, with, with, with})};
  const FlowReference reference = make_flow_reference(truths);
  const std::vector<FlowRecord> members{record_of({with, with, with, with}),
                                        record_of({with, with, with, with}),
                                        record_of({with, with, against, against})};
  const std::vector<const FlowRecord*> paired(3, &truths[0]);
  const Bootstrap bootstrap(1, 3, 50, 0.95);
  const auto value = [&](const std::string& id, std::size_t lost_member, std::size_t lost_from) {
    const auto scores = flow_scores(
        members, paired, reference,
        [&](std::size_t m, std::size_t w) { return m != lost_member || w < lost_from; }, bootstrap);
    return find(scores, id).estimate.value;
  };
  CHECK(value("injection_ratio/early", 9, 0) == test::relative(1));
  CHECK(value("injection_ratio/late", 9, 0) == test::relative(1.0 / 3));
  CHECK(value("injection_ratio/all", 9, 0) == test::relative(2.0 / 3));
  CHECK(value("reversed_share/all", 9, 0) == test::relative(0.5 / 3));
  // A lost member has no injection; its windows until then still say which way it moved.
  CHECK(std::isinf(value("injection_ratio/late", 2, 3)));
  CHECK(value("injection_ratio/early", 2, 3) == test::relative(1));
  CHECK(value("reversed_share/all", 2, 3) == test::relative(1.0 / 9));
  CHECK(std::isinf(value("reversed_share/all", 2, 0)));
}

TEST_CASE(
    "a share of windows that all members have alike has an interval of some width, and says who is lost") {
  const FlowWindow with{.budgets = 10, .injection = 20, .profile = {}};
  const std::vector<FlowRecord> truths{record_of({with, with})}, members(8, record_of({with, with}));
  const std::vector<const FlowRecord*> paired(8, &truths[0]);
  const auto share = [&](std::size_t lost_from) {
    return find(
        flow_scores(
            members, paired, make_flow_reference(truths),
            [&](std::size_t m, std::size_t w) { return m >= 3 || w < lost_from; }, Bootstrap(1, 8, 50, 0.95)),
        "reversed_share/all");
  };
  CHECK(share(2).estimate.value == 0);
  CHECK(share(2).estimate.high ==
        test::relative(3.841459 / (8 + 3.841459)).epsilon(1e-6));  // Wilson's of none of eight
  CHECK(share(2).lost == 0);
  CHECK(share(1).estimate.value == 0);
  CHECK(share(1).lost == 3);
  CHECK(std::isinf(share(0).estimate.value));
  CHECK(std::isinf(share(0).estimate.high));
}
