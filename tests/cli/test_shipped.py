#!/usr/bin/env python3
"""What the shipped weights show, smaller: test_shipped.py <sns> <source folder>.

The quickstart, two of its initial conditions, 700 steps: the surrogate alone leaves the solver's range, the refined one
does not. Every method of methods.yaml, of subgrid.yaml and subgrid_heads.yaml, of interval.yaml and of interval_sampled.yaml, 40 steps: all are near
the solver, ACDM within limits, but for one that is refined at a level far below its noise.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np

SNS, SOURCE = Path(sys.argv.pop(1)).resolve(), Path(sys.argv.pop(1)).resolve()


class Shipped(unittest.TestCase):
    def test_refinement_keeps_the_surrogate_on_the_attractor(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [str(SNS), "reproduce", str(SOURCE / "yaml/kolmogorov/quickstart.yaml"), f"run.output={folder}", "run.device=cpu",
                 "rollout.steps=700", "rollout.members=2", "rollout.floor_members=2", "--until", "evaluate"],
                capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            metrics = json.loads((Path(folder) / "evaluation/metrics.json").read_text())
        results = {method["name"]: method["results"] for method in metrics["methods"]}
        self.assertEqual(set(results), {"gaussian", "sns", "sns_floor2"})

        def value(method, metric):
            return float(results[method][metric]["value"])  # "inf" is how JSON says it

        self.assertEqual(value("gaussian", "stable_fraction/all"), 0)
        self.assertEqual(value("sns_floor2", "stable_fraction/all"), 1)
        self.assertGreater(value("gaussian", "spectrum_error/late"), 1)
        self.assertLess(value("sns_floor2", "spectrum_error/late"), 0.4)  # two solver runs: about 0.1
        self.assertLess(value("sns", "spectrum_error/mid"), value("gaussian", "spectrum_error/mid"))

    def test_check_says_what_reproduce_would(self):
        def check(*overrides):
            return subprocess.run([str(SNS), "check", str(SOURCE / "yaml/kolmogorov/quickstart.yaml"), "run.device=cpu", *overrides],
                                  capture_output=True, text=True)

        other = "the flow has viscosity 0.001, and the finished weights of gaussian, sns were trained on that of the file (0.01)"
        changed = check("solver.viscosity=1e-3")
        self.assertEqual(changed.returncode, 0, changed.stderr)
        self.assertIn(other, changed.stderr)
        self.assertNotIn(other, check("solver.viscosity=1e-3", "retrain=true").stderr)
        for same in ("solver.precision=float64", "solver.viscosity=1.0e-2"):
            self.assertNotIn("the finished weights", check(same).stderr)
        for override, message in {"figure.member=8": "there are members 0 to 7",
                                  "figure.steps=[0,5000]": "5000 lies beyond the rollout's 1000 steps",
                                  "video.methods=[foo]": "rollout.methods has no 'foo'",
                                  "figure.kinds=[oracle]": "there is no block 'oracle'",
                                  "datagen.trajectories=1000001": "training would see them"}.items():
            refused = check(override)
            self.assertEqual(refused.returncode, 2, refused.stderr)
            self.assertIn(message, refused.stderr)

    def test_corrected_scales_of_converted_weights_are_seen(self):
        """No list of hashes vouches for their config.yaml: it may be corrected, and the same weights then make other frames."""
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder) / "gaussian"
            shutil.copytree(SOURCE / "weights/kolmogorov-quickstart/gaussian", weights)
            (weights / "SHA256SUMS").unlink()
            command = [str(SNS), "rollout", str(SOURCE / "yaml/kolmogorov/quickstart.yaml"), "--method", "gaussian", "run.device=cpu",
                       f"run.output={Path(folder) / 'run'}", f"models.gaussian.weights={weights}", "rollout.steps=3", "rollout.members=1",
                       "rollout.floor_members=1", "evaluate.window=1", "evaluate.lags=1", "figure.steps=[0, 3]"]

            def roll_out():
                done = subprocess.run(command, capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stderr)
                with h5py.File(Path(folder) / "run/rollouts/gaussian.h5") as file:
                    return file["vorticity"][...]

            first = roll_out()
            self.assertTrue((roll_out() == first).all())
            config = (weights / "config.yaml").read_text()
            std = re.search(r"field_std: \[?([\d.e+-]+)", config).group(1)
            (weights / "config.yaml").write_text(config.replace(std, str(0.8 * float(std))))
            self.assertFalse((roll_out() == first).all())

    def test_check_estimates_what_a_finer_solver_costs_more(self):
        done = subprocess.run([str(SNS), "check", str(SOURCE / "yaml/kolmogorov/interval.yaml"), "run.device=cpu", "rollout.steps=250000"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        minutes = {}
        for solver in ("solver_coarse", "solver_64", "solver_96"):
            number, unit = re.search(rf"rollout\.{solver} .* about ([\d.]+) (min|h) on this CPU", done.stdout).groups()
            minutes[solver] = float(number) * {"min": 1, "h": 60}[unit]
        self.assertGreater(minutes["solver_64"], 2 * minutes["solver_coarse"])  # 8 times the work
        self.assertGreater(minutes["solver_96"], minutes["solver_64"])          # 3 times

    def test_samples_need_what_was_measured(self):
        for model, file, key in (("gaussian", "step_error.safetensors", "gaussian_sampled.sampled"),
                                 ("sns", "estimate_error.safetensors", "sns_sampled_measured.reverse_std")):
            with self.subTest(model), tempfile.TemporaryDirectory() as folder:
                weights = Path(folder) / model
                shutil.copytree(SOURCE / "weights/kolmogorov-interval" / model, weights)
                for name in (file, "SHA256SUMS"):
                    (weights / name).unlink()
                done = subprocess.run(
                    [str(SNS), "check", str(SOURCE / "yaml/kolmogorov/interval_sampled.yaml"), "run.device=cpu",
                     f"models.{model}.weights={weights}"], capture_output=True, text=True)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(f"rollout.methods.{key}", done.stderr)
                self.assertIn(f"sns calibrate --weights {weights} --data", done.stderr)

    def test_unpredicted_scales_need_powers(self):
        """The file of these weights is of a version that kept the error alone; that of two layers has them."""
        for file, method, value, code, said in (("kolmogorov/interval_sampled", "gaussian", "climatology", 2, "of an earlier version"),
                                                ("kolmogorov/interval_sampled", "gaussian", "empty", 2, "of an earlier version"),
                                                ("qg2layer/resolved_held", "gaussian_trained_held", "climatology", 0, "")):
            done = subprocess.run([str(SNS), "check", str(SOURCE / f"yaml/{file}.yaml"), "run.device=cpu",
                                   f"rollout.methods.{method}.unpredicted_scales={value}"], capture_output=True, text=True)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(said, done.stderr)
            if code:
                self.assertIn("sns calibrate --weights", done.stderr)

    def test_samples_follow_what_is_shipped(self):
        """Measured anew in the folder of the weights, it makes the rollouts that draw from it anew, and no others."""
        experiment = SOURCE / "yaml/kolmogorov/interval_sampled.yaml"
        # The model, a method that draws from its errors, one that does not.
        for model, draws, does_not in (("gaussian", "gaussian_sampled", "gaussian"), ("sns", "sns_sampled_measured", "sns_sampled")):
            with self.subTest(model), tempfile.TemporaryDirectory() as folder:
                root, weights = Path(folder), Path(folder) / model
                shutil.copytree(SOURCE / "weights/kolmogorov-interval" / model, weights)
                size = [f"run.output={root / 'run'}", "run.device=cpu", "rollout.steps=3", "rollout.members=1",
                        "rollout.floor_members=1", "rollout.ensemble=null", "evaluate.window=1", "evaluate.lags=1",
                        "figure.steps=[0, 3]", f"models.{model}.weights={weights}"]

                def roll_out():
                    done = subprocess.run([str(SNS), "rollout", str(experiment), "--method", draws, "--method", does_not, *size],
                                          capture_output=True, text=True)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    frames = {}
                    for method in (draws, does_not):
                        with h5py.File(root / f"run/rollouts/{method}.h5") as file:
                            frames[method] = file["vorticity"][...]
                    return frames, done.stderr

                first, _ = roll_out()
                made = subprocess.run([str(SNS), "datagen", str(experiment), "run.device=cpu", "datagen.trajectories=10",
                                       "datagen.frames=3", "-o", str(root / "data")], capture_output=True, text=True)
                self.assertEqual(made.returncode, 0, made.stderr)
                measured = subprocess.run([str(SNS), "calibrate", "--weights", str(weights), "--data", str(root / "data")],
                                          capture_output=True, text=True)
                self.assertEqual(measured.returncode, 0, measured.stderr)
                self.assertIn("is not the data set that the weights were trained on", measured.stderr)
                second, said = roll_out()
                self.assertIn(f"rollout/{draws}", said)
                self.assertNotIn(f"rollout/{does_not} ", said)
                self.assertTrue((first[does_not] == second[does_not]).all())
                self.assertFalse((first[draws] == second[draws]).all())

    def test_heads_find_the_noise_of_a_sampled_surrogate(self):
        """yaml/kolmogorov/sampled.yaml: one network, three strengths of noise, nothing else changed; docs/decisions/0037."""
        mean_level = {}
        with tempfile.TemporaryDirectory() as folder:
            for noise in (0, 0.011, 0.044):
                done = subprocess.run(
                    [str(SNS), "rollout", str(SOURCE / "yaml/kolmogorov/sampled.yaml"), "--scale", "cpu", f"run.output={folder}",
                     "run.device=cpu", "rollout.steps=100", "rollout.members=2", "rollout.floor_members=1", "figure.steps=[0,100]",
                     f"rollout.methods.sns_sampled.noise={noise}", "--method", "sns_sampled"], capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stderr)
                with h5py.File(Path(folder) / "rollouts/sns_sampled.h5") as file:
                    mean_level[noise] = file["levels"][:, 1:, 1].mean()
        # Levels of this strength of noise: 1.4 and 5.7, to which what is left of earlier frames adds (0.007 at level 0, 1.38 times as much from each to the next).
        self.assertLess(mean_level[0], 0.5)
        self.assertAlmostEqual(mean_level[0.011], 1.4, delta=0.7)
        self.assertAlmostEqual(mean_level[0.044], 5.7, delta=1.5)

    def test_heads_see_noise_and_errors_of_other_frames_but_not_the_surrogate_s_own(self):
        """scripts/noise_heads.py, and what docs/decisions/0035 says of these two networks."""
        with tempfile.TemporaryDirectory() as folder:
            made = subprocess.run(
                [str(SNS), "datagen", str(SOURCE / "yaml/kolmogorov/quickstart.yaml"), f"run.output={folder}", "run.device=cpu",
                 "datagen.trajectories=10", "datagen.frames=151"], capture_output=True, text=True)
            self.assertEqual(made.returncode, 0, made.stderr)
            weights = SOURCE / "weights/kolmogorov-cpu"
            asked = subprocess.run(
                [sys.executable, str(SOURCE / "scripts/noise_heads.py"), "--surrogate", str(weights / "gaussian_forcing"), "--sns",
                 str(weights / "sns_fine"), "--data", f"{folder}/dataset", "--steps", "1", "20", "--levels", "0", "6", "--errors", "white", "change",
                 "--noise", "0.044", "--program", str(SNS)],
                capture_output=True, text=True)
            self.assertEqual(asked.returncode, 0, asked.stderr)
        self.assertRegex(asked.stderr, r"^30 pairs; error of one step: 0\.0(09|1)\d* standard deviations")
        present = {name.strip(): float(level)
                   for name, level in re.findall(r"^(.{18}) +[\d.]+ +([\d.]+) +\d+%$", asked.stdout, re.M)}
        self.assertLess(present["surrogate, 1"], 0.3)
        self.assertGreater(present["surrogate, 20"], present["surrogate, 1"])
        for row in ("other errors", "phases at random", "error reversed", "white, 1"):
            self.assertGreater(present[row], 0.4, row)
        self.assertGreater(present["white, 4"], 5)
        left = {kind: tuple(map(float, row)) for kind, *row in
                re.findall(r"^(white|change) +0\.044 +([\d.]+) +\d+% +([\d.]+) +([\d.]+)$", asked.stdout, re.M)}
        # What the heads see, and what is left at levels 0 and 6: of noise more at the higher level, which adds noise of its own;
        # of a change that belongs to another flow, which looks less like an error, as much at both.
        self.assertGreater(left["white"][0], left["change"][0] + 2)
        self.assertLess(left["white"][1], 0.8 * left["white"][2])
        self.assertLess(left["white"][2], left["change"][2])
        self.assertLess(abs(left["change"][1] / left["change"][2] - 1), 0.1)

    def test_heads_know_clean_frames_of_two_layers_by_the_lowest_level_s_noise_alone(self):
        """docs/decisions/0050: as they are given clean frames look like the noisiest ones to these heads; with noise what they say is an order."""
        weights, present = SOURCE / "weights/qg2layer-resolved", {}
        with tempfile.TemporaryDirectory() as folder:
            made = subprocess.run(
                [str(SNS), "datagen", str(SOURCE / "yaml/qg2layer/resolved.yaml"), f"run.output={folder}", "run.device=cpu",
                 "datagen.trajectories=5", "datagen.frames=21"], capture_output=True, text=True)
            self.assertEqual(made.returncode, 0, made.stderr)
            for classify in ("as_given", "noised"):
                asked = subprocess.run(
                    [sys.executable, str(SOURCE / "scripts/noise_heads.py"), "--surrogate", str(weights / "gaussian_trained"), "--sns",
                     str(weights / "sns_wide"), "--data", f"{folder}/dataset", "--spacing", "10", "--steps", "1", "10", "--classify", classify,
                     "--program", str(SNS)], capture_output=True, text=True)
                self.assertEqual(asked.returncode, 0, asked.stderr)
                present[classify] = {name.strip(): float(level)
                                     for name, level in re.findall(r"^(.{18}) *[\d.]+ +([\d.]+) +\d+%$", asked.stdout, re.M)}
        self.assertGreater(present["as_given"]["solver"], 10)
        noised = present["noised"]
        self.assertLess(noised["solver"], 0.3)
        self.assertLess(noised["surrogate, 1"], 0.3)
        self.assertGreater(noised["surrogate, 10"], 0.7)
        self.assertAlmostEqual(noised["white, 2"], 1, delta=0.3)
        self.assertAlmostEqual(noised["white, 4"], 2, delta=0.3)

    def test_growth_of_vortices(self):
        """scripts/vortex_growth.py: frames of members that stay, and the last ones of those that do not; one vortex that grows by a tenth."""
        weights, x = SOURCE / "weights/qg2layer-resolved", np.arange(32)
        vortex = np.exp(-((x[:, None] - 9) ** 2 + (x - 20) ** 2) / 8)
        frames = 4.1 * vortex * 1.1 ** np.arange(3)[:, None, None]
        # Of the truth, growth is known; of the rollout, which frames there are.
        noise = np.random.default_rng(1).normal(size=(200, 32, 32)).clip(-2.5, 2.5)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "truth").mkdir()
            with h5py.File(f"{folder}/truth/a.h5", "w") as file:
                group = file.create_group("t0_fields")
                group.attrs["field_names"] = ["q_upper", "q_lower"]
                for name, size in (("q_upper", 8.17e-6), ("q_lower", 1.12e-6)):
                    group[name] = size * np.concatenate([noise, frames])[None]
            with h5py.File(f"{folder}/rollout.h5", "w") as file:
                for name, size in (("q_upper", 8.17e-6), ("q_lower", 1.12e-6)):
                    members = np.repeat(size * noise[None, :40], 2, axis=0)
                    members[1, 30:] = np.nan
                    file[name] = members
            made = subprocess.run(
                [sys.executable, str(SOURCE / "scripts/vortex_growth.py"), "--rollout", f"{folder}/rollout.h5", "--truth", f"{folder}/truth",
                 "--surrogate", str(weights / "gaussian_trained"), "--refiner", str(weights / "sns_fine"), "--last", "10", "--spacing", "1",
                 "--draws", "1", "--program", str(SNS), "--fixed-levels", "0,0"], capture_output=True, text=True)
        self.assertEqual(made.returncode, 0, made.stderr)
        rows = re.findall(r"^ *(\d+) to (\S+) +(\d+) .* (\d+)$", made.stdout, re.M)
        self.assertEqual(sum(int(row[2]) for row in rows), 39 + 10, made.stdout)
        self.assertEqual({row[0]: int(row[3]) for row in rows}, {"0": 200, "4": 2}, made.stdout)
        self.assertIn("+95.31 (0.00)", made.stdout)  # 1000 ln 1.1

    def test_every_method_follows_the_solver_at_first(self):
        rows = {"methods": {"gaussian", "sns", "sns_floor2", "thermalizer", "sns_clean", "acdm", "solver_coarse", "solver_between"},
                "subgrid": {"gaussian", "sns", "sns_measured", "sns_every_4", "sns_above_0", "gaussian_stopped", "sns_stopped",
                            "sns_stopped_measured", "solver_coarse", "solver_64", "solver_96"},
                "subgrid_heads": {"gaussian", "gaussian_stopped", "solver_64", "solver_96", "gaussian_stopped_sampled", "sns",
                                  "sns_stopped", "sns_geometric_sampled", "sns_geometric_lowest", "sns_geometric_3", "stopped_3",
                                  "noisy_heads", "noisy_lowest", "noisier_heads", "noisier_lowest", "sampled_measured", "noisy_measured"},
                "subgrid_combined": {"gaussian", "gaussian_sampled", "gaussian_stopped", "gaussian_stopped_sampled", "solver_64", "solver_96",
                                     "sns", "sns_measured", "sns_stopped", "stopped_3", "sns_combined", "sns_combined_3",
                                     "stopped_combined", "stopped_combined_3", "sampled_combined", "sns_measured_3"},
                "combined": {"gaussian_forcing", "gaussian_trained", "thermalizer_trained", "sns_trained", "sns_trained_fixed",
                             "sns_trained_combined", "sns_forcing", "sns_combined", "solver_coarse", "solver_between"},
                "interval_combined": {"gaussian", "gaussian_sampled", "sns_fixed_1", "sns_fixed_1_measured", "sns_sampled_measured",
                                      "sns_combined_1", "sns_combined_3", "sns_sampled_combined",
                                      "sns_combined_3_bfloat16", "solver_coarse", "solver_48", "solver_64", "solver_96"},
                "interval": {"gaussian", "gaussian_bfloat16", "sns", "sns_above_0", "sns_fixed_1", "sns_fixed_1_bfloat16",
                             "sns_aligned_1", "gaussian_stopped", "sns_stopped", "sns_stopped_fixed_1",
                             "solver_coarse", "solver_48", "solver_64", "solver_96"},
                "interval_sampled": {"gaussian", "gaussian_sampled", "gaussian_sampled_bfloat16", "gaussian_white",
                                     "gaussian_stopped", "gaussian_stopped_sampled", "sns_fixed_1", "sns_sampled",
                                     "sns_sampled_sqrt_beta", "sns_sampled_measured", "sns_fixed_1_measured", "solver_coarse", "solver_48", "solver_64", "solver_96"}}
        for experiment, methods in rows.items():
            with tempfile.TemporaryDirectory() as folder:
                done = subprocess.run(
                    [str(SNS), "reproduce", str(SOURCE / f"yaml/kolmogorov/{experiment}.yaml"), f"run.output={folder}", "run.device=cpu",
                     "rollout.steps=40", "rollout.members=2", "rollout.floor_members=2", "evaluate.window=20", "evaluate.lags=10",
                     "figure.steps=[0, 20, 40]", "--until", "evaluate",
                     *(["--scale", "cpu"] if experiment == "combined" else []),
                     *(["rollout.ensemble=null"] if experiment in ("interval_sampled", "interval_combined") else [])], capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertNotIn("images/s", done.stderr)  # nothing is trained
                metrics = json.loads(next(Path(folder).rglob("evaluation/metrics.json")).read_text())  # some in figure.folder
            results = {method["name"]: method["results"] for method in metrics["methods"]}
            self.assertEqual(set(results), methods)
            for name, found in results.items():
                if name == "noisier_lowest":  # what the heads' levels are for
                    continue
                with self.subTest(name, experiment=experiment):
                    self.assertEqual(float(found["stable_fraction/all"]["value"]), 1)
                    limit = 2 if name == "acdm" else 1  # ACDM falls to its own, weaker flow at once
                    self.assertLess(float(found["spectrum_error/late"]["value"]), limit)
            if experiment == "subgrid_heads":  # level 3 is noise as strong as the samples'; a mean has none
                level = {method["name"]: sum(s * count for s, count in enumerate(counts)) / sum(counts) for method in metrics["methods"]
                         if (counts := method["levels"]["present"] if method.get("levels") else [])}
                self.assertLess(abs(level["sns_geometric_sampled"] - 3), 0.7)
                self.assertLess(level["sns_stopped"], 0.3)
                # Noise twice and four times as strong is that of levels 5 and 7; the lowest level does not hold the flow there.
                self.assertLess(abs(level["noisy_heads"] - 5), 0.7)
                self.assertLess(abs(level["noisier_heads"] - 7), 0.7)
                error = {name: float(results[name]["spectrum_error/late"]["value"]) for name in ("noisier_heads", "noisier_lowest")}
                self.assertLess(2 * error["noisier_heads"], error["noisier_lowest"])
            if experiment == "interval_sampled":  # twenty frames of two members: solver runs differ by about 0.1
                error = {name: float(found["spectrum_error/late"]["value"]) for name, found in results.items()}
                self.assertLess(error["gaussian_sampled"], 0.7 * error["gaussian"])
                self.assertLess(error["gaussian_stopped_sampled"], 0.7 * error["gaussian_stopped"])


class Keys(unittest.TestCase):
    """Every key that a configuration can have is named in the documents."""

    def test_documents_name_every_key(self):
        documents = " ".join((SOURCE / "docs" / name).read_text() for name in ("configuration.md", "training.md", "equations.md"))
        models = "\n".join(f"  {kind}_: {{kind: {kind}}}" for kind in ("gaussian", "sns", "thermalizer", "acdm"))
        methods = ("models:\n" + models + "\nrollout: {methods: {plain_: {emulator: gaussian_}, made_: {generator: acdm_},\n"
                   "  refined_: {emulator: gaussian_, refiner: sns_}, thermal_: {emulator: gaussian_, refiner: thermalizer_}}}\n")
        flows = {"kolmogorov": "grid: {points: 64}, viscosity: 1.0e-2, stepper: {dt: 0.02}",
                 "qg2layer": "grid: {points: 64, length: 1.0e6}, beta: 1.5e-11, bottom_drag: 5.787e-7, deformation_radius: 15000.0, "
                             "depth_ratio: 0.25, upper_depth: 500.0, mean_flow: [0.025, 0.0], stepper: {dt: 3600.0}"}
        for system, solver in flows.items():
            with self.subTest(system), tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "keys.yaml"
                file.write_text(f"solver: {{system: {system}, {solver}}}\ndatagen: {{trajectories: 4}}\n{methods}")
                result = subprocess.run([str(SNS), "check", str(file), "--resolved", "run.device=cpu"], capture_output=True, text=True)
                self.assertEqual(result.returncode, 0, result.stderr)
                keys = {key for key in re.findall(r"^ *(\w+):", result.stdout.split("\nsolver\n")[0], re.M) if not key.endswith("_")}
                self.assertGreater(len(keys), 100)
                self.assertEqual({key for key in keys if not re.search(rf"\b{key}\b", documents)}, set())

    def test_the_tables_of_keys_have_the_program_s_defaults(self):
        solvers = {"kolmogorov": "grid: {points: 64}, viscosity: 1.0e-2, stepper: {dt: 0.02}",
                   "qg2layer": "grid: {points: 64}, beta: 1.5e-11, bottom_drag: 5.787e-7, deformation_radius: 15000.0, depth_ratio: 0.25, "
                               "mean_flow: [0.025, 0.0], stepper: {dt: 3600.0}"}
        resolved = {system: self.resolved(f"solver: {{system: {system}, {solver}}}\nmodels: {{m: {{kind: sns}}}}\n"
                                          "rollout: {methods: {plain_: {generator: m}}}\noracle: {model: m}\nvideo: {fps: 24}\n")
                    for system, solver in solvers.items()}
        blocks = {"`run`": "run", "`datagen`": "datagen", "`simulate`": "simulate", "`rollout`": "rollout", "`evaluate`": "evaluate",
                  "`figure`": "figure", "`oracle`": "oracle", "`video`": "video", "of Kolmogorov flow": "solver", "of two layers": "solver",
                  "`solver`": "solver", "its `network`": "models.m.network", "its `diffusion`": "models.m.diffusion"}
        compared = 0
        for row in (SOURCE / "docs/configuration.md").read_text().splitlines():
            head, _, entries = row.removeprefix("| ").partition(" | ")
            if head not in blocks:
                continue
            system = "qg2layer" if head == "of two layers" else "kolmogorov"
            for entry in re.findall(r"`([\w.]+: [^`]+)`", entries.split("ACDM")[0]):
                for key, value in literals(entry):
                    path = f"{blocks[head]}.{key}"
                    if path not in resolved[system] or not is_literal(value):
                        continue
                    with self.subTest(path):
                        self.assertEqual(plain(resolved[system][path]), plain(value))
                    compared += 1
        self.assertGreater(compared, 90)

    def resolved(self, text):
        """The program's configuration of a file: value by dotted key."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "keys.yaml"
            file.write_text(text)
            result = subprocess.run([str(SNS), "check", str(file), "--resolved"], capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        values, above = {}, []
        for line in result.stdout.split("\nsolver\n")[0].splitlines():
            key, _, value = line.strip().partition(":")
            above = above[:(len(line) - len(line.lstrip())) // 2] + [key]
            values[".".join(above)] = value.strip()
        return values


def literals(entry):
    """(key, value) of "a: 1" or "a: {b: 1, c: {d: 2}}", keys dotted."""
    key, _, value = entry.partition(": ")
    if not value.startswith("{"):
        return [(key, value)]
    parts, depth, start = [], 0, 1
    for at, letter in enumerate(value):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(letter, 0)
        if (letter == "," and depth == 1) or depth == 0:
            parts.append(value[start:at].strip())
            start = at + 1
    return [(f"{key}.{below}", of) for part in parts for below, of in literals(part)]


def is_literal(value):
    return not re.search(r"<|\bpi\b", value)


def plain(value):
    """Numbers as numbers, lists of them, too."""
    try:
        return float(value)
    except ValueError:
        return [plain(part) for part in value.strip("[]").split(", ")] if value.startswith("[") else value.strip('"')


if __name__ == "__main__":
    unittest.main(verbosity=2)
