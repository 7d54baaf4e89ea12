// The `rollout` block: methods, ensembles, members.
#include "experiments/config.hpp"
#include "tests/support/scratch.hpp"

#include <doctest/doctest.h>

using namespace sns;
using test::contains;

namespace {

/// The methods of a file with these models.
RolloutConfig parse_with(const std::string& models, const std::string& methods) {
  const Config config = Config::parse("models: {" + models + "}\nrollout: {methods: {" + methods + "}}\n");
  const auto specs = read_models(config);
  RolloutConfig rollout = read_rollout(config.root().child("rollout"), specs, config.root().child("solver"));
  config.finish();
  return rollout;
}

RolloutConfig parse(const std::string& methods) {
  return parse_with(
      "gaussian: {kind: gaussian}, sns: {kind: sns, diffusion: {levels: 20}}, "
      "lagged: {kind: sns, diffusion: {levels: 20}, network: {lag: {window: 5}}}, "
      "therm: {kind: thermalizer, diffusion: {levels: 20}}, acdm: {kind: acdm, diffusion: {levels: 20}}",
      methods);
}

}  // namespace

TEST_CASE("methods: defaults of each kind") {
  const RolloutConfig config = parse(
      "t: {emulator: gaussian, refiner: therm, noise_limit: 15}, a: {generator: acdm}, g: {generator: sns}, "
      "c: {emulator: gaussian, refiner: sns, path: clean_past, gate: present, reverse_std: sqrt_beta}");
  REQUIRE(config.methods.size() == 4);
  CHECK(config.methods[0].sampling.start_level ==
        0);  // of 20 levels the nearest to the noise of level 6 of 1000
  CHECK(config.methods[0].sampling.stop_level == 0);
  CHECK(*config.methods[1].diffusion_model() == "acdm");
  CHECK_FALSE(config.methods[1].emulator.has_value());
  CHECK(config.methods[1].sampling.start == "noised_past");
  CHECK(config.methods[2].sampling.start == "pure_noise");
  CHECK(config.methods[2].sampling.path == "fixed_past");
  CHECK(config.methods[3].sampling.gate == "present");
  CHECK(config.methods[3].sampling.long_frame == "initial");
  CHECK(config.methods[3].sampling.write_back == "path");
  CHECK_FALSE(config.deterministic);
  CHECK(config.precision == "float32");
}

TEST_CASE("methods: reverse steps that draw from what was measured") {
  const RolloutConfig config = parse(
      "a: {emulator: gaussian, refiner: sns, reverse_std: measured}, b: {emulator: gaussian, refiner: sns}, "
      "c: {emulator: gaussian, refiner: therm, noise_limit: 15, reverse_std: measured}");
  CHECK(config.methods[0].draws_from_errors());
  CHECK_FALSE(config.methods[1].draws_from_errors());
  CHECK(config.methods[2].draws_from_errors());
  for (const char* generator : {"acdm", "sns"})
    CHECK(contains(test::message_of<ConfigError>(
                       [&] { parse(fmt::format("m: {{generator: {}, reverse_std: measured}}", generator)); }),
                   "measured is for refiners"));
  CHECK(contains(test::message_of<ConfigError>(
                     [] { parse("m: {emulator: gaussian, refiner: sns, path: C, reverse_std: measured}"); }),
                 "m.reverse_std: measured is for paths that step one frame at a time"));
  for (const char* rule : {"exclusive", "reference"})
    CHECK(contains(test::message_of<ConfigError>([&] {
                     parse(fmt::format(
                         "m: {{emulator: gaussian, refiner: sns, rule: {}, reverse_std: measured}}", rule));
                   }),
                   "measured takes the noise of the level that it steps from: give rule: inclusive"));
  CHECK(parse("m: {emulator: gaussian, refiner: therm, path: C, noise_limit: 15, reverse_std: measured}")
            .methods[0]
            .draws_from_errors());  // the path means nothing to it
  CHECK(contains(test::message_of<ConfigError>([] {
                   parse_with(
                       "gaussian: {kind: gaussian}, sns: {kind: sns, training: {data: stream, stream: "
                       "{validation_members: 0}}}",
                       "m: {emulator: gaussian, refiner: sns, reverse_std: measured}");
                 }),
                 "models.sns.training.stream.validation_members"));
}

