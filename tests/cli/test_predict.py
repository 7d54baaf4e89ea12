"""`sns predict` as a user meets it. Usage: test_predict.py PATH/TO/sns [CLASS ...]"""
import hashlib
import os
import shutil
import signal
import subprocess
import sys

import h5py
import numpy as np
import train_case
from sns_case import run_tests, wait_until_it_handles
from train_case import POINTS

CONFIG = """
run: {name: t, seed: 5, output: %s, device: cpu, threads: 1}
models:
  gaussian:
    kind: gaussian
    network: {hidden: 2, multipliers: [1, 2], blocks: 1}
    training: {steps: 400, batch: 4, learning_rate: 2.0e-3, schedule: {name: cosine}}
  sns:
    kind: sns
    network: {hidden: 2, multipliers: [1, 2], blocks: 1, embedding: 8}
    diffusion: {levels: 20}
    training: {steps: 100, batch: 4, learning_rate: 2.0e-3}
"""


class Predict(train_case.TrainCase):
    CONFIG, FIELDS = CONFIG, ("vorticity",)

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

    def test_a_sampled_step(self):
        """Noise with the covariance of the step's error, which the training has measured."""
        frames, gaussian = self.frames(), self.trained / "models/gaussian"
        unmeasured = self.root / "unmeasured"
        shutil.copytree(gaussian, unmeasured, ignore=shutil.ignore_patterns("step_error*"))
        self.predict(unmeasured, frames[:, 3], "--sampled", code=1, words=["does not hold the error of its steps", "sns calibrate"])
        states = frames[:, 2:34].reshape(-1, POINTS, POINTS)
        mean = self.predict(gaussian, states)["next"]
        noise = self.predict(gaussian, states, "--sampled", "--seed", "7", "--batch", "5")["next"] - mean
        with h5py.File(self.root / "out.h5") as file:
            self.assertEqual(file.attrs["seed"], 7)
            self.assertEqual(file.attrs["step_error_sha256"], hashlib.sha256((gaussian / "step_error.safetensors").read_bytes()).hexdigest())
        # Waves of one wavenumber are in four of the modes: so is their error, mostly, and so the noise.
        with h5py.File(self.root / "dataset/data/valid/waves_000000.h5") as file:
            valid = file["t0_fields/vorticity"][...]
        error = self.predict(gaussian, valid[:, :-1].reshape(-1, POINTS, POINTS))["next"] - valid[:, 1:].reshape(-1, POINTS, POINTS)
        drawn, measured = (np.mean(np.abs(np.fft.fft2(x)) ** 2, axis=0) for x in (noise, error))
        self.assertAlmostEqual(drawn.sum() / measured.sum(), 1, delta=0.3)
        np.testing.assert_allclose(drawn[1, 2] + drawn[1, -2], measured[1, 2] + measured[1, -2], rtol=0.5)
        alone = self.predict(gaussian, states[:1], "--sampled", "--seed", "7")["next"]
        np.testing.assert_allclose(alone[0] - mean[0], noise[0], atol=1e-5)
        other = self.predict(gaussian, states[:1], "--sampled", "--seed", "8")["next"]
        self.assertGreater(np.abs(other - alone).max(), 1e-3 * noise.std())
        self.predict(self.trained / "models/sns", frames[:, 3:5], "--sampled", code=2, words=["--sampled says nothing"])

    def test_a_refinement_by_combined_estimates(self):
        frames, sns, gaussian = self.frames(), self.trained / "models/sns", self.trained / "models/gaussian"
        combined = ("--surrogate", gaussian, "--path", "fixed_past", "--level-floor", "12", "--seed", "3")
        pairs = frames[:, 3:5]
        self.predict(sns, pairs, "--surrogate", gaussian, code=2, words=["--surrogate", "path A denoises the past one, too"])
        self.predict(sns, pairs, *combined, code=1, words=["combined needs", "--surrogate"])
        self.calibrate("--weights", sns, "--surrogate", gaussian)
        # A present frame of nothing but noise, nearly, and a denoiser of a hundred steps: the prediction for the past is what it goes to.
        lost = pairs.copy()
        lost[:, 1] = np.random.default_rng(0).normal(size=lost[:, 1].shape)
        prediction = self.predict(gaussian, frames[:, 3])["next"]
        together = self.predict(sns, lost, *combined)
        with h5py.File(self.root / "out.h5") as file:
            self.assertEqual(file.attrs["surrogate"], str(gaussian))
            for attribute, path in (("surrogate_sha256", gaussian / "ema.safetensors"),
                                    ("combined_estimate_sha256", *sns.glob("combined_[!r]*.safetensors"))):
                self.assertEqual(file.attrs[attribute], hashlib.sha256(path.read_bytes()).hexdigest())
        alone = self.predict(sns, lost, *combined[2:])
        def distance(made):
            return np.sqrt(np.mean((made["refined"][:, 1] - prediction) ** 2))
        self.assertLess(distance(together), 0.5 * distance(alone))
        self.predict(gaussian, frames[:, 3], "--surrogate", gaussian, code=2, words=["--surrogate"])

    def test_a_mistake_leaves_no_folder(self):
        with h5py.File(self.root / "states.h5", "w") as file:
            file["x"] = self.frames()[:, 3]
        gaussian, output = self.trained / "models/gaussian", self.root / "new/folder/out.h5"
        self.fails(1, ["nowhere"], "predict", "--weights", "nowhere", "--input", "states.h5:/x", "-o", output)
        self.fails(1, ["/y"], "predict", "--weights", gaussian, "--input", "states.h5:/y", "-o", output)
        self.fails(1, ["nowhere"], "export", "--weights", "nowhere", "-o", output)
        self.assertFalse((self.root / "new").exists())
        (self.root / "new").mkdir()
        self.fails(1, ["nowhere"], "predict", "--weights", "nowhere", "--input", "states.h5:/x", "-o", output)
        self.assertEqual(list((self.root / "new").iterdir()), [])
        self.assertEqual(self.sns("predict", "--weights", gaussian, "--input", "states.h5:/x", "-o", output).returncode, 0)
        self.assertEqual(list(output.parent.iterdir()), [output])

    def test_damaged_weights_are_found(self):
        damaged, frames = self.root / "damaged", self.frames()
        shutil.copytree(self.trained / "models/gaussian", damaged)
        sums = subprocess.run(["sha256sum", "ema.safetensors", "config.yaml"], cwd=damaged, text=True, capture_output=True, check=True)
        (damaged / "SHA256SUMS").write_text(sums.stdout)
        self.predict(damaged, frames[:, 3])
        weights = bytearray((damaged / "ema.safetensors").read_bytes())
        weights[-3] ^= 1
        (damaged / "ema.safetensors").write_bytes(weights)
        words = ["ema.safetensors does not have the SHA-256"]
        self.predict(damaged, frames[:, 3], code=1, words=words)
        self.fails(1, words, "export", "--weights", damaged, "-o", self.root / "damaged.safetensors")
        self.fails(1, words, "calibrate", "--weights", damaged, "--data", self.root / "dataset")

    def calibrate(self, *arguments):
        done = self.sns("calibrate", *arguments, "--data", self.root / "dataset")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_predict_refuses_bad_input(self):
        frames, gaussian = self.frames(), self.trained / "models/gaussian"
        before = set(self.root.iterdir())
        self.predict(gaussian, frames[:, 3, :8], code=1, words=["shape", "states"])
        self.predict(self.trained / "models/sns", frames[:1, 3], code=1, words=["shape", "pairs"])
        bad = frames[:, 3].copy()
        bad[0, 0, 0] = np.nan
        self.predict(gaussian, bad, code=1, words=["not finite"])
        self.predict(self.root / "nowhere", frames[:, 3], code=1, words=["nowhere"])
        left = set(self.root.iterdir()) - before - {self.root / "input.h5"}
        self.assertFalse(left, "files were left behind")

    def test_a_frame_of_each_member(self):
        """FILE.h5:/array@N and @last, as `sns simulate --initial` takes them."""
        frames, gaussian = self.frames(), self.trained / "models/gaussian"
        for entry, number in (("3", 3), ("last", -1)):
            of_entry = self.predict(gaussian, frames, entry=entry)["next"]
            with h5py.File(self.root / "out.h5") as file:
                self.assertEqual(file.attrs["input"], f"input.h5:/x@{entry}")
            np.testing.assert_array_equal(of_entry, self.predict(gaussian, frames[:, number])["next"])
        one = self.predict(gaussian, frames[0], entry="3")["next"]  # one state of an array of them
        np.testing.assert_array_equal(one, self.predict(gaussian, frames[0, 3])["next"])
        pairs = frames[:, 3:5]
        np.testing.assert_array_equal(self.predict(self.trained / "models/sns", pairs, entry="1")["refined"],
                                      self.predict(self.trained / "models/sns", pairs[1])["refined"])
        self.predict(gaussian, frames, code=1, words=["@N or @last"])
        self.predict(self.trained / "models/sns", frames, entry="1", code=1, words=["/x@1 has shape (40, 16, 16)", "pairs"])
        self.predict(gaussian, frames, entry=str(frames.shape[1]), code=1, words=[f"has {frames.shape[1]} frames"])
        self.predict(gaussian, frames[0, 3], entry="0", code=1, words=["time axis"])

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
    train_case.PROGRAM = os.path.abspath(sys.argv.pop(1))
    run_tests(verbosity=2)
