#!/usr/bin/env python3
"""Two-layer flow from solver to report at smoke scale: test_reproduce_qg.py <sns> <source folder>."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np
from sns_case import has_one_size

SNS, SOURCE = Path(sys.argv.pop(1)).resolve(), Path(sys.argv.pop(1)).resolve()
QUICKSTART = SOURCE / "yaml" / "qg2layer" / "quickstart.yaml"
FIELDS = ["q_upper", "q_lower"]


def sns(*arguments):
    environment = {**os.environ, "SNS_PYTHON": sys.executable}
    return subprocess.run([str(SNS), *map(str, arguments)], capture_output=True, text=True, env=environment)


class ReproduceLayers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.run_folder = Path(cls.temporary.name) / "run"
        cls.result = sns("reproduce", QUICKSTART, "--scale", "smoke", f"run.output={cls.run_folder}")
        assert cls.result.returncode == 0, cls.result.stderr

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def test_models_know_each_field_s_standard_deviation(self):
        stats = (self.run_folder / "dataset" / "stats.yaml").read_text()
        block = re.search(r"^std:\n((?:  .*\n)+)", stats, re.M)[1]
        measured = [float(re.search(rf"{field}: (\S+)", block)[1]) for field in ("q_upper", "q_lower")]
        for name in ("gaussian", "sns"):
            config = (self.run_folder / "models" / name / "config.yaml").read_text()
            self.assertIn("field_channels: 2", config)
            line = next(l for l in config.splitlines() if l.startswith("field_std"))
            stds = [float(v) for v in line.split("[")[1].rstrip("]").split(",")]
            np.testing.assert_allclose(stds, measured, rtol=1e-6)
        self.assertGreater(measured[0], measured[1])  # the thin upper layer is the livelier one

    def test_rollouts_hold_both_fields_and_start_from_the_truth(self):
        truth = sorted((self.run_folder / "truth/data/test").glob("*.h5"))[0]
        for method in ("gaussian", "sns"):
            with h5py.File(truth) as t, h5py.File(self.run_folder / "rollouts" / f"{method}.h5") as r:
                self.assertTrue(r.attrs["complete"])
                for name in FIELDS:
                    self.assertEqual(r[name].shape, (2, 41, 16, 16))
                    self.assertEqual(r[name].attrs["units"], "s^-1")
                    np.testing.assert_allclose(r[name][0, 0], t[name][0, 0], rtol=1e-5, atol=1e-12)
                    # Eddy PV: the zonal mean was taken out.
                    self.assertLess(abs(t[name][0, 0].mean(axis=1)).max(), 1e-5 * t[name][0, 0].std())
                np.testing.assert_allclose(r["time"][:3], [0, 36000, 72000])

    def test_every_field_is_judged(self):
        metrics = json.loads((self.run_folder / "evaluation" / "metrics.json").read_text())
        self.assertEqual([f["name"] for f in metrics["truth"]["fields"]], FIELDS)
        results = metrics["methods"][0]["results"]
        for name in FIELDS:
            for key in ("spectrum_error_ensemble/late", "energy_ratio/early", "w1/all", "correlation_time_0.8/all"):
                self.assertIn(f"{key}/{name}", results)
        self.assertIn("stable_fraction/all", results)
        self.assertNotIn("stable_fraction/all/q_upper", results)
        with h5py.File(self.run_folder / "evaluation" / "curves.h5") as file:
            self.assertEqual(list(file.attrs["fields"]), FIELDS)
            for name in FIELDS:
                self.assertEqual(file[f"field/{name}/method/sns/snapshots"].shape, (4, 16, 16))
        rows = (self.run_folder / "evaluation" / "metrics.csv").read_text().splitlines()
        self.assertEqual(rows[0].split(",")[:4], ["method", "metric", "field", "period"])
        self.assertTrue(any(r.startswith("sns,spectrum_error,q_lower,late,") for r in rows))

    def test_figures_show_both_layers(self):
        for name in ("figure1", "dynamics_q_upper", "dynamics_q_lower", "stability"):
            self.assertTrue((self.run_folder / "figures" / f"{name}.png").is_file(), name)
        report = (self.run_folder / "report.html").read_text()
        self.assertIn("Potential vorticity of both layers", report)
        # Times are in days, though metrics.json has them in seconds.
        metrics = json.loads((self.run_folder / "evaluation" / "metrics.json").read_text())
        days = metrics["methods"][0]["results"]["correlation_time_0.8/all/q_upper"]["value"] / 86400
        row = re.search(r"<tr><td>[^<]*orrelation &gt; 0\.8[^<]*\(days\)</td>.*?</tr>", report).group(0)
        first = re.search(r'class="number">([\d,.]+)', row).group(1).replace(",", "")
        self.assertAlmostEqual(float(first) / days, 1, delta=0.01)
        for words in ("another one than the paper", "The networks see 16 x 16 points (paper: 64 x 64)",
                      "32 x 32 solver points (paper: 256 x 256)", "attention runs over the keys"):
            self.assertIn(words, report)

    def test_weights_of_another_number_of_fields_are_refused(self):
        weights = f"models.gaussian.weights={SOURCE / 'weights/kolmogorov-quickstart/gaussian'}"
        result = sns("reproduce", QUICKSTART, "--dry-run", weights, "models.gaussian.network.hidden=4",
                     f"run.output={self.temporary.name}/none")
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn("of 1 fields; here they have 2", result.stderr)

    def test_every_scale_is_valid(self):
        for file in (f.name for f in sorted(QUICKSTART.parent.glob("*.yaml")) if "models:" in f.read_text()):
            for scale in ([], ["--scale", "smoke"], ["--scale", "cpu"], ["--scale", "paper"]):
                with self.subTest(file=file, scale=scale):
                    result = sns("reproduce", QUICKSTART.with_name(file), *scale, "--dry-run",
                                 f"run.output={self.temporary.name}/none")
                    if has_one_size(QUICKSTART.with_name(file)) and scale:
                        self.assertEqual(result.returncode, 2, result.stderr)
                        self.assertIn("has one size (run.one_size)", result.stderr)
                        continue
                    self.assertEqual(result.returncode, 0, result.stderr)

    def stability(self, name, *arguments):
        """Attributes of the map of growth rates, with the solver's configuration."""
        maps = Path(self.temporary.name) / f"{name}.h5"
        result = sns("stability", QUICKSTART, *arguments, "-o", maps)
        self.assertEqual(result.returncode, 0, result.stderr)
        with h5py.File(maps) as file:
            return dict(file.attrs), file["provenance"].attrs["config_yaml"]

    def test_the_paper_scale_is_the_paper_s_jet(self):
        jet = {"domain_length": 1e6, "beta": 1e-11, "bottom_drag": 7e-8, "depth_ratio": 0.1,
               "deformation_radius": 15000, "mean_flow_upper": 0.025, "mean_flow_lower": 0}
        flow, solver = self.stability("paper", "--scale", "paper")
        self.assertEqual({name: flow[name] for name in jet}, jet)
        self.assertEqual(flow["grid_points"], 256)
        datagen = (QUICKSTART.parent / "scales" / "paper.yaml").read_text()
        value = lambda key, text: float(re.search(rf"\b{key}: ([-+.\de]+)", text).group(1))
        self.assertEqual(value("dt", solver) * value("steps_per_frame", datagen), 36000)
        self.assertEqual(256 / value("factor", datagen), 64)

    def test_the_cpu_scale_has_the_quickstart_s_flow(self):
        """The networks of the cpu scale were trained in the quickstart's data."""
        figure4 = str(QUICKSTART.with_name("figure4.yaml"))
        plans = [sns("check", file, *scale, f"run.output={self.temporary.name}/none", "models.gaussian.weights=null")
                 for file, scale in ((str(QUICKSTART), []), (figure4, ["--scale", "cpu"]))]
        frames = []
        for plan in plans:
            self.assertEqual(plan.returncode, 0, plan.stderr)
            frames.append(re.findall(r"^  (?:trajectories|each|frame) .*$", plan.stdout, re.M))
        self.assertGreaterEqual(len(frames[0]), 3)
        self.assertEqual(*frames)
        flows = [self.stability(name, *scale)[0] for name, scale in (("quickstart", []), ("cpu", ["--scale", "cpu"]))]
        for flow in flows:
            for key in ("created_utc", "uuid"):
                flow.pop(key, None)
        self.assertEqual(flows[0]["grid_points"], 64)
        for key, value in flows[0].items():
            np.testing.assert_array_equal(value, flows[1][key], key)

    def test_predict_takes_and_gives_both_fields(self):
        states = Path(self.temporary.name) / "states.h5"
        with h5py.File(self.run_folder / "rollouts/gaussian.h5") as r, h5py.File(states, "w") as file:
            frames = np.stack([r[name][0, :8] for name in FIELDS], axis=1)
            file["states"], file["pair"], file["long"] = frames, frames[6:8], frames[2]
        models = self.run_folder / "models"
        result = sns("predict", "--weights", models / "gaussian", "--input", f"{states}:/states", "-o", f"{states}.out")
        self.assertEqual(result.returncode, 0, result.stderr)
        with h5py.File(f"{states}.out") as file:
            self.assertEqual(file["next"].shape, (8, 2, 16, 16))
            step = np.abs(file["next"][:7] - frames[1:8]).max(axis=(0, 2, 3)) / frames.std(axis=(0, 2, 3))
            self.assertLess(step.max(), 0.02)  # the rollout's own step, but for its noise of 1e-4
        with h5py.File(states, "a") as file:
            for at, name in enumerate(FIELDS):
                file[name], file[f"pair_{name}"] = frames[:, at], frames[6:8, at]
        result = sns("predict", "--weights", models / "gaussian", "--input", f"{states}:/{FIELDS[0]},/{FIELDS[1]}", "-o",
                     f"{states}.apart")
        self.assertEqual(result.returncode, 0, result.stderr)
        with h5py.File(f"{states}.out") as one, h5py.File(f"{states}.apart") as apart:
            np.testing.assert_array_equal(one["next"], apart["next"])
        arguments = ["predict", "--weights", models / "sns", "--long", f"{states}:/long", "--input", f"{states}:/pair", "-o",
                     f"{states}.refined"]
        result = sns(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        with h5py.File(f"{states}.refined") as file:
            self.assertEqual(file["refined"].shape, (1, 2, 2, 16, 16))
            whole = file["refined"][:]
        arguments[6], arguments[8] = f"{states}:/pair_{FIELDS[0]},{states}:/pair_{FIELDS[1]}", f"{states}.refined_apart"
        result = sns(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        with h5py.File(f"{states}.refined_apart") as file:
            np.testing.assert_array_equal(file["refined"], whole)
        result = sns("predict", "--weights", models / "gaussian", "--input", f"{states}:/{FIELDS[0]},/pair_{FIELDS[1]}",
                     "-o", f"{states}.unequal")
        self.assertEqual(result.returncode, 1)
        self.assertIn("different numbers", result.stderr)

    def test_predict_with_a_lagged_model(self):
        folder = Path(self.temporary.name) / "lagged"
        result = sns("train", QUICKSTART.with_name("methods.yaml"), "--scale", "smoke", f"run.output={folder}", "--dataset",
                     self.run_folder / "dataset", "--model", "sns_lagged")
        self.assertEqual(result.returncode, 0, result.stderr)
        states = folder / "states.h5"
        with h5py.File(self.run_folder / "rollouts/gaussian.h5") as r, h5py.File(states, "w") as file:
            frames = np.stack([r[name][0, :8] for name in FIELDS], axis=1)
            file["pair"], file["long"] = frames[6:8], frames[2]
        arguments = ["predict", "--weights", folder / "models/sns_lagged", "--input", f"{states}:/pair", "-o",
                     folder / "refined.h5"]
        result = sns(*arguments)
        self.assertEqual(result.returncode, 2)
        self.assertIn("--lag 1 to 7", result.stderr)
        result = sns(*arguments, "--long", f"{states}:/long", "--lag", "5")
        self.assertEqual(result.returncode, 0, result.stderr)
        with h5py.File(folder / "refined.h5") as file:
            self.assertEqual(file["refined"].shape, (1, 2, 2, 16, 16))


if __name__ == "__main__":
    unittest.main(verbosity=2)