TEST_CASE("methods: a mean that is conserved") {
  const RolloutConfig config = parse("a: {emulator: gaussian}, b: {generator: acdm, conserve_mean: true}");
  CHECK_FALSE(config.methods[0].conserve_mean);
  CHECK_FALSE(contains(config.methods[0].text, "conserve_mean"));  // methods without it are what they were
  CHECK(config.methods[1].conserve_mean);
  CHECK(contains(config.methods[1].text, "conserve_mean: true"));
}

TEST_CASE("methods: scales that a surrogate does not predict") {
  const RolloutConfig config =
      parse("a: {emulator: gaussian}, b: {emulator: gaussian, refiner: sns, unpredicted_scales: climatology}");
  CHECK_FALSE(config.methods[0].holds_scales());
  CHECK_FALSE(contains(config.methods[0].text, "unpredicted_scales"));  // methods without it are what they were
  CHECK(config.methods[1].holds_scales());
  CHECK(contains(config.methods[1].text, "unpredicted_scales: climatology"));
  CHECK_FALSE(config.methods[1].empties_scales());
  CHECK_FALSE(parse("m: {unpredicted_scales: as_predicted}").methods[0].holds_scales());
  CHECK(parse("m: {unpredicted_scales: empty}").methods[0].holds_scales());
  CHECK(parse("m: {unpredicted_scales: empty}").methods[0].empties_scales());
  CHECK(contains(test::message_of<ConfigError>([] { parse("m: {unpredicted_scales: true}"); }),
                 "methods.m.unpredicted_scales"));
  for (const std::string value : {"climatology", "empty"}) {
    CAPTURE(value);
    const std::string key = "unpredicted_scales: " + value;
    CHECK(parse("m: {generator: acdm, " + key + "}").methods[0].without_effect ==
          "unpredicted_scales (no effect on a generator of kind acdm)");
    CHECK(contains(
        test::message_of<ConfigError>([&] {
          parse_with("gaussian: {kind: gaussian, training: {data: stream, stream: {validation_members: 0}}}",
                     "m: {emulator: gaussian, " + key + "}");
        }),
        "models.gaussian.training.stream.validation_members"));
    CHECK(contains(test::message_of<ConfigError>([&] {
                     parse("m: {emulator: gaussian, refiner: sns, path: clean_past, estimate: combined, " +
                           key + "}");
                   }),
                   "methods.m.estimate: combined estimates are measured with the surrogate's own predictions"));
  }
}

TEST_CASE("methods: samples of a surrogate") {
  const RolloutConfig config = parse("a: {emulator: gaussian}, b: {emulator: gaussian, sampled: true}");
  CHECK_FALSE(config.methods[0].sampled);
  CHECK_FALSE(contains(config.methods[0].text, "sampled"));  // methods without it are what they were
  CHECK(config.methods[1].sampled);
  CHECK(contains(config.methods[1].text, "sampled: true"));
  CHECK(contains(
      test::message_of<ConfigError>([] { parse("m: {emulator: gaussian, noise: 0.1, sampled: true}"); }),
      "give one of them"));
  CHECK(parse("m: {emulator: gaussian, noise: 0.1, sampled: false}").methods[0].noise == 0.1);
  CHECK(parse("m: {generator: acdm, sampled: true}").methods[0].without_effect ==
        "sampled (no effect on a generator of kind acdm)");
}

TEST_CASE("methods: networks of one method in another precision than the rollout's") {
  RolloutConfig config = parse("a: {refiner: sns}, b: {refiner: sns, precision: bfloat16}");
  config.precision = "tf32";
  CHECK(config.methods[0].precision_in(config) == "tf32");
  CHECK(config.methods[1].precision_in(config) == "bfloat16");
  CHECK_FALSE(contains(config.methods[0].text, "precision"));  // methods without it are what they were
  CHECK(contains(config.methods[1].text, "precision: bfloat16"));
  CHECK(contains(test::message_of<ConfigError>([] { parse("m: {precision: half}"); }), "methods.m.precision"));
  CHECK(parse("m: {solver: {grid: {points: 8}}, precision: bfloat16}").methods[0].without_effect ==
        "precision (no effect on a solver)");
}

