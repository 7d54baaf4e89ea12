"""`sns train` and `sns predict` as a user meets them. Usage: test_train.py PATH/TO/sns [CLASS ...]

On the CPU results are a function of data, configuration, seed and number of threads; most tests here run with one.
"""
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np
from sns_case import (assert_same_training, curve, digest, fill_disk, mount_small_disk, run_tests, wait_for_lines,
                      wait_until_it_handles)

SNS = ""
POINTS, FRAMES = 16, 40

CONFIG = """
run: {name: t, seed: 5, output: %s, device: cpu, threads: 1}
models:
  gaussian:
    kind: gaussian
    network: {hidden: 2, multipliers: [1, 2], blocks: 1}
    training: {steps: 400, batch: 4, learning_rate: 2.0e-3, schedule: {name: cosine}, validate_every: 50,
               checkpoint_every: 20, validation_samples: 8, rollout: {max_length: 2, steps_per_length: 100}}
  sns:
    kind: sns
    network: {hidden: 2, multipliers: [1, 2], blocks: 1, embedding: 8}
    diffusion: {levels: 20}
    training: {steps: 300, batch: 4, learning_rate: 2.0e-3, validate_every: 50, checkpoint_every: 20,
               validation_samples: 8}
  thermalizer:
    kind: thermalizer
    network: {hidden: 2, multipliers: [1, 2], blocks: 1}
    diffusion: {levels: 20}
    training: {steps: 300, batch: 4, learning_rate: 2.0e-3, validate_every: 50, checkpoint_every: 20,
               validation_samples: 8}
  acdm:
    kind: acdm
    network: {hidden: 2, multipliers: [1, 2], blocks: 1, embedding: 8}
    diffusion: {levels: 20, schedule: linear}
    training: {steps: 300, batch: 4, learning_rate: 2.0e-3, validate_every: 50, checkpoint_every: 20,
               validation_samples: 8}
"""
MODELS = ("gaussian", "sns", "thermalizer", "acdm")

# Ways of training SNS that carry or draw more, for data of two fields.
TWO_FIELDS = """
run: {name: t, seed: 5, output: %s, device: cpu, threads: 1}
models:
  lagged:
    kind: sns
    network: {hidden: 2, multipliers: [1, 2], blocks: 1, embedding: 8, lag: {window: 6, embedding: 8}}
    diffusion: {levels: 20}
    training: {steps: 300, batch: 4, learning_rate: 2.0e-3, validate_every: 50, checkpoint_every: 20,
               validation_samples: 8}
  clean_past:
    kind: sns
    network: {hidden: 2, multipliers: [1, 2], blocks: 1, embedding: 8}
    diffusion: {levels: 20}
    training: {steps: 300, batch: 4, learning_rate: 2.0e-3, validate_every: 50, checkpoint_every: 20,
               validation_samples: 8, levels: {past: clean}}
"""

# One stage after the other, over steps of several batches, beside a rate that rises first.
STAGES = """
run: {name: t, seed: 5, output: %s, device: cpu, threads: 1}
models:
  gaussian:
    kind: gaussian
    network: {hidden: 2, multipliers: [1, 2], blocks: 1}
    training: {steps: 200, batch: 2, accumulate: 2, learning_rate: 2.0e-3, validate_every: 50, checkpoint_every: 20,
               schedule: {name: cosine, warmup: 30}, validation_samples: 8, rollout: {max_length: 3, steps_per_length: 60}}
"""

# Large enough that both threads have work in every layer.
TWO_THREADS = """
run: {name: t, seed: 5, output: %s, device: cpu, threads: 2}
models:
  gaussian:
    kind: gaussian
    network: {hidden: 8, multipliers: [1, 2], blocks: 1}
    training: {steps: 60, batch: 8, learning_rate: 2.0e-3, validate_every: 50, checkpoint_every: 20, validation_samples: 8}
  sns:
    kind: sns
    network: {hidden: 8, multipliers: [1, 2], blocks: 1, embedding: 8}
    diffusion: {levels: 20}
    training: {steps: 60, batch: 8, learning_rate: 2.0e-3, validate_every: 50, checkpoint_every: 20, validation_samples: 8}
"""


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
        return [SNS, *map(str, arguments)]

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


class TrainTwoFields(TrainCase):
    CONFIG, FIELDS = TWO_FIELDS, ("q_upper", "q_lower")

    def test_killed_resumes_bit_identically(self):
        for model in ("lagged", "clean_past"):
            with self.subTest(model):
                self.kill_and_compare(model)
                self.assertIn("field_channels: 2", (self.trained / "models" / model / "config.yaml").read_text())


