"""The paper's sizes on this machine: counts of parameters, and a little of everything that is run at them.

The data are 64 frames of the full solver, the networks are the paper's, trained for one step of one sample; a rollout is one
step of one member. Numbers are not looked at beyond being finite: what is shown is that nothing is too large and that
every part fits the next.
"""

import json
import re
import shutil
import struct
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np

from sns_case import SOURCE, sns

COUNTS = {"kolmogorov": {"gaussian": 45_820_801, "thermalizer": 53_286_817, "acdm": 51_534_722, "sns": 73_727_522,
                         "sns_clean": 73_727_522, "sns_uniform": 73_727_522, "sns_v": 73_727_522, "sns_uniform_clean": 73_727_522},
          "qg2layer": {"gaussian": 45_821_954, "thermalizer": 53_287_970, "acdm": 51_535_874, "sns": 238_509_540,
                       "sns_clean": 238_509_540, "sns_uniform": 238_509_540, "sns_uniform_clean": 238_509_540,
                       "sns_lagged": 245_209_316}}
LEVEL = 6  # that the heads are made to say: above the threshold of the two-layer experiment


class Check(unittest.TestCase):
    """--scale paper gives every network the size of the paper, whatever the file's own; `check` says what it takes."""

    def check(self, name, models):
        result = sns("check", SOURCE / "yaml" / f"{name}.yaml", "--scale", "paper")
        self.assertEqual(result.returncode, 0, result.stderr)
        found = dict(re.findall(r"models\.(\w+) +\w+, ([\d,]+) parameters", result.stdout))
        self.assertLessEqual(set(models), set(found))
        counts = COUNTS[name.split("/")[0]]
        for model, count in found.items():
            self.assertEqual(int(count.replace(",", "")), counts[model], model)
        return result.stdout

    def test_methods_and_variants(self):
        for name, models in (("kolmogorov/methods", ("gaussian", "thermalizer", "acdm", "sns", "sns_clean")),
                             ("kolmogorov/generation", ("gaussian", "sns", "sns_uniform", "sns_v", "sns_uniform_clean")),
                             ("qg2layer/methods", ("gaussian", "thermalizer", "acdm", "sns", "sns_clean", "sns_lagged")),
                             ("qg2layer/generation", ("gaussian", "sns", "sns_clean", "sns_uniform", "sns_uniform_clean")),
                             ("qg2layer/figure9", ("gaussian", "sns_lagged"))):
            with self.subTest(name):
                self.check(name, models)

    def test_memory_disk_and_time_are_printed(self):
        for name, grid in (("kolmogorov/figure1", "512 (x) x 512 (y)"), ("qg2layer/figure4", "256 (y) x 256 (x)")):
            with self.subTest(name):
                text = self.check(name, ("gaussian", "sns"))
                self.assertIn(f"grid             {grid}", text)
                data = text.split("data set\n")[1].split("experiment\n")[0]
                for line in (r"disk +[\d.]+ GB", r"memory +[\d.]+ MB of frames .* MB for the solver", r"time +.*\d:\d\d at"):
                    self.assertRegex(data, line)
                self.assertRegex(text, r"models\.sns +sns, [\d,]+ parameters\n")
                self.assertRegex(text, r"training +500000 steps of 64 samples, (more than )?[\d.]+ GB of tensors beside the frames, about \d+ days on")
                self.assertRegex(text, r"rollout\.sns .* on this \w+, [\d.]+ GB on disk")
                self.assertRegex(text, r"truth +\d+ solver runs of \d+ frames, about [\d.]+ \w+, [\d.]+ GB on disk")


def make_heads_say(level, file):
    """Overwrites the last layer of the noise heads in a safetensors file: an untrained head names any of 1000 levels."""
    with open(file, "r+b") as stream:
        size = struct.unpack("<Q", stream.read(8))[0]
        for name, tensor in json.loads(stream.read(size)).items():
            if not re.match(r"regressor_block_\d\.linear2\.", name):
                continue
            values = np.zeros(tensor["shape"], np.float32)
            if name.endswith("bias"):
                values[level] = 1
            stream.seek(8 + size + tensor["data_offsets"][0])
            stream.write(values.tobytes())


class Steps(unittest.TestCase):
    """One training step and one rollout step with the paper's networks, from 64 frames of the paper's solver."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="sns-paper-"))  # gigabytes: on a disk
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def sns(self, verb, file, *overrides):
        result = sns(verb, file, f"run.output={self.folder}", "run.device=cpu", *overrides)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def one_step(self, file, fields):
        """Data set, models gaussian and sns, rollout of sns; returns denoiser evaluations of the step."""
        training = [f"models.{model}.training.{key}" for model in ("gaussian", "sns")
                    for key in ("steps=1", "batch=1", "validate_every=1", "validation_samples=1", "checkpoint_every=1", "keep_checkpoints=1")]
        overrides = [*training, "datagen.trajectories=3", "datagen.frames=64", "datagen.spinup_steps=8",
                     "datagen.split={train: 0.34, valid: 0.33, test: 0.33}", "rollout.members=1", "rollout.floor_members=1",
                     "rollout.steps=1", "figure.steps=null"]
        # A checkpoint of the two-layer SNS has 4 GB, and two exist while the second is written: what is done with goes, for small disks.
        for model in ("gaussian", "sns"):
            self.sns("reproduce", file, *overrides, "--until", f"train/{model}")
            shutil.rmtree(self.folder / "models" / model / "checkpoints")
        for path in self.folder.glob("dataset/data/*/*.h5"):
            with h5py.File(path) as data:
                for field in fields:
                    frames = data[f"t0_fields/{field}"]
                    self.assertEqual(frames.shape, (1, 64, 64, 64))
                    self.assertTrue(np.isfinite(frames[...]).all())
        for name in ("model", "ema"):
            make_heads_say(LEVEL, self.folder / "models" / "sns" / f"{name}.safetensors")
        self.sns("reproduce", file, *overrides, "--until", "rollout/sns")
        with h5py.File(self.folder / "rollouts" / "sns.h5") as rollout:
            self.assertEqual(rollout["levels"][0, 1].tolist(), [LEVEL, LEVEL])
            for field in fields:
                self.assertTrue(np.isfinite(rollout[field][...]).all())
            surrogate, heads, denoiser = rollout["evaluations"][0, 1]
        self.assertEqual((surrogate, heads), (1, 1))
        return denoiser

    def test_kolmogorov(self):
        file = self.folder / "steps.yaml"
        file.write_text(f"base: {SOURCE / 'yaml/kolmogorov/figure1.yaml'}\nmodels: {{thermalizer: null, acdm: null}}\n"
                        "rollout: {methods: {thermalizer: null, acdm: null}}\nfigure: {folder: steps}\n")
        # The reference's rule starts one level lower.
        self.assertEqual(self.one_step(file, ["vorticity"]), 2 * LEVEL)

    def test_two_layers(self):
        self.assertEqual(self.one_step(SOURCE / "yaml/qg2layer/figure4.yaml", ["q_upper", "q_lower"]), 2 * LEVEL)
