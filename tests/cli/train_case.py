"""What tests of trained models share: data of travelling waves, models trained on them, ways to interrupt and apply them."""
import shutil
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np
from sns_case import assert_same_training, wait_for_lines

PROGRAM = ""  # the tests' own files set it
POINTS, FRAMES = 16, 40


def write_dataset(folder, points=POINTS, seed=0, fields=("vorticity",)):
    """Travelling waves in the layout of `sns datagen`; each field runs behind the one before it."""
    rng = np.random.default_rng(seed)
    grid = 2 * np.pi * np.arange(points) / points
    for split, samples in (("train", 4), ("valid", 2), ("test", 2)):
        (folder / "data" / split).mkdir(parents=True)
        phase = rng.uniform(0, 6, samples)[:, None, None, None] + 0.1 * np.arange(FRAMES)[:, None, None]
        with h5py.File(folder / "data" / split / "waves_000000.h5", "w") as file:
            file.attrs["dataset_name"] = "waves"
            file["dimensions/time"] = 0.1 * np.arange(FRAMES)
            group = file.create_group("t0_fields")
            group.attrs["field_names"] = np.array(fields, dtype=object)
            for number, name in enumerate(fields):
                behind = phase - 0.7 * number
                group[name] = (2 * np.sin(grid[:, None] + behind) * np.cos(2 * grid[None, :] - behind)).astype("f4")
    (folder / "stats.yaml").write_text("std: {%s}\n" % ", ".join(f"{name}: 1.0" for name in fields))


class TrainCase(unittest.TestCase):
    """Models of CONFIG, trained without an interruption on data with FIELDS; ways to interrupt them."""
    POINTS = POINTS

    @classmethod
    def setUpClass(cls):
        cls.root = Path(tempfile.mkdtemp(prefix="sns-train-"))
        write_dataset(cls.root / "dataset", cls.POINTS, fields=cls.FIELDS)
        cls.trained = cls.root / "whole"
        done = cls.sns("train", cls.config(cls.trained), "--dataset", cls.root / "dataset")
        assert done.returncode == 0, done.stderr
        cls.first_output = done.stdout

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    @classmethod
    def config(cls, output):
        file = cls.root / f"{output.name}.yaml"
        file.write_text(cls.CONFIG % output)
        return file

    @classmethod
    def arguments(cls, *arguments):
        return [PROGRAM, *map(str, arguments)]

    @classmethod
    def sns(cls, *arguments):
        return subprocess.run(cls.arguments(*arguments), capture_output=True, text=True, cwd=cls.root, timeout=900)

    def fails(self, code, words, *arguments):
        """The program ends with `code` and one line on stderr that holds all `words`; returns the line."""
        done = self.sns(*arguments)
        errors = [line for line in done.stderr.splitlines() if line.startswith("sns: error")]
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(len(errors), 1, done.stderr)
        self.assertNotRegex(done.stderr, "terminate|Traceback")
        for word in words:
            self.assertIn(word, errors[0])

    def start(self, output, model="gaussian", after=45):
        """Starts training of a model and waits until it is past step `after`, and so past its first checkpoints."""
        process = subprocess.Popen(
            self.arguments("train", self.config(output), "--dataset", self.root / "dataset", "--model", model),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wait_for_lines(self, process, output / "models" / model / "metrics.jsonl", after)
        return process

    def finish_and_compare(self, output, model="gaussian"):
        done = self.sns("train", self.config(output), "--dataset", self.root / "dataset", "--model", model)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("resuming at step", done.stderr)
        whole, parts = self.trained / "models" / model, output / "models" / model
        best = [f"{folder.name}/ema.safetensors" for folder in whole.glob("best-*")]
        self.assertEqual(len(best), 1)
        assert_same_training(self, whole, parts, *best)

    def kill_and_compare(self, model, after=45):
        output = self.root / f"killed-{model}-{after}"
        process = self.start(output, model, after)
        process.kill()
        process.communicate(timeout=300)
        self.assertEqual(process.returncode, -signal.SIGKILL)
        self.finish_and_compare(output, model)

    def predict(self, model, array, *more, code=0, words=(), attributes=(), entry=""):
        with h5py.File(self.root / "input.h5", "w") as file:
            file["x"] = array
            file.attrs.update(attributes)
        arguments = ("predict", "--weights", model, "--input", "input.h5:/x" + ("@" + entry) * bool(entry), "-o", "out.h5", *more)
        if (self.root / "out.h5").exists():
            self.fails(2, ["out.h5 exists", "--overwrite"], *arguments)
            arguments += ("--overwrite",)
        if code:
            return self.fails(code, words, *arguments)
        done = self.sns(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        with h5py.File(self.root / "out.h5") as file:
            return {name: file[name][...] for name in file}

    def frames(self):
        with h5py.File(self.root / "dataset/data/test/waves_000000.h5") as file:
            return file["t0_fields/vorticity"][...]