class TrainInStages(TrainCase):
    CONFIG, FIELDS = STAGES, ("vorticity",)

    def test_killed_in_each_stage_resumes_bit_identically(self):
        # The loss is the sum over a stage's steps, of which the curve has the mean too.
        lengths = [round(entry["loss"] / entry["mse"]) for entry in curve(self.trained / "models/gaussian") if "loss" in entry]
        self.assertEqual(lengths, [1 + min(step // 60, 2) for step in range(200)])
        for after in (25, 65, 90, 130):  # while the rate rises, in the second stage before and after a checkpoint, in the last
            with self.subTest(after=after):
                self.kill_and_compare("gaussian", after)


class TrainOnTwoThreads(TrainCase):
    CONFIG, FIELDS, POINTS = TWO_THREADS, ("vorticity",), 32

    def test_again_and_killed(self):
        again = self.root / "again"
        done = self.sns("train", self.config(again), "--dataset", self.root / "dataset")
        self.assertEqual(done.returncode, 0, done.stderr)
        for model in ("gaussian", "sns"):
            with self.subTest(model):
                assert_same_training(self, self.trained / "models" / model, again / "models" / model)
                self.kill_and_compare(model)


class Train(TrainCase):
    CONFIG, FIELDS = CONFIG, ("vorticity",)

    def test_a_disk_that_fills_up(self):
        disk = self.root / "disk"
        mount_small_disk(self, disk, "6m")
        process = self.start(disk / "run")
        filler = fill_disk(disk)
        _, err = process.communicate(timeout=600)
        self.assertEqual(process.returncode, 1, err)
        errors = [line for line in err.splitlines() if line.startswith("sns: error")]
        self.assertEqual(len(errors), 1, err)
        self.assertIn(str(disk), errors[0])
        self.assertIn("No space left on device", errors[0])
        filler.unlink()
        self.finish_and_compare(disk / "run")

    def test_stopped_by_sigterm_resumes_bit_identically(self):
        output = self.root / "terminated"
        process = self.start(output)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 75, errors)
        self.assertIn("checkpoint written", errors)
        self.finish_and_compare(output)

    def test_killed_resumes_bit_identically(self):
        for model in MODELS:
            with self.subTest(model):
                self.kill_and_compare(model)

    def test_another_number_of_threads_is_warned_of(self):
        output = self.root / "threads"
        arguments = ("train", self.config(output), "--dataset", self.root / "dataset", "--model", "gaussian")
        self.assertEqual(self.sns(*arguments, "models.gaussian.training.schedule.name=constant",
                                  "models.gaussian.training.steps=20").returncode, 0)
        done = self.sns(*arguments, "models.gaussian.training.schedule.name=constant", "models.gaussian.training.steps=40",
                        "run.threads=2")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("run.threads is 2, it was 1 until step 20", done.stderr)
        done = self.sns(*arguments, "models.gaussian.training.schedule.name=constant", "models.gaussian.training.steps=60",
                        "run.threads=2")
        self.assertNotIn("run.threads is", done.stderr)

    def test_a_terminal_shows_loss_rate_and_time_left(self):
        shown, terminal = pty.openpty()
        self.addCleanup(os.close, shown)
        process = subprocess.Popen(
            self.arguments("train", self.config(self.root / "shown"), "--dataset", self.root / "dataset", "--model", "gaussian"),
            stdout=subprocess.DEVNULL, stderr=terminal, env={**os.environ, "TERM": "xterm"})
        os.close(terminal)
        text = ""
        try:
            while part := os.read(shown, 4096):
                text += part.decode()
        except OSError:  # the other end is closed
            pass
        self.assertEqual(process.wait(timeout=300), 0, text)
        self.assertRegex(text, r"train gaussian: \d+/1600 images \(\d+ %\), [\d.e+]+ images/s, [\d:]+( s)? left, loss [\d.]+")

    def test_a_surrogate_that_learns_nothing_is_warned_of(self):
        learned = self.sns("train", self.config(self.root / "idle"), "--dataset", self.root / "dataset", "--model", "gaussian",
                           "models.gaussian.training.learning_rate=1e-12", "models.gaussian.training.steps=40",
                           "models.gaussian.training.validate_every=10")
        self.assertEqual(learned.returncode, 0, learned.stderr)
        self.assertEqual(len(re.findall(r"warning.*at step 20 .* that of a frame that does not change", learned.stderr)), 1,
                         learned.stderr)

    def test_noise_heads_that_have_not_learned_are_warned_of(self):
        def warned(output, *arguments):
            done = self.sns("train", self.config(self.root / output), "--dataset", self.root / "dataset", "--model", "sns",
                            "models.sns.training.steps=20", *arguments)
            self.assertEqual(done.returncode, 0, done.stderr)
            return re.findall(r"warning.*has hardly learned: (ce_\w+) is ([\d.]+), and ([\d.]+) for", done.stderr)
        heads = warned("blind")
        self.assertEqual([head for head, _, _ in heads], ["ce_past", "ce_present"])
        for _, _, blind in heads:  # twenty levels, all alike
            self.assertAlmostEqual(float(blind), np.log(20), delta=0.01)
        self.assertEqual(warned("one_level", "models.sns.training.levels.sampling=low", "models.sns.training.levels.max_level=0"), [])

    def test_time_budget_stops_with_75(self):
        done = self.sns("train", self.config(self.root / "budget"), "--dataset", self.root / "dataset", "--time-budget",
                        "0.001")
        self.assertEqual(done.returncode, 75, done.stderr)

    def test_finished_models_are_not_trained_again(self):
        before = digest(self.trained / "models/sns/model.safetensors")
        done = self.sns("train", self.config(self.trained), "--dataset", self.root / "dataset")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("images/s", done.stdout)
        self.assertEqual(before, digest(self.trained / "models/sns/model.safetensors"))

    def test_results_are_complete(self):
        self.assertIn("ratio", self.first_output)
        for name in MODELS:
            folder = self.trained / "models" / name
            for file in ("model.safetensors", "ema.safetensors", "config.yaml", "model_card.md", "metrics.jsonl"):
                self.assertTrue((folder / file).exists(), f"{name}/{file}")
            self.assertEqual((folder / "step_error.safetensors").exists(), name == "gaussian")
            card = (folder / "model_card.md").read_text()
            for word in ("data hash", "licence", "seed", "parameters", "sns train", "Validation"):
                self.assertIn(word, card)
        entry = curve(self.trained / "models/sns")[0]
        self.assertEqual(set(entry), {"step", "loss", "mse", "ce_past", "ce_present", "lr", "grad_norm"})

    def test_calibrate_measures_what_training_has_measured(self):
        folder, data = self.root / "calibrated", self.root / "dataset"
        shutil.copytree(self.trained / "models/gaussian", folder)
        (folder / "step_error.safetensors").unlink()
        done = self.sns("calibrate", "--weights", folder, "--data", data, "--threads", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(digest(folder / "step_error.safetensors"),
                         digest(self.trained / "models/gaussian/step_error.safetensors"))
        rows = re.findall(r"^ +(\d+) +[\d.e+-]+ +[\d.e+-]+ +([\d.e+-]+) ", done.stdout, re.M)
        self.assertEqual([int(k) for k, _ in rows], list(range(POINTS // 2 + 1)))
        whole = float(re.search(r"error of a step ([\d.]+) standard deviations", done.stdout).group(1))
        self.assertLess(sum(float(e) ** 2 for _, e in rows), 1.02 * whole**2)  # the corners beyond are not in the rows
        self.assertGreater(sum(float(e) ** 2 for _, e in rows), 0.5 * whole**2)
        before = digest(folder / "step_error.safetensors")
        self.fails(2, ["kind acdm", "surrogates", "refiners"], "calibrate", "--weights", self.trained / "models/acdm", "--data", data)
        self.fails(1, ["does not exist"], "calibrate", "--weights", folder, "--data", self.root / "nothing")
        self.assertEqual(before, digest(folder / "step_error.safetensors"))

    def test_calibrate_measures_refiners(self):
        data = self.root / "dataset"
        for name in ("sns", "thermalizer"):
            with self.subTest(name):
                folder, file = self.root / f"calibrated-{name}", "estimate_error.safetensors"
                shutil.copytree(self.trained / "models" / name, folder)
                dry = self.sns("calibrate", "--weights", folder, "--data", data, "--threads", "1", "--dry-run")
                self.assertEqual(dry.returncode, 0, dry.stderr)
                self.assertFalse((folder / file).exists())
                levels = [int(level) for level in re.findall(r"^ +(\d+) +0\.\d{4} +[\d.]+", dry.stdout, re.M)]
                self.assertEqual(levels[:2], [0, 1])
                written = []
                for options in (("--highest-level", "5"), (), ("--highest-level", "19")):  # all, as is the default
                    done = self.sns("calibrate", "--weights", folder, "--data", data, "--threads", "1", *options)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    written.append(digest(folder / file))
                self.assertNotEqual(written[0], written[1])
                self.assertEqual(written[1], written[2])
                self.fails(2, ["--highest-level 99", "0 to"], "calibrate", "--weights", folder, "--data", data, "--highest-level", "99")
                self.fails(2, ["--pairs", "surrogates"], "calibrate", "--weights", folder, "--data", data, "--pairs", "9")
        self.fails(2, ["--highest-level", "refiners"], "calibrate", "--weights", self.trained / "models/gaussian", "--data", data,
                   "--highest-level", "9")

    def test_bad_configuration_and_data(self):
        config, data = self.config(self.root / "bad"), self.root / "dataset"
        self.fails(2, ["gaussian", "sns"], "train", config, "--dataset", data, "--model", "diffusion")
        self.fails(2, ["bach", "batch"], "train", config, "--dataset", data, "models.sns.training.bach=3")
        self.fails(2, ["levels"], "train", config, "--dataset", data, "models.sns.training.levels.sampling=high")
        self.fails(1, ["does not exist", "sns datagen"], "train", config, "--dataset", self.root / "nothing")
        odd = self.root / "odd"
        if not odd.exists():
            write_dataset(odd, points=15)
        self.fails(2, ["15"], "train", config, "--dataset", odd)

    def test_want_of_memory_is_one_line_with_what_helps(self):
        limited = ["sh", "-c", f'ulimit -v {32 << 20}; exec "$@"', "sh"]  # KiB: no machine shall try to find the memory
        command = self.arguments("train", self.config(self.root / "large"), "--dataset", self.root / "dataset", "--model",
                                 "gaussian", "models.gaussian.training.batch=1000000000")
        done = subprocess.run([*limited, *command], capture_output=True, text=True, cwd=self.root, timeout=900)
        self.assertEqual(done.returncode, 1, done.stderr)
        lines = [line for line in done.stderr.splitlines() if line.startswith("sns: error")]
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertIn("not enough memory for the networks: ", lines[0])
        self.assertIn("training.batch", lines[0])

    def test_changed_configuration_does_not_continue(self):
        output = self.root / "changed"
        shutil.copytree(self.trained, output)
        self.fails(2, ["another configuration", "--resume never"], "train", self.config(output), "--dataset",
                   self.root / "dataset", "models.gaussian.training.batch=3")

    def predict(self, model, array, *more, code=0, words=(), attributes=()):
        with h5py.File(self.root / "input.h5", "w") as file:
            file["x"] = array
            file.attrs.update(attributes)
        arguments = ("predict", "--weights", model, "--input", "input.h5:/x", "-o", "out.h5", *more)
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

    def test_predict_one_emulator_step(self):
        frames = self.frames()
        model = self.trained / "models/gaussian"
        out = self.predict(model, frames[:, 3].astype("f8"))["next"]
        self.assertEqual(out.shape, (2, POINTS, POINTS))
        error = np.sqrt(np.mean((out - frames[:, 4]) ** 2)) / np.sqrt(np.mean((frames[:, 3] - frames[:, 4]) ** 2))
        self.assertLess(error, 0.9)  # persistence: 1
        one = self.predict(model, frames[1, 3])["next"]
        np.testing.assert_allclose(one[0], out[1], atol=1e-5)

    def test_predict_one_refinement(self):
        frames = self.frames()
        model = self.trained / "models/sns"
        out = self.predict(model, frames[:, 3:5], "--level-floor", "2", "--seed", "3")
        self.assertEqual(out["refined"].shape, (2, 2, POINTS, POINTS))
        self.assertEqual(out["levels"].shape, (2, 2))
        np.testing.assert_array_equal(out["used_levels"], np.maximum(out["levels"], 2))
        np.testing.assert_array_equal(out["evaluations"], out["used_levels"].sum(axis=1) + 2)
        again = self.predict(model, frames[:, 3:5], "--level-floor", "2", "--seed", "3")
        np.testing.assert_array_equal(out["refined"], again["refined"])
        other = self.predict(model, frames[:, 3:5], "--level-floor", "2", "--seed", "4")
        self.assertFalse(np.array_equal(out["refined"], other["refined"]))

    def test_predict_refuses_bad_input(self):
        frames, gaussian = self.frames(), self.trained / "models/gaussian"
        self.predict(gaussian, frames[:, 3, :8], code=1, words=["shape", "states"])
        self.predict(self.trained / "models/sns", frames[:1, 3], code=1, words=["shape", "pairs"])
        bad = frames[:, 3].copy()
        bad[0, 0, 0] = np.nan
        self.predict(gaussian, bad, code=1, words=["not finite"])
        self.predict(self.root / "nowhere", frames[:, 3], code=1, words=["nowhere"])
        self.assertFalse(list(self.root.glob("out.h5?*")), "a temporary file was left behind")

    def test_output_that_cannot_be_written(self):
        """Below a regular file, and where there are no files: not even root can write there."""
        file = self.root / "plain"
        file.write_text("in the way")
        with h5py.File(self.root / "writable.h5", "w") as source:
            source["x"] = self.frames()[:, 3]
        for place in (file, Path("/proc/nowhere")):
            with self.subTest(place):
                self.fails(1, [f"cannot create folder {place}"], "train", self.config(self.root / "elsewhere"),
                           f"run.output={place / 'run'}", "--dataset", self.root / "dataset")
                self.fails(1, [f"cannot create folder {place}"], "predict", "--weights", self.trained / "models/gaussian",
                           "--input", "writable.h5:/x", "-o", place / "out.h5")
                self.fails(1, [f"cannot create folder {place}"], "export", "--weights",
                           self.trained / "models/gaussian", "-o", place / "out.safetensors")
        self.assertEqual(file.read_text(), "in the way")

    def test_a_network_that_sees_the_force_meets_that_force_only(self):
        data, output = self.root / "forced", self.root / "seeing"
        write_dataset(data)
        keys = ("--model", "gaussian", "models.gaussian.network.forcing_wavenumber=3", "models.gaussian.training.steps=20")
        train = ("train", self.config(output), *keys, "--dataset", data)
        self.fails(2, ["models.gaussian", "forcing_wavenumber is 3", "no steady force"], *train)
        for periods in (2.0, 3.0):
            for name in (data / "data").rglob("*.h5"):
                with h5py.File(name, "a") as file:
                    file.attrs["forcing_wavenumber"] = periods
            if periods == 2:
                self.fails(2, ["models.gaussian", "forcing_wavenumber is 3", "has 2 periods"], *train)
        done = self.sns(*train)
        self.assertEqual(done.returncode, 0, done.stderr)
        model, frame = output / "models/gaussian", self.frames()[0, 0]
        told = self.predict(model, frame, attributes={"forcing_wavenumber": 3.0})["next"]
        np.testing.assert_array_equal(self.predict(model, frame)["next"], told)  # of a file that says nothing
        (self.root / "out.h5").unlink()
        self.predict(model, frame, attributes={"forcing_wavenumber": 2.0}, code=2,
                     words=["input.h5", "forcing_wavenumber is 3", "has 2 periods"])

    def test_predict_stops_on_request_and_writes_nothing(self):
        with h5py.File(self.root / "many.h5", "w") as file:
            file["x"] = np.repeat(self.frames()[:1, 3], 40_000, axis=0)
        process = subprocess.Popen(
            self.arguments("predict", "--weights", self.trained / "models/gaussian", "--input", "many.h5:/x", "-o",
                           "many_out.h5"), cwd=self.root, stderr=subprocess.PIPE, text=True)
        wait_until_it_handles(process, signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=300)[1]
        self.assertEqual(process.returncode, 75, errors)
        self.assertIn("nothing was written", errors)
        self.assertEqual([path.name for path in self.root.glob("*many*")], ["many.h5"])

    def test_predict_refuses_bad_weights(self):
        frames = self.frames()
        truncated, foreign = self.root / "truncated", self.root / "foreign"
        for folder in (truncated, foreign):
            shutil.copytree(self.trained / "models/gaussian", folder, dirs_exist_ok=True)
        weights = truncated / "ema.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
        self.predict(truncated, frames[:, 3], code=1, words=["ema.safetensors"])
        shutil.copy(self.trained / "models/sns/ema.safetensors", foreign)
        self.predict(foreign, frames[:, 3], code=1, words=["another architecture"])


if __name__ == "__main__":
    SNS = os.path.abspath(sys.argv.pop(1))
    run_tests(verbosity=2)
