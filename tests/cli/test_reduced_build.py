"""Configures the suite without LibTorch and CUDA: its summary names what is missing, and the rest is there to build.

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
    def test_without_libtorch_and_cuda(self):
        with tempfile.TemporaryDirectory(prefix="sns-reduced-") as build:
            command = [CMAKE, "-G", "Ninja", "-S", SOURCE, "-B", build, "-DSNS_TORCH=OFF", "-DSNS_CUDA=OFF",
                       f"-DCMAKE_CXX_COMPILER={os.environ.get('SNS_CXX', 'c++')}"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=100)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertRegex(done.stdout, r"core, solvers \(FFTW\), data sets: +yes")
            self.assertRegex(done.stdout, r"emulators, experiments: +NO +- switched off \(SNS_TORCH=OFF\)")
            self.assertRegex(done.stdout, r"solvers on cuFFT: +NO +- switched off \(SNS_CUDA=OFF\)")
            targets = subprocess.run([CMAKE, "--build", build, "--target", "help"], capture_output=True, text=True,
                                     timeout=60).stdout
            names = {line.split(":")[0].strip() for line in targets.splitlines()}
            self.assertLessEqual({"sns", "unit_solvers", "unit_datagen", "unit_metrics"}, names)
            self.assertFalse(names & {"sns_emulator", "sns_experiments", "sns_cuda", "unit_models"})


if __name__ == "__main__":
    unittest.main()
