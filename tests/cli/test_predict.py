"""`sns predict` as a user meets it. Usage: test_predict.py PATH/TO/sns [CLASS ...]"""
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

    def test_predict_refuses_bad_input(self):
        frames, gaussian = self.frames(), self.trained / "models/gaussian"
        self.predict(gaussian, frames[:, 3, :8], code=1, words=["shape", "states"])
        self.predict(self.trained / "models/sns", frames[:1, 3], code=1, words=["shape", "pairs"])
        bad = frames[:, 3].copy()
        bad[0, 0, 0] = np.nan
        self.predict(gaussian, bad, code=1, words=["not finite"])
        self.predict(self.root / "nowhere", frames[:, 3], code=1, words=["nowhere"])
        self.assertFalse(list(self.root.glob("out.h5?*")), "a temporary file was left behind")

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
