#!/usr/bin/env python3
"""Every surrogate and refiner of the comparison, trained and rolled out at smoke scale, for both systems:
test_methods.py <sns> <source>."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np

SNS, SOURCE = Path(sys.argv.pop(1)).resolve(), Path(sys.argv.pop(1)).resolve()
LEVELS = 20


def sns(*arguments):
    environment = {**os.environ, "SNS_PYTHON": sys.executable}
    return subprocess.run([str(SNS), *map(str, arguments)], capture_output=True, text=True, env=environment)


class Methods:
    """Tests of one system: `system` and the fields of its frames are given by the cases below."""

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.run_folder = Path(cls.temporary.name) / "run"
        cls.base = [SOURCE / "yaml" / cls.system / "methods.yaml", "--scale", "smoke", f"run.output={cls.run_folder}",
                    "rollout.steps=6", "rollout.members=2", "rollout.limit=1e30", "evaluate.window=3",
                    "evaluate.lags=3"]
        result = sns("reproduce", *cls.base, "--until", "evaluate")
        assert result.returncode == 0, result.stderr

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def rollout(self, name):
        with h5py.File(self.run_folder / "rollouts" / f"{name}.h5") as file:
            self.assertTrue(file.attrs["complete"])
            return file["evaluations"][:, 1:], file["levels"][:, 1:], dict(file.attrs)

    def test_work_of_each_method(self):
        work, levels, _ = self.rollout("gaussian")
        self.assertTrue((work == [1, 0, 0]).all())
        work, levels, attributes = self.rollout("acdm")
        self.assertTrue((work == [0, 0, LEVELS]).all())
        self.assertTrue((levels == -1).all())
        self.assertIn("weights_generator_sha256", attributes)
        work, levels, attributes = self.rollout("thermalizer")
        self.assertTrue((work[..., :2] == 1).all())
        expected = np.where(levels[..., 1] > 6, levels[..., 1] - 4, 0)
        np.testing.assert_array_equal(work[..., 2], expected)
        self.assertIn("weights_refiner_sha256", attributes)
        work, levels, _ = self.rollout("sns")
        np.testing.assert_array_equal(work[..., 2], levels.sum(axis=-1) + 2)
        work, levels, _ = self.rollout("sns_clean")
        np.testing.assert_array_equal(work[..., 2], levels[..., 1] + 1)
        work, levels, _ = self.rollout("sns_generated")
        self.assertTrue((work == [0, 1, LEVELS]).all())
        self.assertTrue((levels[..., 0] >= 0).all() and (levels[..., 1] == -1).all())

    def test_models_and_evaluation_are_left(self):
        for model, words in {"thermalizer": "thermalizer: estimates", "acdm": "conditional diffusion"}.items():
            folder = self.run_folder / "models" / model
            self.assertIn(f"kind: {model}", (folder / "config.yaml").read_text())
            self.assertIn(words, (folder / "model_card.md").read_text())
        self.assertTrue((self.run_folder / "evaluation/metrics.json").is_file())

    def test_predict_with_each_model(self):
        states = Path(self.temporary.name) / "states.h5"
        with h5py.File(self.run_folder / "rollouts/gaussian.h5") as source, h5py.File(states, "w") as file:
            states_of = [source[field][:, 0] for field in self.fields]
            file["states"] = states_of[0] if len(self.fields) == 1 else np.stack(states_of, axis=1)
            shape = file["states"].shape
        for model, arrays in {"thermalizer": {"refined", "levels", "used_levels", "evaluations"},
                              "acdm": {"next", "evaluations"}}.items():
            output = Path(self.temporary.name) / f"{model}.h5"
            result = sns("predict", "--weights", self.run_folder / "models" / model, "--input", f"{states}:/states",
                         "-o", output, "--start-level", "-1", "--stop-level", "-1")
            self.assertEqual(result.returncode, 0, result.stderr)
            with h5py.File(output) as file:
                self.assertEqual(set(file), arrays)
                main = file["refined" if model == "thermalizer" else "next"][:]
                self.assertEqual(main.shape, shape)
                self.assertTrue(np.isfinite(main).all())
                if model == "thermalizer":
                    np.testing.assert_array_equal(file["evaluations"][:], file["levels"][:, 1] + 1)

    def test_check_names_the_cost(self):
        result = sns("check", *self.base)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"models\.acdm +acdm, [\d,]+ parameters")
        self.assertIn(f"{LEVELS} denoiser evaluations", result.stdout)

    def test_mistakes_are_one_line(self):
        for override, message in {
            "rollout.methods.acdm.generator=gaussian": "not a model of kind acdm or sns",
            "rollout.methods.thermalizer.refiner=acdm": "not a model of kind sns or thermalizer",
            "rollout.methods.thermalizer.noise_limit=5": "must lie above start_level",
            "rollout.methods.acdm.emulator=gaussian": "a generator makes its frames alone",
            "rollout.methods.sns.gate=past": "either",
            "models.acdm.network.predicts=past": "both",
            "rollout.methods.sns.start=3": "start",
        }.items():
            with self.subTest(override):
                result = sns("reproduce", *self.base, override)
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertIn(message, result.stderr)
                self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)


class Kolmogorov(Methods, unittest.TestCase):
    system, fields = "kolmogorov", ["vorticity"]


class TwoLayer(Methods, unittest.TestCase):
    system, fields = "qg2layer", ["q_upper", "q_lower"]


if __name__ == "__main__":
    unittest.main(verbosity=2)