TEST_CASE("methods: one key swaps a method; keys of its former kind may stay") {
  // Every key that some method has, at a value that its default is not.
  const std::string keys =
      "emulator: gaussian, noise: 0.5, first_step: 7, every: 3, path: B, long: first_initial, rule: exclusive, "
      "level_floor: 3, "
      "threshold: 2, gate: present, write_back: always, start_level: 5, stop_level: 3, noise_limit: 15, "
      "start: pure_noise, conditioning: single, reverse_std: sqrt_beta";
  const auto swapped = [&](const std::string& choice) {
    return parse("m: {" + keys + ", " + choice + "}").methods.at(0);
  };
  const MethodConfig sns = swapped("refiner: sns"), therm = swapped("refiner: therm"),
                     alone = swapped("refiner: null"), lagged = swapped("refiner: lagged"),
                     acdm = swapped("refiner: sns, generator: acdm"), made = swapped("generator: sns");
  CHECK(sns.without_effect ==
        "start_level, stop_level, noise_limit, start, conditioning (no effect on a refiner of kind sns)");
  CHECK(sns.sampling.level_floor == 3);
  CHECK(therm.without_effect ==
        "path, long, level_floor, threshold, gate, write_back, start, conditioning (no effect on a refiner of "
        "kind thermalizer)");
  CHECK(therm.sampling.start_level == 5);
  CHECK(therm.sampling.rule == "exclusive");
  CHECK(therm.first_step == 7);
  CHECK(therm.every == 3);
  CHECK(contains(alone.without_effect, "first_step, every, path, long"));
  CHECK(contains(alone.without_effect, "on a surrogate alone"));
  CHECK(alone.noise == 0.5);
  CHECK(contains(lagged.without_effect, "long, start_level"));
  CHECK(lagged.sampling.long_frame == "initial");  // it looks back at its own trajectory
  CHECK(contains(acdm.without_effect, "emulator, noise, first_step, every, path"));
  CHECK(contains(acdm.without_effect, "refiner (no effect on a generator of kind acdm)"));
  CHECK_FALSE(acdm.emulator.has_value());
  CHECK_FALSE(acdm.refiner.has_value());
  CHECK(acdm.sampling.conditioning == "single");
  CHECK(made.sampling.path == "B");
  CHECK(made.sampling.start == "pure_noise");

  // What has no effect is no part of what the method is.
  CHECK(therm.text ==
        parse("m: {emulator: gaussian, refiner: therm, noise: 0.5, first_step: 7, every: 3, rule: exclusive, "
              "start_level: 5, stop_level: 3, noise_limit: 15, reverse_std: sqrt_beta}")
            .methods.at(0)
            .text);
  CHECK(parse("m: {emulator: gaussian, refiner: sns, path: A}").methods.at(0).without_effect.empty());
}

TEST_CASE("methods: a thermalizer acts where it is as noisy as the paper's does, however many levels it has") {
  const auto levels = [](const std::string& diffusion, const std::string& keys) {
    const SamplingConfig sampling =
        parse_with("gaussian: {kind: gaussian}, therm: {kind: thermalizer, diffusion: {" + diffusion + "}}",
                   "m: {refiner: therm" + keys + "}")
            .methods.at(0)
            .sampling;
    return std::vector<int>{sampling.start_level.value(), sampling.stop_level.value(),
                            sampling.noise_limit.value()};
  };
  CHECK(levels("levels: 1000", "") == std::vector<int>{6, 4, 100});
  CHECK(levels("levels: 200", "") == std::vector<int>{0, 0, 19});
  CHECK(levels("levels: 200", ", rule: reference") == std::vector<int>{0, -1, 19});
  CHECK(levels("levels: 1000", ", start_level: 2") == std::vector<int>{2, 2, 100});
  CHECK(levels("levels: 1000", ", start_level: 200") == std::vector<int>{200, 4, 999});
  CHECK(levels("levels: 1000", ", stop_level: 1") == std::vector<int>{6, 1, 100});
}

