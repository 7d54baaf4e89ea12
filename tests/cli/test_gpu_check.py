#!/usr/bin/env python3
"""scripts/gpu_check where programs fail, hang or are not there; what it does where they work is test_bundle.py's.

The checks' names and docs/gpu_checks.md must agree.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import types
import unittest
import unittest.mock
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
PROGRAM = SOURCE / "scripts/gpu_check"

sys.path.insert(0, str(SOURCE / "scripts"))
sys.dont_write_bytecode = True
from gpu_checks import catalogue, programs, results, session


class GpuCheck(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="sns-gpu-check-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def program(self, script, name="sns"):
        """A folder of programs with one that runs these lines of shell."""
        file = self.folder / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        return self.folder

    def check(self, *arguments, script, code):
        out = self.folder / "out"
        command = [sys.executable, PROGRAM, "--programs", self.program(script), "--out", out, *arguments]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        report = json.loads((out / "gpu_check.json").read_text())
        return {row["check"]: row for row in report["checks"]}, done.stdout

    def test_goes_on_after_failures(self):
        rows, table = self.check("--dry-run", "--all-sanitizers", script="echo broken; exit 3", code=1)
        self.assertEqual(list(rows), self.names())
        for name in ("device", "data set", "rollout", "solver bench float32", "network bench"):
            self.assertEqual((rows[name]["status"], rows[name]["seen"]), ("failed", "exit code 3: broken"))
        self.assertEqual(rows["sanitizer memcheck"]["status"], "skipped")
        self.assertIn("| data set | failed | exit code 3: broken |", table)

    def test_most_sanitizers_only_on_request(self):
        rows, _ = self.check("--dry-run", script="exit 3", code=1)
        self.assertEqual(list(rows), self.names()[:-3])
        self.assertEqual(list(rows)[-1], "sanitizer memcheck")

    def test_what_the_budget_does_not_reach_is_no_failure(self):
        rows, table = self.check("--dry-run", "--only", "device", "--only", "rollout", "--budget", "0.5",
                                 script='[ "$1" = --version ] || { sleep 60 & wait; }', code=0)
        self.assertEqual(rows["device"]["status"], "not reached")
        self.assertIn("the time budget ended it: took too long", rows["device"]["seen"])
        self.assertEqual(rows["rollout"]["status"], "not reached")
        self.assertLess(rows["device"]["seconds"], 10)
        self.assertTrue(table.rstrip().endswith("nothing failed, 2 of 2 not reached"), table)

    def one(self, function, limit=30, device="cpu"):
        """Row of a single check within this process."""
        arguments = types.SimpleNamespace(programs=self.folder, device=device)
        with open(self.folder / "log", "w") as log, unittest.mock.patch.dict(catalogue.CHECKS, one=(function, limit, "")):
            return results.run_check(session.Session(arguments, self.folder, log), "one", time.monotonic() + 60)

    def test_ends_what_hangs_and_keeps_its_numbers(self):
        def hangs(run):
            run.numbers["first"] = {"rate": 2.5}
            run.run("sh", "-c", "sleep 60 & wait")
        row = self.one(hangs, limit=0.3)
        self.assertEqual(row["status"], "failed")
        self.assertLess(row["seconds"], 10)
        self.assertEqual(row["numbers"], {"first": {"rate": 2.5}})
        self.assertEqual(results.told(row), "took too long: sh -c sleep 60 & wait (so far: first.rate 2.5)")

    def test_results_of_a_run_that_is_told_to_end(self):
        self.program('case "$1" in --version) echo sns 0;; info) echo "sns    0";; *) sleep 60 & wait;; esac')
        out = self.folder / "out"
        run = subprocess.Popen([sys.executable, PROGRAM, "--programs", self.folder, "--out", out, "--dry-run", "--only", "device",
                                "--only", "data set", "--only", "training"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(run.kill)
        self.assertIn("passed", run.stdout.readline())
        while "datagen" not in (out / "gpu_check.log").read_text():  # the second check runs
            self.assertIsNone(run.poll())
            time.sleep(0.05)
        status = {row["check"]: row["status"] for row in json.loads((out / "gpu_check.json").read_text())["checks"]}
        self.assertEqual(status, {"device": "passed", "data set": "not reached", "training": "not reached"})
        run.send_signal(signal.SIGTERM)
        output, _ = run.communicate(timeout=20)
        self.assertEqual(run.returncode, 128 + signal.SIGTERM)
        rows = json.loads((out / "gpu_check.json").read_text())["checks"]
        self.assertEqual([row["seen"] for row in rows], ["sns answers", "ended by SIGTERM", "was not begun"])
        self.assertIn("| data set | not reached | ended by SIGTERM |", (out / "gpu_check.md").read_text())
        self.assertIn("nothing failed, 2 of 3 not reached", output)

    def test_asked_for_a_device_it_does_not_settle_for_less(self):
        info = "printf 'sns              0\\ncufft backend    not usable: no CUDA device answers\\n'"
        rows, _ = self.check("--only", "device", script=info, code=1)
        self.assertEqual(rows["device"]["seen"], "cufft backend: not usable: no CUDA device answers")
        self.program("echo 'skipped: no usable GPU: none'\nexit 77", "gpu_cufft")
        rows, _ = self.check("--only", "gpu_cufft", "--only", "gpu_device_frames", script=info, code=1)
        self.assertEqual(rows["gpu_cufft"]["seen"], "no usable GPU")
        self.assertIn("there is no gpu_device_frames in", rows["gpu_device_frames"]["seen"])

    def test_test_programs_see_the_chosen_device_alone(self):
        self.program('echo "sees ${CUDA_VISIBLE_DEVICES-all}"\necho "test cases:  1 |  1 passed"', "gpu_cufft")
        for device, listed, seen in (("cuda:2", None, "2"), ("cuda", None, "all"), ("cuda", "5,7", "5,7"),
                                     ("cuda:1", "5,7", "7"), ("cpu", "5,7", ""), ("cpu", None, "")):
            others = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
            listing = {} if listed is None else {"CUDA_VISIBLE_DEVICES": listed}
            with self.subTest(device, listed=listed), unittest.mock.patch.dict(os.environ, {**others, **listing}, clear=True):
                self.assertEqual(self.one(programs.check_gpu_test("gpu_cufft"), device=device)["status"], "passed")
                self.assertIn(f"sees {seen}\n", (self.folder / "log").read_text())
        with unittest.mock.patch.dict(os.environ, CUDA_VISIBLE_DEVICES="5,7"):
            row = self.one(programs.check_gpu_test("gpu_cufft"), device="cuda:2")
        self.assertEqual((row["status"], row["seen"]),
                         ("failed", "cuda:2 is not among the devices of CUDA_VISIBLE_DEVICES=5,7"))

    def test_starts_where_python_adds_no_folders(self):
        subprocess.run([sys.executable, PROGRAM, "--list"], env={**os.environ, "PYTHONSAFEPATH": "1"}, timeout=300, check=True,
                       stdout=subprocess.DEVNULL)

    def test_names_failing_cases(self):
        cases = "TEST CASE:  says something\na.cpp:1: MESSAGE: 3\n\nTEST CASE:  breaks\na.cpp:2: ERROR: CHECK( x )"
        self.program(f"[ \"$SNS_CUDA_GRAPHS\" = 0 ] && {{ echo 'test cases:  9 |  9 passed | 0 failed'; exit 0; }}\n"
                     f"printf '{cases}\nStatus: FAILURE!\n'; exit 1", "gpu_cufft")
        rows, _ = self.check("--only", "gpu_cufft", "--only", "gpu_cufft_plain", script="exit 0", code=1)
        self.assertEqual(rows["gpu_cufft"]["seen"], "exit code 1: Status: FAILURE!; failing: breaks")
        self.assertEqual((rows["gpu_cufft_plain"]["status"], rows["gpu_cufft_plain"]["seen"]), ("passed", "9 test cases pass"))

    def test_aims_are_judged_and_no_failures(self):
        for share, text in ((0.61, "61% of the copy bandwidth (aim met: 50%)"),
                            (0.2, "20% of the copy bandwidth (aim missed: 50%)")):
            seen = {"solver": {"member_steps_per_second": 9.0, "fraction_of_bandwidth": share}, "models": [], "machine": {}}
            script = f"while [ $# -gt 1 ]; do [ \"$1\" = --json ] && echo '{json.dumps(seen)}' > \"$2\"; shift; done; exit 0"
            rows, _ = self.check("--only", "solver bench float64", script=script, code=0)
            row = rows["solver bench float64"]
            self.assertEqual(row["status"], "passed", row)
            self.assertIn(text, row["seen"])
            self.assertIs(row["aim_met"], share > 0.5)

    def test_a_sanitizer_that_knows_no_such_device_skips(self):
        self.program("exit 0", "gpu_cufft")
        for line, status in (("========= Error: Device not supported. See its documentation.", "skipped"),
                             ("========= Invalid __global__ write of size 4 bytes", "failed")):
            tool = self.program(f"echo '{line}'\nexit 9", "tool") / "tool"

            with unittest.mock.patch.object(programs, "sanitizer", lambda: tool):
                row = self.one(programs.check_sanitizer("memcheck"), device="cuda:0")
            self.assertEqual(row["status"], status)
            self.assertIn(line.removeprefix("========= "), row["seen"])

    def test_wrong_command_lines(self):
        for arguments, message in (
                (["--device", "gpu"], "--device is 'gpu'"), (["--programs", self.folder], "there is no sns in"),
                (["--only", "everything"], "invalid choice")):
            done = subprocess.run([sys.executable, PROGRAM, *arguments], capture_output=True, text=True, timeout=300,
                                  cwd=self.folder)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(message, done.stderr)

    def names(self):
        listed = subprocess.run([sys.executable, PROGRAM, "--list"], capture_output=True, text=True, timeout=300,
                                check=True).stdout
        return re.findall(r"(?m)^(\S.*?) +\d+ s  ", listed)

    def test_documented(self):
        rows = re.findall(r"(?m)^\| ([^|]+?) \| [^|]+ \| ([^|]+?) \|", (SOURCE / "docs/gpu_checks.md").read_text())
        below = rows[1:1 + len(self.names())]
        self.assertEqual([name for name, _ in below], self.names())
        for name, shows in below:  # the page adds the aims
            self.assertEqual(shows.split("; aim:")[0].replace("`", ""), catalogue.CHECKS[name][2], name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
