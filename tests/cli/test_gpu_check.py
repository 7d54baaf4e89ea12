#!/usr/bin/env python3
"""scripts/gpu_check where programs fail, hang or are not there; what it does where they work is test_bundle.py's.

The checks' names and docs/gpu_checks.md must agree.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
PROGRAM = SOURCE / "scripts/gpu_check"


class GpuCheck(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="sns-gpu-check-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def program(self, script):
        """A folder of programs with an `sns` that runs these lines of shell."""
        file = self.folder / "sns"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        return self.folder

    def check(self, *arguments, script, code):
        out = self.folder / "out"
        command = [sys.executable, PROGRAM, "--programs", self.program(script), "--out", out, *arguments]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        report = json.loads((out / "gpu_check.json").read_text())
        return {row["check"]: row for row in report["checks"]}, done.stdout

    def test_goes_on_after_failures(self):
        rows, table = self.check("--dry-run", script="echo broken; exit 3", code=1)
        self.assertEqual(len(rows), len(self.names()))
        for name in ("device", "data set", "rollout", "solver bench"):
            self.assertEqual((rows[name]["status"], rows[name]["seen"]), ("failed", "exit code 3: broken"))
        self.assertEqual(rows["sanitizer memcheck"]["status"], "skipped")
        self.assertIn("| data set | failed | exit code 3: broken |", table)

    def test_ends_what_hangs(self):
        rows, _ = self.check("--dry-run", "--only", "device", "--only", "rollout", "--budget", "0.5",
                             script='[ "$1" = --version ] || { sleep 60 & wait; }', code=1)
        self.assertEqual(rows["device"]["status"], "failed")
        self.assertIn("took too long", rows["device"]["seen"])
        self.assertEqual(rows["rollout"]["status"], "not reached")
        self.assertLess(rows["device"]["seconds"], 10)

    def test_asked_for_a_device_it_does_not_settle_for_less(self):
        info = "printf 'sns              0\\ncufft backend    not usable: no CUDA device answers\\n'"
        rows, _ = self.check("--only", "device", script=info, code=1)
        self.assertEqual(rows["device"]["seen"], "cufft backend: not usable: no CUDA device answers")
        test = self.folder / "gpu_example"
        test.write_text("#!/bin/sh\necho 'skipped: no usable GPU: none'\nexit 77\n")
        test.chmod(0o755)
        rows, _ = self.check("--only", "gpu tests", script=info, code=1)
        self.assertEqual(rows["gpu tests"]["seen"], "no usable GPU for gpu_example")

    def test_wrong_command_lines(self):
        for arguments, message in (
                (["--device", "gpu"], "--device is 'gpu'"), (["--programs", self.folder], "there is no sns in"),
                (["--only", "everything"], "invalid choice")):
            done = subprocess.run([sys.executable, PROGRAM, *arguments], capture_output=True, text=True, timeout=60,
                                  cwd=self.folder)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(message, done.stderr)

    def names(self):
        listed = subprocess.run([sys.executable, PROGRAM, "--list"], capture_output=True, text=True, timeout=60,
                                check=True).stdout
        return re.findall(r"(?m)^(\S.*?) +\d+ s  ", listed)

    def test_documented(self):
        rows = re.findall(r"(?m)^\| ([^|]+?) \|", (SOURCE / "docs/gpu_checks.md").read_text())
        self.assertEqual(rows[1:1 + len(self.names())], self.names())  # below the heading


if __name__ == "__main__":
    unittest.main(verbosity=2)