TEST_CASE("methods: a refiner that hardly acts is said to") {
  const auto doubt = [](const std::string& keys) {
    return parse("m: {refiner: sns" + keys + "}").methods.at(0).hardly_refines;
  };
  CHECK(doubt("").empty());
  CHECK(doubt(", every: 999").empty());  // frames 1 and 1000
  CHECK(doubt(", first_step: 1000").empty());
  CHECK(doubt(", every: 1000") == "every 1000 in a rollout of 1000 steps: frame 1 alone is refined");
  CHECK(contains(doubt(", first_step: 500, every: 501"), "frame 500 alone"));
  CHECK(contains(doubt(", first_step: 1001"), "no frame is refined"));
  CHECK(doubt(", threshold: 18").empty());
  CHECK(contains(doubt(", threshold: 19"),
                 "above level 19, and the noise heads of sns were trained on levels 0 to 19"));
}

TEST_CASE("methods: what the heads of a refiner see") {
  const auto method = [](const std::string& entry) { return parse("m: {" + entry + "}").methods.at(0); };
  CHECK(method("refiner: sns").sampling.classify == "as_given");
  CHECK_FALSE(contains(method("refiner: sns").text, "classify"));  // methods without it are what they were
  for (const std::string refiner : {"sns", "therm"}) {
    CHECK(method("refiner: " + refiner + ", classify: noised").sampling.classify == "noised");
    CHECK(contains(method("refiner: " + refiner + ", classify: noised").text, "classify"));
  }
  CHECK(contains(test::message_of<ConfigError>([&] { method("refiner: sns, classify: clean"); }),
                 "as_given, noised"));
  CHECK(method("refiner: sns, classify: noised, gate: present").sampling.classify == "noised");
  CHECK(contains(
      test::message_of<ConfigError>([&] { method("refiner: lagged, classify: noised, gate: present"); }),
      "classifies the refined frame again"));
  CHECK(contains(method("classify: noised").without_effect, "classify (no effect on a surrogate alone)"));
  CHECK(contains(method("generator: sns, classify: noised").without_effect,
                 "classify (no effect on a generator"));
}

TEST_CASE("methods: fixed levels in place of the heads'") {
  const auto fixed = [](const std::string& value) {
    return parse("m: {refiner: sns, " + value + "}").methods.at(0);
  };
  CHECK(fixed("fixed_levels: [0, 2]").sampling.fixed_levels == std::vector<int>{0, 2});
  CHECK(contains(fixed("fixed_levels: [0, 2]").text, "fixed_levels"));
  CHECK_FALSE(contains(fixed("level_floor: 0").text, "fixed_levels"));  // methods without it are what they were
  for (const char* wrong : {"[0]", "[0, 1, 2]", "[0, 20]", "[-1, 0]"})
    CHECK(contains(test::message_of<ConfigError>([&] { fixed(std::string("fixed_levels: ") + wrong); }),
                   "must be two levels, of the past and of the present frame, in 0..19"));
  CHECK(contains(test::message_of<ConfigError>([&] { fixed("fixed_levels: [0, 2], level_floor: 1"); }),
                 "give one of them"));
  CHECK(fixed("fixed_levels: [0, 2]").sampling.fixed_share == 1);
  CHECK(fixed("fixed_levels: [0, 2], fixed_share: 0.2").sampling.fixed_share == 0.2);
  for (const char* wrong : {"0", "1.5", "-1"})
    CHECK(contains(test::message_of<ConfigError>(
                       [&] { fixed(std::string("fixed_levels: [0, 2], fixed_share: ") + wrong); }),
                   "must be above 0 and at most 1"));
  CHECK(contains(test::message_of<ConfigError>([&] { fixed("fixed_share: 0.2"); }), "which are not given"));
  for (const char* other : {"threshold: 0", "gate: present"})
    CHECK(contains(test::message_of<ConfigError>([&] { fixed(std::string("fixed_levels: [0, 2], ") + other); }),
                   "a threshold or a gate would change them or leave frames alone"));
  CHECK(parse("m: {refiner: therm, fixed_levels: [0, 2]}").methods.at(0).without_effect ==
        "fixed_levels (no effect on a refiner of kind thermalizer)");
}

