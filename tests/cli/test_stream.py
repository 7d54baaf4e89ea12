#!/usr/bin/env python3
"""Training on frames that the solver makes on the way, through the program: test_stream.py <sns> <source folder>."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np

from sns_case import assert_same_training, wait_for_lines

SNS, SOURCE = Path(sys.argv.pop(1)).resolve(), Path(sys.argv.pop(1)).resolve()
QUICKSTART = SOURCE / "yaml" / "kolmogorov" / "quickstart.yaml"
STREAM = {"data": "stream", "stream.members": 4, "stream.frames": 8, "stream.queue": 2, "stream.validation_members": 2}


def overrides(*models, **training):
    """key=value of streamed training for some models; further training keys with '__' for '.'."""
    keys = {**STREAM, **{key.replace("__", "."): value for key, value in training.items()}}
    return [f"models.{model}.training.{key}={value}" for model in models for key, value in keys.items()]


def arguments(verb, folder, *more):
    return [str(SNS), verb, str(QUICKSTART), "--scale", "smoke", f"run.output={folder}", "run.device=cpu", *map(str, more)]


def sns(verb, folder, *more):
    environment = {**os.environ, "SNS_PYTHON": sys.executable}
    return subprocess.run(arguments(verb, folder, *more), capture_output=True, text=True, env=environment)


class Stream(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.root = Path(cls.temporary.name)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def check(self, result, code=0):
        self.assertEqual(result.returncode, code, result.stderr)
        return result

    def test_reproduce_needs_no_data_set(self):
        folder, keys = self.root / "reproduce", overrides("gaussian", "sns")
        first = self.check(sns("reproduce", folder, *keys, "--until", "evaluate"))
        self.assertNotRegex(first.stdout, r"(?m)^dataset ")
        self.assertFalse((folder / "dataset").exists())
        self.assertTrue((folder / "evaluation/metrics.json").is_file())
        for model in ("gaussian", "sns"):
            card = (folder / "models" / model / "model_card.md").read_text()
            self.assertIn("rounds of 4 members, 8 frames", card)
            data_hash = re.search(r"data_hash: \W?(\w{64})", (folder / "models" / model / "config.yaml").read_text())[1]
            self.assertIn(data_hash, card)
            self.assertIn("viscosity", card.split("## Data")[1].split("## Command")[0])
        self.assertIn("were finished", sns("reproduce", folder, *keys, "--until", "evaluate").stdout)

        def due(*changes, keys=keys):
            table = self.check(sns("reproduce", folder, *keys, *changes, "--dry-run", "--until", "evaluate")).stdout
            return re.findall(r"(?m)^(\S+) +will run", table)

        judged = ["rollout/sns", "rollout/sns_floor2", "evaluate"]
        self.assertEqual(due("models.sns.training.stream.queue=1"), [])
        self.assertEqual(due("models.sns.training.stream.members=3"), ["train/sns", *judged])
        early = "models.sns.training.stream.spinup_steps=5"
        self.assertEqual(due(early), ["train/sns", *judged])
        self.assertEqual(due(keys=overrides("gaussian")), ["dataset", "train/sns", *judged])
        self.assertIn("train/gaussian", due("datagen.spinup_steps=41"))
        self.assertEqual(due("datagen.frames=25"), [])  # of the data set, which is not needed

    def test_samples_of_a_streamed_surrogate(self):
        """Their noise is measured on the validation frames, also when the training was finished before."""
        folder = self.root / "samples"
        keys = [*overrides("gaussian"), "rollout.methods.gaussian.sampled=true"]
        measured = folder / "models/gaussian/step_error.safetensors"
        self.check(sns("reproduce", folder, *keys, "--until", "rollout/gaussian"))
        first = measured.read_bytes()
        measured.unlink()
        again = self.check(sns("reproduce", folder, *keys, "--until", "rollout/gaussian"))
        self.assertNotIn("images/s", again.stderr)  # measured, not trained
        self.assertEqual(measured.read_bytes(), first)
        # The same file says which scales the surrogate does not predict.
        for scales in ("climatology", "empty"):
            held = [*keys, f"rollout.methods.gaussian.unpredicted_scales={scales}"]
            self.check(sns("reproduce", folder, *held, "--until", "rollout/gaussian"))
            with h5py.File(folder / "rollouts/gaussian.h5") as file:
                self.assertRegex(file.attrs["unpredicted_scales"], r"^vorticity: \d")
                self.assertEqual(file.attrs["step_error_sha256"], hashlib.sha256(first).hexdigest())
                first_shell = int(re.search(r"\d+", file.attrs["unpredicted_scales"])[0])
                frames = file["vorticity"][:, :].astype(float)
            power = np.abs(np.fft.fft2(frames / np.std(frames))) ** 2
            k = np.fft.fftfreq(frames.shape[-1], 1 / frames.shape[-1])
            in_shell = power[..., np.rint(np.hypot(k[:, None], k[None])) == first_shell].sum(-1)
            given, made = in_shell[:, 0], in_shell[:, 1:]
            if scales == "empty":
                self.assertLess(made.max(), 1e-6 * given.min())
            else:
                self.assertLess(np.ptp(made), 1e-3 * made.max())  # the same in all frames
        refused = self.check(sns("check", folder, *keys, "models.gaussian.training.stream.validation_members=0"), code=2)
        self.assertIn("validation_members: 0 leaves none", refused.stderr)
        # Finished weights need no training, unless it is asked for.
        shipped = ["models.gaussian.training.stream.validation_members=0", f"models.gaussian.weights={folder / 'models/gaussian'}"]
        refused = self.check(sns("check", folder, *keys, *shipped, "retrain=true"), code=2)
        self.assertIn("validation_members: 0 leaves none", refused.stderr)

    def test_two_runs_are_identical(self):
        keys = overrides("gaussian", steps=20, stream__queue=1)
        for name in ("one", "two"):
            self.check(sns("train", self.root / name, *keys, "--model", "gaussian"))
        assert_same_training(self, *(self.root / name / "models/gaussian" for name in ("one", "two")))

    def test_killed_resumes_bit_identically(self):
        keys = overrides("sns", steps=400, checkpoint_every=20, validate_every=50)
        whole, parts = self.root / "whole", self.root / "killed"
        self.check(sns("train", whole, *keys, "--model", "sns"))
        for lines in (45, 150):
            process = subprocess.Popen(arguments("train", parts, *keys, "--model", "sns"), stderr=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL)
            wait_for_lines(self, process, parts / "models/sns/metrics.jsonl", lines)
            process.kill()
            process.communicate(timeout=300)
        process = subprocess.Popen(arguments("train", parts, *keys, "--model", "sns"), stderr=subprocess.PIPE, text=True,
                                   stdout=subprocess.DEVNULL)
        wait_for_lines(self, process, parts / "models/sns/metrics.jsonl", 250)
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=300)[1]
        self.assertEqual(process.returncode, 75, errors)
        self.assertIn("checkpoint written", errors)
        last = self.check(sns("train", parts, *keys, "--model", "sns"))
        self.assertIn("resuming at step", last.stderr)
        assert_same_training(self, whole / "models/sns", parts / "models/sns")

    def test_bad_keys_are_one_clear_line(self):
        for change, message in {
            "models.gaussian.training.stream.members=0": "members",
            "models.gaussian.training.stream.frame=3": "frames",
            "models.gaussian.training.stream.spinup_steps=-1": "spinup_steps",
            "models.gaussian.training.stream.frames=2000000": "frames",
            "models.gaussian.training.data=files": "dataset",
            "datagen.coarsen.factor=3": "factor",
            "models.gaussian.network.forcing_wavenumber=3": "forcing_wavenumber is 3, but the flow's force has",
        }.items():
            with self.subTest(change):
                result = self.check(sns("train", self.root / "bad", *overrides("gaussian"), change, "--model", "gaussian"), 2)
                self.assertIn(message, result.stderr)
        result = sns("train", self.root / "bad", *overrides("gaussian"), "--model", "gaussian", "--dataset", self.root)
        self.assertIn("needs no data set", self.check(result, 2).stderr)

    def test_check_says_what_the_stream_holds(self):
        result = self.check(sns("check", self.root / "none", *overrides("gaussian")))
        # (queue + 2) x 4 members and 2 for validation, 8 frames of 16 x 16 float32 each
        self.assertIn("rounds of 4 members, 8 frames, up to 2 ahead; at most 147 kB of frames", result.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
