#!/usr/bin/env python3
"""Combined estimates of a refiner and a surrogate, through the program: test_combined.py <sns> <source folder>."""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np
from sns_case import run_tests

SNS, SOURCE = Path(sys.argv.pop(1)).resolve(), Path(sys.argv.pop(1)).resolve()
SHIPPED = SOURCE / "yaml/kolmogorov/interval_combined.yaml"


def sns(*arguments):
    return subprocess.run([str(SNS), *map(str, arguments)], capture_output=True, text=True)


def frames(file):
    with h5py.File(file) as opened:
        return opened["vorticity"][...], dict(opened.attrs)


class OfARun(unittest.TestCase):
    """Networks that are trained in the run: what they make together is measured on its data set."""

    METHOD = "rollout.methods.sns={emulator: gaussian, refiner: sns, path: fixed_past, rule: inclusive, fixed_levels: [0, 2], estimate: combined}"

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = Path(temporary.name)

    def roll_out(self, *overrides, folder="run"):
        return sns("reproduce", SOURCE / "yaml/kolmogorov/quickstart.yaml", "--scale", "smoke", "run.device=cpu", "retrain=true",
                   f"run.output={self.root / folder}", "rollout.methods.sns_floor2=null", "rollout.steps=6", "rollout.members=2",
                   "--until", "rollout", *overrides)

    def combined(self, folder="run"):
        return list((self.root / folder / "models/sns").glob("combined_*.safetensors"))

    def test_measured_when_it_is_needed(self):
        done = self.roll_out(self.METHOD)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("combined estimates of sns and gaussian are measured", done.stderr)
        file, = self.combined()
        first, attributes = frames(self.root / "run/rollouts/sns.h5")
        self.assertTrue(np.isfinite(first).all())
        written = file.read_bytes()
        # calibrate measures the same on the run's data set, with as many threads, which sums depend on; --dry-run writes nothing.
        file.unlink()
        levels = re.search(r"max_level: (\d+)", (self.root / "run/config.yaml").read_text())
        threads = re.search(r"threads: (\d+)", (self.root / "run/config.yaml").read_text())[1]
        pair = ("calibrate", "--threads", threads, "--weights", self.root / "run/models/sns", "--surrogate", self.root / "run/models/gaussian",
                "--data", self.root / "run/dataset", *(("--highest-level", levels[1]) if levels else ()))
        dry = sns(*pair, "--dry-run")
        self.assertEqual(dry.returncode, 0, dry.stderr)
        self.assertEqual(self.combined(), [])
        rows = re.findall(r"^ +(\d+) +(0\.\d{4}) +([\d.]+) +([\d.]+) +([\d.]+)$", dry.stdout, re.M)
        self.assertGreater(len(rows), 1)
        for _, _, network, together, surrogate in rows:
            self.assertLessEqual(float(together), 1.02 * min(float(network), float(surrogate)))
        done = sns(*pair)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(file.read_bytes(), written)
        # Rolled out again it is read, not measured: the same frames.
        (self.root / "run/rollouts/sns.h5").unlink()
        again = self.roll_out(self.METHOD)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertNotIn("are measured", again.stderr)
        self.assertTrue((frames(self.root / "run/rollouts/sns.h5")[0] == first).all())

    def test_measured_once_for_methods_side_by_side(self):
        other = self.METHOD.replace("methods.sns=", "methods.again=").replace("[0, 2]", "[0, 1]")
        done = self.roll_out(self.METHOD, other, "--jobs", "2", "rollout.precision=tf32", "rollout.channels_last=true")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((done.stdout + done.stderr).count("combined estimates of sns and gaussian are measured"), 1)
        file, = self.combined()
        for method in ("sns", "again"):
            self.assertEqual(frames(self.root / f"run/rollouts/{method}.h5")[1]["combined_estimate_sha256"],
                             hashlib.sha256(file.read_bytes()).hexdigest())

    def test_a_member_alone_has_the_frames_that_it_has_among_others(self):
        overrides = (self.METHOD, "rollout.deterministic=true")
        done = self.roll_out(*overrides)
        self.assertEqual(done.returncode, 0, done.stderr)
        together, _ = frames(self.root / "run/rollouts/sns.h5")
        shutil.copytree(self.root / "run", self.root / "alone")
        done = self.roll_out(*overrides, "rollout.members=[1]", folder="alone")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((frames(self.root / "alone/rollouts/sns.h5")[0][0] == together[1]).all())

    def test_what_it_is_not_for(self):
        for change, said in (("path: A", "path A denoises the past one"), ("path: C", "path C denoises the past one"),
                             ("reverse_std: sqrt_beta", "leave reverse_std out"), ("rule: exclusive", "give rule: inclusive"),
                             ("estimate: both", "network, combined")):
            with self.subTest(change):
                keys = {**dict(pair.split(": ") for pair in ("emulator: gaussian", "refiner: sns", "path: fixed_past", "estimate: combined")),
                        **dict([change.split(": ")])}
                method = "rollout.methods.sns={" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}"
                done = self.roll_out(method)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(said, done.stderr)
        streams = [f"models.{model}.training.data=stream" for model in ("sns", "gaussian")]
        done = self.roll_out(self.METHOD, *streams, "--dry-run")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("rollout.methods.sns.estimate: combined is measured on the frames of a data set, and this run makes none", done.stderr)
        unvalidated = ("datagen.split={train: 0.9, valid: 0, test: 0.1}", "rollout.methods.gaussian.sampled=true")
        for more, key in (((self.METHOD,), "sns.estimate"), (("rollout.methods.sns=null",), "gaussian.sampled")):
            done = sns("check", SOURCE / "yaml/kolmogorov/quickstart.yaml", "--scale", "smoke", "run.device=cpu", "retrain=true", *unvalidated[:1],
                       *more, *(unvalidated[1:] if "gaussian" in key else ()))
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(f"rollout.methods.{key}: what it needs is measured on validation frames", done.stderr)
        done = sns("check", SOURCE / "yaml/kolmogorov/quickstart.yaml", "--scale", "smoke", "run.device=cpu", "retrain=true", self.METHOD, *streams)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("this run makes none", done.stderr)
        done = self.roll_out(self.METHOD, streams[1], "--dry-run")  # the refiner's training makes one
        self.assertEqual(done.returncode, 0, done.stderr)
        # On a surrogate alone the key has no effect, and that is said.
        done = self.roll_out("rollout.methods.gaussian.estimate=combined", "--dry-run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("estimate (no effect on a surrogate alone)", done.stderr)


class Shipped(unittest.TestCase):
    """yaml/kolmogorov/interval_combined.yaml: what is shipped of both networks, and of the two together."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = Path(temporary.name)
        self.weights = self.root / "sns"
        shutil.copytree(SOURCE / "weights/kolmogorov-interval/sns", self.weights)
        self.surrogate = SOURCE / "weights/kolmogorov-interval/gaussian"

    def test_it_has_to_be_there(self):
        for name in ("SHA256SUMS", *(file.name for file in self.weights.glob("combined_*"))):
            (self.weights / name).unlink()
        done = sns("check", SHIPPED, "run.device=cpu", f"models.sns.weights={self.weights}")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("rollout.methods.sns_combined_1.estimate", done.stderr)
        self.assertRegex(done.stderr, rf"sns calibrate --weights {self.weights} --surrogate \S+gaussian --data")

    def test_measured_anew_it_makes_its_rollouts_anew_and_no_others(self):
        size = ["run.device=cpu", f"run.output={self.root / 'run'}", "rollout.steps=3", "rollout.members=1", "rollout.floor_members=1",
                "rollout.ensemble=null", "evaluate.window=1", "evaluate.lags=1", "figure.steps=[0, 3]", f"models.sns.weights={self.weights}"]
        methods = ("sns_combined_1", "sns_fixed_1")

        def roll_out():
            done = sns("rollout", SHIPPED, *(word for method in methods for word in ("--method", method)), *size)
            self.assertEqual(done.returncode, 0, done.stderr)
            return {method: frames(self.root / f"run/rollouts/{method}.h5") for method in methods}, done.stderr

        first, _ = roll_out()
        file, = self.weights.glob("combined_*")
        self.assertIn("combined_estimate_sha256", first["sns_combined_1"][1])
        data = self.data()
        before = file.read_bytes()
        measured = sns("calibrate", "--weights", self.weights, "--surrogate", self.surrogate, "--data", data, "--highest-level", 8)
        self.assertEqual(measured.returncode, 0, measured.stderr)
        self.assertNotEqual(file.read_bytes(), before)
        second, said = roll_out()
        self.assertIn("rollout/sns_combined_1", said)
        self.assertNotIn("rollout/sns_fixed_1 ", said)
        self.assertTrue((first["sns_fixed_1"][0] == second["sns_fixed_1"][0]).all())
        self.assertFalse((first["sns_combined_1"][0] == second["sns_combined_1"][0]).all())

    def test_trained_anew_it_is_measured_anew(self):
        size = ["run.device=cpu", f"run.output={self.root / 'run'}", "retrain=true", "datagen.trajectories=10", "datagen.frames=5",
                "rollout.steps=3", "rollout.members=1", "rollout.floor_members=1", "rollout.ensemble=null", "evaluate.window=1",
                "evaluate.lags=1", "figure.steps=[0, 3]", "models.gaussian.training.steps=2", "models.sns.training.steps=2"]
        done = sns("reproduce", SHIPPED, "--until", "rollout", *size)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("combined estimates of sns and gaussian are measured", done.stderr)
        file, = (self.root / "run/models/sns").glob("combined_*")
        self.assertNotEqual(file.name, next(self.weights.glob("combined_*")).name)

    def test_networks_that_do_not_fit_together(self):
        done = sns("calibrate", "--weights", self.weights, "--surrogate", SOURCE / "weights/kolmogorov-subgrid/gaussian", "--data", self.data())
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("they have nothing to combine", done.stderr)

    def data(self):
        made = sns("datagen", SHIPPED, "run.device=cpu", "datagen.trajectories=10", "datagen.frames=3", "-o", self.root / "data")
        self.assertEqual(made.returncode, 0, made.stderr)
        return self.root / "data"

    def test_of_an_sns_only(self):
        done = sns("calibrate", "--weights", self.surrogate, "--surrogate", self.surrogate, "--data", self.root)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("--surrogate is for an SNS", done.stderr)


run_tests()