TEST_CASE("methods: a path by its corners") {
  const auto path = [](const std::string& text, const std::string& more = "") {
    return parse("m: {refiner: sns, path: '" + text + "'" + more + "}").methods.at(0);
  };
  CHECK(path("top,top 4,top 4,4 clean,clean").sampling.path == "top,top 4,top 4,4 clean,clean");
  CHECK(contains(path("clean_past").beyond_training, "path clean_past"));
  CHECK(path("clean,top clean,clean").beyond_training == path("clean_past").beyond_training);
  const auto refused = [&](const std::string& text, const std::string& more = "") {
    return test::message_of<ConfigError>([&] { path(text, more); });
  };
  CHECK(contains(refused("D"), "methods.m.path"));
  CHECK(contains(refused("D"), "A, B, C, fixed_past, clean_past"));
  CHECK(contains(refused("top,top 20,3 clean,clean"), "corner at level 20; the model's levels are 0..19"));
  CHECK(contains(refused("top,top 2,clean", ", write_back: always"), "leaves the past frame noisy"));
  CHECK(
      contains(test::message_of<ConfigError>([] { parse("m: {refiner: sns, every: 0}"); }), "methods.m.every"));
}

TEST_CASE("methods: the file's only surrogate need not be named") {
  const RolloutConfig config =
      parse("a: {}, b: {refiner: therm}, c: {emulator: gaussian}, d: {generator: sns}");
  CHECK(config.methods[0].emulator == "gaussian");
  CHECK(config.methods[1].emulator == "gaussian");
  CHECK(config.methods[0].text == config.methods[2].text);
  CHECK_FALSE(config.methods[3].emulator.has_value());
  for (const char* models : {"one: {kind: gaussian}, two: {kind: gaussian}", "sns: {kind: sns}"})
    CHECK(contains(test::message_of<ConfigError>([&] { parse_with(models, "m: {}"); }),
                   "m.emulator is required"));
}

TEST_CASE("methods: networks that are used otherwise than they were trained") {
  const auto doubt = [](const std::string& training, const std::string& method) {
    return parse_with(
               "gaussian: {kind: gaussian}, therm: {kind: thermalizer, diffusion: {levels: 20}, training: {" +
                   training + "}}, clean: {kind: sns, training: {levels: {past: clean}}}",
               "m: {" + method + "}")
        .methods.at(0)
        .beyond_training;
  };
  // The head never names a level that training did not visit, so that the limit must lie below the highest.
  CHECK(doubt("", "refiner: therm, noise_limit: 18").empty());
  CHECK(contains(doubt("", "refiner: therm, noise_limit: 19"), "noise_limit 19 with therm"));
  const std::string low = "levels: {sampling: low, max_level: 9}";
  CHECK(doubt(low, "refiner: therm, noise_limit: 8").empty());
  CHECK(contains(doubt(low, "refiner: therm, noise_limit: 9"), "levels 0 to 9"));
  CHECK(doubt("", "refiner: clean, path: clean_past").empty());
  const std::string message = test::message_of<ConfigError>([&] { doubt("", "refiner: clean, path: A"); });
  CHECK_MESSAGE(contains(message, "set rollout.methods.m.path=clean_past"), message);
}

