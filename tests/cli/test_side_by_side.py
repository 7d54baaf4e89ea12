"""`sns reproduce --jobs 2`: stages side by side, and what becomes of them when something goes wrong."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from sns_case import PROGRAM, SOURCE, SnsCase, arrays

QUICKSTART = SOURCE / "yaml" / "kolmogorov" / "quickstart.yaml"
MODELS = ("gaussian", "sns")
METHODS = ("gaussian", "sns", "sns_floor2")
LONG = "models.{}.training.steps=200000"  # until it is stopped


def made_by(pid):
    """Processes whose parent is `pid`."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in children.read_text().split()] if children.exists() else []


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


class SideBySide(SnsCase):
    def setUp(self):
        super().setUp()
        self.run_folder = self.folder / "run"

    def command(self, *more, jobs=2, folder=None):
        return ["reproduce", QUICKSTART, "--scale", "smoke", f"run.output={folder or self.run_folder}", "--jobs", jobs, *more]

    def wait_until(self, process, condition):
        deadline = time.monotonic() + 60
        while not condition():
            self.assertIsNone(process.poll(), "it ended too early")
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def both_training(self, **environment):
        """A run that trains both models, and the processes that do."""
        process = self.start(*self.command(*map(LONG.format, MODELS), "--until", "train"), **environment)
        logs = [self.run_folder / "models" / name / "metrics.jsonl" for name in MODELS]
        self.wait_until(process, lambda: all(log.exists() and log.stat().st_size > 0 for log in logs))
        children = made_by(process.pid)
        self.assertEqual(len(children), 2)
        return process, children

    def state(self, stage):
        record = (self.run_folder / stage).read_text()
        return re.search(r'"state": "(\w+)"', record)[1]

    def assert_both_go_on(self):
        """Both trainings can be continued: their steps are no fewer."""
        for name in MODELS:
            self.assertEqual(self.state(f"models/{name}/stage.json"), "running")
        out, _ = self.sns(*self.command(*map(LONG.format, MODELS), "--until", "train", "--dry-run"))
        for name in MODELS:
            self.assertRegex(out, rf"train/{name} +will run: was interrupted: continues")

    def test_it_makes_what_one_after_the_other_makes(self):
        out, log = self.sns(*self.command(), SNS_PYTHON=sys.executable)
        alone = self.folder / "alone"
        self.sns(*self.command(jobs=1, folder=alone), SNS_PYTHON=sys.executable)
        for name in MODELS:
            weights = f"models/{name}/ema.safetensors"
            self.assertEqual((self.run_folder / weights).read_bytes(), (alone / weights).read_bytes())
        for name in METHODS:
            rollout = f"rollouts/{name}.h5"
            self.assertEqual(arrays(self.run_folder / rollout)["vorticity"], arrays(alone / rollout)["vorticity"])
        # The second training began before the first one's end, and every stage was announced once.
        starts = [log.index(f"train/{name} (not made yet)") for name in MODELS]
        ends = [log.index(f"sns: train {name}: ") for name in MODELS]
        self.assertLess(max(starts), min(ends), log)
        self.assertEqual(sorted(map(int, re.findall(r"\[(\d+)/10\]", log))), list(range(1, 11)))
        # Its times are those of the stages; the table and the report do not call them finished before.
        self.assertRegex(out, r"train/sns +\d+\.\d s\n")
        self.assertNotIn("finished before", out)
        self.assertRegex(out, r"elapsed +\d+\.\d s with 2 jobs")
        self.assertIn("all 10 stages were finished", self.sns(*self.command())[0])

    def test_a_stop_is_passed_on(self):
        process, children = self.both_training()
        process.send_signal(signal.SIGTERM)
        err = process.communicate(timeout=60)[1]
        self.assertEqual(process.returncode, 75, err)
        self.assertFalse(any(map(alive, children)))
        self.assertEqual(err.count("stopping at the next safe point"), 1, err)
        self.assertIn("sns: stopped: on request; run the same command to continue", err)
        self.assert_both_go_on()

    def test_a_time_budget_is_kept(self):
        _, err = self.sns(*self.command(*map(LONG.format, MODELS), "--time-budget", 3), code=75)
        self.assertIn("sns: stopped: ", err)
        self.assert_both_go_on()

    def test_where_the_parent_is_killed_the_stages_are_saved(self):
        process, children = self.both_training()
        process.kill()
        process.wait()
        deadline = time.monotonic() + 60
        while any(map(alive, children)):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        process.communicate()
        self.assert_both_go_on()
        for name in MODELS:  # a checkpoint, though none was due yet
            self.assertTrue(list((self.run_folder / "models" / name / "checkpoints").glob("*")), name)

    def test_while_it_lives_the_folder_is_locked(self):
        process, children = self.both_training()
        self.assertIn("is in use by another process", self.sns(*self.command(), code=1)[1])
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)

    def test_a_killed_stage_stops_the_others(self):
        process, children = self.both_training()
        os.kill(children[0], signal.SIGKILL)
        err = process.communicate(timeout=60)[1]
        self.assertEqual(process.returncode, 1, err)
        self.assertRegex(err, r"sns: error: train/\w+: its process was ended by signal 9 \(Killed\)")
        self.assertFalse(any(map(alive, children)))
        self.assert_both_go_on()

    def test_a_failing_stage_is_named_and_stops_the_others(self):
        self.sns(*self.command("--until", "truth"))
        self.sns(*self.command("--until", "dataset"))
        blocked = self.run_folder / "models/gaussian"
        blocked.parent.mkdir()
        blocked.write_text("in the way")
        _, err = self.sns(*self.command(LONG.format("sns"), "--until", "train"), code=1)
        self.assert_one_line(err, "train/gaussian: ", "models/gaussian")
        self.assertEqual(self.state("models/sns/stage.json"), "running")
        blocked.unlink()
        self.sns(*self.command("--until", "train"))

    def test_rollouts(self):
        self.sns(*self.command("--until", "train"))
        out, log = self.sns("rollout", *self.command()[1:])
        for name in METHODS:
            self.assertRegex(out, rf"{name}: [\d.]+ steps/s")
        self.assertLess(log.index("rollout/sns (not"), log.index("sns: rollout gaussian: "), log)

    def test_on_a_terminal_every_stage_has_its_line(self):
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ["TERM"] = "xterm"
            command = [PROGRAM, *map(str, self.command(*map(LONG.format, MODELS), "--until", "train", "--time-budget", 6))]
            os.execv(PROGRAM, command)
        text = b""
        try:
            while block := os.read(terminal, 65536):
                text += block
        except OSError:  # its end, on Linux
            pass
        os.close(terminal)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 75, text)
        text = text.decode()
        # both lines, erased together, drawn together
        self.assertRegex(text, r"\r\x1b\[K\x1b\[1A\x1b\[Ktrain \w+: \d+/\d+ images [^\n]*\n(?:\x1b\[\w+)*train \w+: \d+/")
        for name in MODELS:
            self.assertIn(f"train {name}: ", text)
        # log lines of the children have the whole line
        self.assertRegex(text, r"\x1b\[K\d\d:\d\d:\d\d sns: train \w+: [^\n]*took [^\n]*\n")
        self.assertTrue(text.rstrip().splitlines()[-1].endswith("run the same command to continue"), text[-300:])


class Arguments(SnsCase):
    def test_jobs_must_be_a_number(self):
        for wrong in ("0", "-1", "two", "1.5"):
            _, err = self.sns("reproduce", QUICKSTART, "--jobs", wrong, code=2)
            self.assert_one_line(err, "--jobs", "at least 1")

    def test_more_jobs_than_stages(self):
        self.sns("reproduce", QUICKSTART, "--scale", "smoke", f"run.output={self.folder / 'run'}", "--jobs", 50, "--until", "truth")
        shutil.rmtree(self.folder / "run")
