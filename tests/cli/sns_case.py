"""What the command line tests share: a small configuration and ways to run, stop and kill `sns`.

The program is found through the environment variable SNS_PROGRAM (CTest sets it). `sns_case.py NAMES` runs tests as
`python -m unittest NAMES` does, but shows by its exit code that some were skipped.
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import h5py

PROGRAM = os.environ.get("SNS_PROGRAM", "build/release/bin/sns")
SOURCE = pathlib.Path(__file__).resolve().parents[2]
WELL_PYTHON = SOURCE / ".venv-well" / "bin" / "python3"  # of scripts/setup_wheel_checks

SOLVER = """
solver:
  system: kolmogorov
  grid: {points: 32, length: 6.283185307179586}
  viscosity: 1.0e-2
  drag: 0.1
  forcing: {wavenumber: 4, amplitude: 1.0}
  dealias: jaxcfd
  advection: basdevant
  stepper: {name: cn_rk4, dt: 0.01}
  precision: float32
  max_courant: 1.0
  initial: {kind: filtered_velocity, max_velocity: 4.0, peak_wavenumber: 4}
"""


def configuration(name, solver, *datagen):
    """A small configuration of a solver block; `datagen`: further lines of that block."""
    return f"""
run: {{name: {name}, seed: 5, output: OUTPUT, device: cpu, threads: 2}}
{solver.strip()}
simulate: {{members: 2, steps: 200, every: 20}}
datagen:
  spinup_steps: 40
  steps_per_frame: 3
  frames: 40
  trajectories: 6
  trajectories_per_file: 2
  split: {{train: 0.5, valid: 0.2, test: 0.3}}
""" + "".join(f"  {line}\n" for line in datagen)


CONFIG = configuration("tiny", SOLVER, "samples_per_trajectory: 2", "decorrelation_steps: 10",
                       "coarsen: {factor: 2, kind: spectral}")


def sns(*arguments, **options):
    """Runs the program to its end; figures are drawn by this Python."""
    environment = {**os.environ, "SNS_PYTHON": sys.executable}
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, env=environment, **options)


class SnsCase(unittest.TestCase):
    def setUp(self):
        # Memory where there is some: these tests wait for no disk.
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sns-cli-", dir=base))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.config = self.folder / "tiny.yaml"
        self.config.write_text(CONFIG.replace("OUTPUT", str(self.folder / "run")))

    def start(self, verb, *arguments, **environment):
        command = [PROGRAM, verb, *map(str, arguments)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder,
            env={**os.environ, **environment})

    def sns(self, verb, *arguments, code=0, **environment):
        """Runs to the end and checks the exit code; returns (stdout, stderr)."""
        process = self.start(verb, *arguments, **environment)
        out, err = process.communicate(timeout=600)
        self.assertEqual(process.returncode, code, f"sns {verb} {arguments}\n{out}\n{err}")
        return out, err

    def assert_one_line(self, err, *parts):
        """Exactly one line `sns: error: ...` that holds all parts."""
        lines = [line for line in err.splitlines() if line.startswith("sns: ")]
        self.assertEqual(len(lines), 1, err)
        self.assertTrue(lines[0].startswith("sns: error: "), err)
        for part in parts:
            self.assertIn(part, lines[0])

    def run_with_kills(self, verb, *arguments, kill=signal.SIGKILL, started=None):
        """Kills the run again and again, later each time, until it ends by itself; returns the number of kills.

        `started`: a file that must exist before the first kill.
        """
        kills, delay = 0, 0.05
        while True:
            process = self.start(verb, *arguments)
            deadline = time.monotonic() + delay
            while process.poll() is None and (
                time.monotonic() < deadline or (kills == 0 and started and not started.exists())
            ):
                time.sleep(0.005)
            if process.poll() is None:
                process.send_signal(kill)
            out, err = process.communicate(timeout=600)
            if process.returncode == 0:
                return kills
            # -SIGTERM: it came before the program had started
            expected = (-signal.SIGKILL,) if kill == signal.SIGKILL else (75, -signal.SIGTERM)
            self.assertIn(process.returncode, expected, err)
            kills += 1
            delay *= 1.3
            self.assertLess(kills, 60, "the run makes no progress")


def wait_until_it_handles(process, number):
    """Returns when the program has installed its handler of a signal."""
    status = pathlib.Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        caught = [line for line in status.read_text().splitlines() if line.startswith("SigCgt")]
        if caught and int(caught[0].split()[1], 16) >> (number - 1) & 1:
            return
        time.sleep(0.002)


def wait_for_lines(case, process, log, lines):
    """Returns when training has written so many lines of its log; fails if it ends before."""
    deadline = time.monotonic() + 120
    while not (log.exists() and log.read_text().count("\n") > lines):
        case.assertLess(time.monotonic(), deadline, "training did not start")
        case.assertIsNone(process.poll(), "training ended before it could be interrupted")
        time.sleep(0.01)


def wait_for_frames(case, process, file, writes=2):
    """Returns when a rollout has written to its file so many times since this call; fails if it ends before."""
    last = file.stat().st_mtime_ns if file.exists() else None
    deadline = time.monotonic() + 120
    while writes > 0:
        case.assertLess(time.monotonic(), deadline, "the rollout writes nothing")
        case.assertIsNone(process.poll(), "it had ended before it was interrupted: take more steps")
        time.sleep(0.001)
        now = file.stat().st_mtime_ns if file.exists() else None
        if now != last:
            last, writes = now, writes - 1


def wait_until_it_continues(case, process):
    """Reads what a rollout says until it goes on from a checkpoint; returns that step."""
    for line in process.stderr:
        if found := re.search(r"continuing after step (\d+)", line):
            return int(found[1])
    case.fail("it did not continue")


def stopped_step(message):
    """The step of the checkpoint that a stopped rollout says to have left."""
    return int(re.search(r"stopped after step (\d+)", message)[1])


def continued_step(message):
    """The step of the checkpoint that a rollout says to go on from."""
    return int(re.search(r"continuing after step (\d+)", message)[1])


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def curve(folder):
    """Log of a training without what depends on the clock."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("wall", "images_per_second")} for line in lines]