TEST_CASE("ensembles: asked for by a block") {
  const auto read = [](const std::string& rollout) {
    const Config config = Config::parse(rollout + "\n");
    const RolloutConfig result = read_rollout(config.root(), {}, config.root().child("solver"));
    config.finish();
    return result;
  };
  CHECK_FALSE(read("steps: 100").ensemble.has_value());
  const RolloutConfig some = read("{steps: 100, ensemble: {members: 3}}");
  CHECK(some.ensemble->members == 3);
  CHECK(some.ensemble->steps == 100);  // no longer than the rollout
  CHECK(some.ensemble->perturbation == 1e-3);
  for (const auto& [wrong, message] : std::vector<std::pair<std::string, std::string>>{
           {"{members: 1}", "ensemble.members is 1 but must be at least 2"},
           {"{steps: 101}", "lies beyond the rollout's 100 steps"},
           {"{perturbation: -1.0}", "must not be negative"},
           {"{sigma: 1}", "ensemble.sigma is unknown"}})
    CHECK(contains(test::message_of<ConfigError>([&] { read("{steps: 100, ensemble: " + wrong + "}"); }),
                   message));
}

TEST_CASE("members: a number, or a list of initial conditions") {
  const auto read = [](const std::string& members) {
    const Config config = Config::parse("members: " + members + "\n");
    return read_rollout(config.root(), {}, config.root().child("solver"));
  };
  const RolloutConfig three = read("3"), chosen = read("[1, 3]");
  CHECK(three.initial_conditions() == 3);
  CHECK(three.rolls_out(2));
  CHECK_FALSE(three.rolls_out(3));
  CHECK_FALSE(three.rolls_out(-1));
  CHECK(chosen.members == 2);
  CHECK(chosen.initial_conditions() == 4);
  CHECK(chosen.rolls_out(3));
  CHECK_FALSE(chosen.rolls_out(2));
  for (const char* wrong : {"[]", "[3, 1]", "[1, 1]", "[-1]"})
    CHECK(contains(test::message_of<ConfigError>([&] { read(wrong); }), "ascending numbers from 0 on"));
}

TEST_CASE("methods: mistakes are named") {
  const auto problem = [](const std::string& method) {
    return test::message_of<ConfigError>([&] { parse("m: " + method); });
  };
  CHECK(contains(problem("{emulator: sns}"), "not a model of kind gaussian (have: gaussian)"));
  CHECK(contains(problem("{emulator: gaussian, refiner: acdm}"),
                 "kind sns or thermalizer (have: sns, lagged, therm)"));
  CHECK(contains(problem("{generator: therm}"), "kind acdm or sns (have: sns, lagged, acdm)"));
  CHECK(contains(problem("{emulator: gaussian, refiner: acdm}"), "makes frames alone: generator: acdm"));
  CHECK(contains(problem("{generator: therm}"), "refines a surrogate's: refiner: therm"));
  CHECK(contains(problem("{emulator: gaussian, refiner: therm, pth: A}"), "m.pth is unknown"));
  CHECK(contains(problem("{emulator: gaussian, refiner: sns, stop_levle: 3}"), "m.stop_levle is unknown"));
  CHECK(contains(problem("{emulator: gaussian, path: A, refiners: sns}"), "refiners"));
  CHECK(contains(problem("{generator: acdm, member: 3}"), "m.member is unknown"));
  CHECK(contains(problem("{emulator: gaussian, refiner: therm, start_level: 3, stop_level: 4}"),
                 "must not lie above"));
  CHECK(contains(problem("{emulator: gaussian, refiner: therm, start_level: 6, noise_limit: 6}"),
                 "must lie above"));
  CHECK(contains(problem("{emulator: gaussian, refiner: therm, start_level: 20}"), "-1..19"));
  CHECK(contains(problem("{generator: acdm, start: zero}"), "noised_past"));
  CHECK(contains(problem("{generator: acdm, conditioning: none}"), "per_step"));
  CHECK(contains(problem("{emulator: gaussian, refiner: sns, long: truth}"), "initial, first_initial"));
  CHECK(contains(problem("{emulator: gaussian, refiner: sns, path: fixed_past, write_back: always}"), "noisy"));
  CHECK(contains(problem("{emulator: gaussian, refiner: sns, rule: open}"), "inclusive, exclusive, reference"));
  CHECK(contains(problem("{emulatr: gaussian}"), "m.emulatr is unknown"));
}
