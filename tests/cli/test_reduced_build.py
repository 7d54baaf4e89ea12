"""Configures the suite without LibTorch and CUDA, switched off or not there: its summary names what is missing, and the rest is there to build.

SNS_CMAKE and SNS_CXX name the programs (CTest sets them).
"""

import os
import pathlib
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
CMAKE = os.environ.get("SNS_CMAKE", "cmake")


class ReducedBuild(unittest.TestCase):
    def configure(self, build, *options, **environment):
        """The configuration's output."""
        command = [CMAKE, "-G", "Ninja", "-S", SOURCE, "-B", build, *options,
                   f"-DCMAKE_CXX_COMPILER={os.environ.get('SNS_CXX', 'c++')}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **environment})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_what_is_not_there_is_left_out_and_named(self):
        with tempfile.TemporaryDirectory(prefix="sns-reduced-") as build:
            summary = self.configure(build, "-DTORCH_ROOT=/nowhere", CUDACXX="/nowhere/nvcc")
            self.assertRegex(summary, r"emulators, experiments: +NO +- no torch package found; scripts/setup")
            self.assertRegex(summary, r"solvers on cuFFT: +NO +- no nvcc found")

    def test_without_libtorch_and_cuda(self):
        with tempfile.TemporaryDirectory(prefix="sns-reduced-") as build:
            summary = self.configure(build, "-DSNS_TORCH=OFF", "-DSNS_CUDA=OFF")
            self.assertRegex(summary, r"core, solvers \(FFTW\), data sets: +yes")
            self.assertRegex(summary, r"emulators, experiments: +NO +- switched off \(SNS_TORCH=OFF\)")
            self.assertRegex(summary, r"solvers on cuFFT: +NO +- switched off \(SNS_CUDA=OFF\)")
            targets = subprocess.run([CMAKE, "--build", build, "--target", "help"], capture_output=True, text=True,
                                     timeout=300).stdout
            names = {line.split(":")[0].strip() for line in targets.splitlines()}
            self.assertLessEqual({"sns", "unit_solvers", "unit_datagen", "unit_metrics"}, names)
            self.assertFalse(names & {"sns_emulator", "sns_experiments", "sns_cuda", "unit_models"})


if __name__ == "__main__":
    unittest.main()