def assert_same_training(case, one, two, *more):
    """Two folders of a model hold the same bytes of weights, of `more` files, and the same curve of losses."""
    for name in ("model.safetensors", "ema.safetensors", "config.yaml", *more):
        case.assertEqual(digest(one / name), digest(two / name), name)
    case.assertEqual(curve(one), curve(two))


def run_tests(**options):
    """unittest.main, but exits with 77, which CTest reports as skipped, if none failed and some were skipped."""
    result = unittest.main(exit=False, **options).result
    for case, reason in result.skipped:
        print(f"skipped: {case}: {reason}", file=sys.stderr)
    sys.exit(1 if not result.wasSuccessful() else 77 if result.skipped else 0)


def mount_small_disk(case, folder, size):
    """Mounts a file system of so many bytes ("6m") on a new folder until the test ends; skips where nobody may."""
    folder.mkdir(parents=True)
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
    if mount.returncode != 0:
        case.skipTest("no right to mount a small tmpfs")
    case.addCleanup(subprocess.run, ["umount", "-l", folder])


def fill_disk(folder):
    """Takes all that is left of a disk; returns the file that does."""
    filler = folder / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def has_one_size(experiment):
    """Whether the file or one that it stands on says so: named scales are not for it."""
    text = experiment.read_text()
    base = re.search(r"^base: (\S+)", text, re.MULTILINE)
    return "one_size: true" in text or (base is not None and has_one_size(experiment.parent / base[1]))


def check_readers(folder):
    """Runs scripts/check_dataset.py, with The Well's loader where it is installed; returns the finished process."""
    python = str(WELL_PYTHON) if WELL_PYTHON.exists() else sys.executable
    return subprocess.run([python, SOURCE / "scripts" / "check_dataset.py", folder], capture_output=True, text=True,
                          env={**os.environ, "PYTHONWARNINGS": "ignore"}, timeout=600)


def arrays(path, prefix=""):
    """{name: bytes} of all numeric datasets of a file outside /provenance and /checkpoint, without what a clock says."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and not name.startswith(("provenance", "checkpoint", "step_seconds")):
            if item.dtype.kind in "fiu":
                found[prefix + name] = item[()].tobytes()

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def dataset_arrays(folder):
    found = {}
    for path in sorted(pathlib.Path(folder).glob("data/*/*.h5")):
        found.update(arrays(path, str(path.relative_to(folder)) + ":"))
    return found


if __name__ == "__main__":
    run_tests(module=None)
