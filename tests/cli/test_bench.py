#!/usr/bin/env python3
"""`sns bench` on the CPU at smoke scale: test_bench.py <sns>."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SNS = Path(sys.argv.pop(1)).resolve()
SOURCE = Path(__file__).resolve().parents[2]
BFLOAT16 = "avx512_bf16" in Path("/proc/cpuinfo").read_text()  # asked for elsewhere, it is refused
PRECISIONS = ["float32", "bfloat16"] if BFLOAT16 else ["float32"]
QUICKSTART = SOURCE / "yaml/kolmogorov/quickstart.yaml"


def unet_flops(image, hidden, multipliers, blocks, channels):
    """Of a surrogate's network for one state: two for each product of a convolution."""
    pixels, width = image**2, hidden
    first = 9 * channels * hidden * pixels

    def block(c_in, c_out):
        return pixels * (9 * c_in * c_out + 9 * c_out**2 + (c_in * c_out if c_in != c_out else 0))

    total, skips = first, [hidden]
    for level, factor in enumerate(multipliers):
        for _ in range(blocks):
            total += block(width, width * factor if _ == 0 else width)
            width = width * factor if _ == 0 else width
            skips.append(width)
        if level + 1 < len(multipliers):
            pixels //= 4
            total += 9 * width**2 * pixels
            skips.append(width)
    total += 2 * block(width, width)
    for level, factor in reversed(list(enumerate(multipliers))):
        for _ in range(blocks):
            total += block(width + skips.pop(), width)
        total += block(width + skips.pop(), width // factor)
        width //= factor
        if level > 0:
            total += 16 * width**2 * pixels
            pixels *= 4
    total += 9 * width * channels * pixels
    return 2 * total, 2 * first


class Bench(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "bench.json"
            cls.done = subprocess.run(
                [str(SNS), "bench", str(QUICKSTART), "--scale", "smoke", "run.device=cpu", "--seconds", "0.02",
                 "--members", "3", *(word for name in PRECISIONS for word in ("--precision", name)), "--json", str(target)],
                capture_output=True, text=True)
            cls.json = json.loads(target.read_text()) if target.exists() else None

    def test_machine(self):
        self.assertEqual(self.done.returncode, 0, self.done.stderr)
        machine = self.json["machine"]
        self.assertGreater(machine["copy_bytes_per_second"], 1e8)
        self.assertGreater(machine["triad_bytes_per_second"], 1e8)
        self.assertEqual(set(machine["matmul_flops_per_second"]), set(PRECISIONS))
        self.assertGreater(min(machine["matmul_flops_per_second"].values()), 1e8)
        self.assertEqual(self.json["device"], "cpu")

    def test_solver(self):
        solver = self.json["solver"]
        self.assertEqual((solver["system"], solver["grid"], solver["members"]), ("kolmogorov", [32, 32], 3))
        self.assertAlmostEqual(solver["member_steps_per_second"], 3 * solver["steps_per_second"], delta=1)
        self.assertGreater(solver["steps_per_second"], 10)
        self.assertIsNone(solver["fraction_of_bandwidth"])  # FFTW's bytes are not counted
        self.assertRegex(self.done.stdout, r"(?m)^solver +kolmogorov, 32 x 32 points, fftw, float32, 3 members$")

    def test_networks(self):
        models = {model["name"]: model for model in self.json["models"]}
        self.assertEqual(set(models), {"gaussian", "sns"})
        forward, first = unet_flops(image=16, hidden=4, multipliers=[2, 2, 2], blocks=1, channels=1)
        rows = models["gaussian"]["rows"]
        self.assertEqual([(row["what"], row["precision"], row["batch"]) for row in rows],
                         [(what, name, batch) for what, batch in (("forward", 2), ("training step", 4)) for name in PRECISIONS])
        for row in rows:
            expected = forward if row["what"] == "forward" else 3 * forward - first
            self.assertEqual(row["flops_per_image"], expected, row)
        for model in models.values():
            self.assertGreater(model["parameters"], 1000)
            flops = {row["what"]: row["flops_per_image"] for row in model["rows"]}
            self.assertTrue(2.5 < flops["training step"] / flops["forward"] <= 3)
            for row in model["rows"]:
                rate = row["images_per_second"]
                self.assertAlmostEqual(rate, 1e3 * row["batch"] / row["milliseconds"], delta=1e-6 * rate)
                self.assertGreater(row["fraction_of_matmul"], 0)
                self.assertLess(row["fraction_of_matmul"], 1.5)  # of a rate measured beside it
        self.assertIn("GFLOP/image", self.done.stdout)

    def test_wrong_uses(self):
        for arguments, code, message in (
                (["--model", "other"], 2, "other"), (["--precision", "float16"], 2, "--precision"),
                (["--only", "all"], 2, "--only"), (["run.device=cuda:99", "--only", "solver"], 1, "cuda")):
            done = subprocess.run([str(SNS), "bench", str(QUICKSTART), "--scale", "smoke", "--seconds", "0.01",
                                   "run.device=cpu", *arguments], capture_output=True, text=True)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(message, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
