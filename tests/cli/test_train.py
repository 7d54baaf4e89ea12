"""`sns train` as a user meets it. Usage: test_train.py PATH/TO/sns [CLASS ...]

On the CPU results are a function of data, configuration, seed and number of threads; most tests here run with one.
"""
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import train_case
from sns_case import assert_same_training, curve, digest, fill_disk, mount_small_disk, run_tests
from train_case import POINTS, TrainCase, write_dataset

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
  mixed_past:
    kind: sns
    network: {hidden: 2, multipliers: [1, 2], blocks: 1, embedding: 8}
    diffusion: {levels: 20}
    training: {steps: 300, batch: 4, learning_rate: 2.0e-3, validate_every: 50, checkpoint_every: 20,
               validation_samples: 8, levels: {past: mixed}}
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

    def test_other_validation_samples_are_warned_of(self):
        """Losses over different samples do not compare."""
        output = self.root / "validated"
        arguments = ("train", self.config(output), "--dataset", self.root / "dataset", "--model", "gaussian",
                     "models.gaussian.training.schedule.name=constant", "models.gaussian.training.validate_every=10",
                     "models.gaussian.training.select=best", "models.gaussian.training.checkpoint_every=20",
                     "models.gaussian.training.rollout.max_length=1")
        told = "training.validation_samples is 2, it was 1 until step 20: the best step is looked for anew"
        for steps, samples, warned in ((20, 1, False), (40, 2, True), (60, 2, False)):
            done = self.sns(*arguments, f"models.gaussian.training.steps={steps}",
                            f"models.gaussian.training.validation_samples={samples}")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(told in done.stderr, warned, done.stderr)
            state = json.loads((output / "models/gaussian/checkpoints/last/state.json").read_text())
            self.assertEqual(state["validation_samples"], samples)
            if warned:
                self.assertGreater(state["best_step"], 20)

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
        forced = self.root / "other-force"
        shutil.copytree(folder, forced)
        config = (forced / "config.yaml").read_text()
        (forced / "config.yaml").write_text(config.replace("network:\n", "network:\n  forcing_wavenumber: 4\n"))
        self.fails(2, ["forcing_wavenumber"], "calibrate", "--weights", forced, "--data", data)
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


if __name__ == "__main__":
    train_case.PROGRAM = os.path.abspath(sys.argv.pop(1))
    run_tests(verbosity=2)
