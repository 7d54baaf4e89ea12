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

import h5py
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

    def both_training(self, **options):
        """A run that trains both models, and the processes that do."""
        command = self.command(*map(LONG.format, MODELS), "--until", "train")
        process = subprocess.Popen([PROGRAM, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   **options)
        logs = [self.run_folder / "models" / name / "metrics.jsonl" for name in MODELS]
        self.wait_until(process, lambda: all(log.exists() and log.stat().st_size > 0 for log in logs))
        children = made_by(process.pid)
        self.assertEqual(len(children), 2)
        return process, children

    def state(self, stage):
        """Of its record, or None where it has none yet."""
        record = self.run_folder / stage
        return re.search(r'"state": "(\w+)"', record.read_text())[1] if record.exists() else None

    def wait_for_end(self, processes):
        deadline = time.monotonic() + 60
        while any(map(alive, processes)):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def checkpoint(self, name):
        """Steps of the newest one that a training has left, 0 where there is none."""
        found = (self.run_folder / "models" / name / "checkpoints").glob("ckpt-*")
        return max((int(re.search(r"(\d+)", file.name)[1]) for file in found), default=0)

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
        err = process.communicate(timeout=300)[1]
        self.assertEqual(process.returncode, 75, err)
        self.assertFalse(any(map(alive, children)))
        self.assertEqual(err.count("stopping at the next safe point"), 1, err)
        self.assertIn("sns: stopped: on request; run the same command to continue", err)
        self.assert_both_go_on()

    def test_a_time_budget_is_kept(self):
        self.sns(*self.command("--until", "truth"))
        self.sns(*self.command("--until", "dataset"))
        _, err = self.sns(*self.command(*map(LONG.format, MODELS), "--until", "train", "--time-budget", 8), code=75)
        self.assertIn("sns: stopped: ", err)
        listed, _ = self.sns("info", self.run_folder)
        for name in MODELS:
            self.assertRegex(listed, rf"train/{name} +begun \S+, not finished; goes on from step {self.checkpoint(name)}\n")
        self.assert_both_go_on()

    def test_where_the_parent_is_killed_the_stages_are_saved(self):
        process, children = self.both_training()
        process.kill()
        process.wait()
        self.wait_for_end(children)
        process.communicate()
        self.assert_both_go_on()
        for name in MODELS:
            self.assertTrue(self.checkpoint(name), name)

    def test_a_parent_that_is_killed_after_a_stop_changes_nothing(self):
        process, children = self.both_training()
        for child in children:
            os.kill(child, signal.SIGSTOP)
        process.send_signal(signal.SIGTERM)
        time.sleep(1)  # they have been told, and will be told again when the parent ends
        process.kill()
        process.wait()
        for child in children:
            os.kill(child, signal.SIGCONT)
        self.wait_for_end(children)
        process.communicate()
        for name in MODELS:
            self.assertTrue(self.checkpoint(name), name)

    def test_while_it_lives_the_folder_is_locked(self):
        process, children = self.both_training()
        self.assertIn(f"is in use by another process (process {process.pid} ", self.sns(*self.command(), code=1)[1])
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=300)

    def test_ctrl_c_reaches_the_stages_once_and_they_save(self):
        process, children = self.both_training(start_new_session=True)
        os.kill(children[0], signal.SIGSTOP)  # it takes its time to save
        os.killpg(process.pid, signal.SIGINT)
        self.wait_for_end(children[1:])
        for again in (signal.SIGINT, signal.SIGTERM):  # no second request: that is for the parent to make
            os.kill(children[0], again)
        os.kill(children[0], signal.SIGCONT)
        err = process.communicate(timeout=300)[1]
        self.assertEqual(process.returncode, 75, err)
        self.assert_both_go_on()
        for name in MODELS:
            self.assertTrue(self.checkpoint(name), err)

    def test_a_second_signal_ends_all_at_once(self):
        process, children = self.both_training()
        for child in children:
            os.kill(child, signal.SIGSTOP)  # they will not end by themselves
        process.send_signal(signal.SIGTERM)
        time.sleep(1)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=300)
        self.assertEqual(process.returncode, -signal.SIGTERM)
        self.wait_for_end(children)

    def test_a_stage_that_is_killed_while_it_saves_is_no_stop(self):
        process, children = self.both_training()
        os.kill(children[0], signal.SIGSTOP)
        process.send_signal(signal.SIGTERM)
        self.wait_for_end(children[1:])
        os.kill(children[0], signal.SIGKILL)
        err = process.communicate(timeout=300)[1]
        self.assertEqual(process.returncode, 1, err)
        self.assertIn("was ended by signal 9", err)

    def test_a_file_that_changes_meanwhile_is_refused(self):
        changes = {"the configuration is no longer what it was when the run began": lambda text: text.replace("seed: 2024", "seed: 2025"),
                   "not valid YAML": lambda text: "run: {"}
        shutil.copytree(QUICKSTART.parents[1] / "scales", self.folder / "scales")
        copy = self.folder / "quickstart.yaml"
        for message, change in changes.items():
            with self.subTest(message):
                copy.write_text(QUICKSTART.read_text().replace("weights: weights/", "# weights/"))
                process = self.start("reproduce", copy, "--scale", "smoke", f"run.output={self.run_folder}", "--jobs", 2,
                                     *map(LONG.format, MODELS), "--until", "train")
                self.wait_until(process, lambda: self.state("dataset/stage.json") is not None)
                copy.write_text(change(copy.read_text()))
                err = process.communicate(timeout=300)[1]
                self.assertEqual(process.returncode, 2, err)
                self.assert_one_line(err, message)
                shutil.rmtree(self.run_folder)

    def test_threads_are_shared(self):
        self.sns(*self.command("run.threads=4"), SNS_PYTHON=sys.executable)
        with h5py.File(self.run_folder / "rollouts/sns.h5") as file:
            self.assertEqual(file.attrs["threads"], 2)
        table = (self.run_folder / "evaluation/metrics.csv").read_text()
        self.assertIn(",times_solver,", table)
        self.assertNotIn("run.threads=2", (self.run_folder / "models/sns/model_card.md").read_text())  # which nobody typed
        self.assert_solver_is_timed_with_as_many_threads(table)
        # and evaluated again by a command that has all threads
        shutil.rmtree(self.run_folder / "evaluation")
        self.sns("evaluate", QUICKSTART, "--scale", "smoke", f"run.output={self.run_folder}", "run.threads=4")
        self.assert_solver_is_timed_with_as_many_threads((self.run_folder / "evaluation/metrics.csv").read_text())

    def assert_solver_is_timed_with_as_many_threads(self, table):
        for row in table.splitlines():
            if ",times_solver," in row:
                self.assertGreater(float(row.split(",")[6]), 0, row)

    def test_what_a_stopped_run_has_set_aside_is_put_back(self):
        self.sns(*self.command("--until", "train"))
        before = [(self.run_folder / "models" / name / "ema.safetensors").read_bytes() for name in MODELS]
        other = [f"models.{name}.training.seed=5" for name in MODELS]
        process = self.start(*self.command(*map(LONG.format, MODELS), *other, "--until", "train"))
        aside = [self.run_folder / "models" / f"{name}.previous" for name in MODELS]
        logs = [self.run_folder / "models" / name / "metrics.jsonl" for name in MODELS]
        self.wait_until(process, lambda: all(path.exists() for path in [*aside, *logs]))
        process.send_signal(signal.SIGTERM)
        err = process.communicate(timeout=300)[1]
        self.assertEqual(process.returncode, 75, err)
        self.assertTrue(all(path.exists() for path in aside))
        out, err = self.sns(*self.command("--until", "train"))
        self.assertIn("stages were finished", out)
        self.assertNotIn("train/", err)
        self.assertEqual([(self.run_folder / "models" / name / "ema.safetensors").read_bytes() for name in MODELS], before)

    def test_a_stop_while_the_processes_start(self):
        for delay in (0, 0.05, 0.2, 0.4):
            with self.subTest(delay):
                process = self.start(*self.command(*map(LONG.format, MODELS), "--until", "train"))
                self.wait_until(process, lambda: made_by(process.pid))
                time.sleep(delay)
                process.send_signal(signal.SIGTERM)
                err = process.communicate(timeout=300)[1]
                self.assertEqual(process.returncode, 75, err)
                self.assertEqual(err.count("stopped: "), 1, err)
                self.assertLessEqual(err.count("stopping at"), 1, err)  # none where a stage had just ended
                shutil.rmtree(self.run_folder)

    def test_where_sigterm_is_ignored_a_time_budget_holds(self):
        command = [PROGRAM, *map(str, self.command(*map(LONG.format, MODELS), "--until", "train", "--time-budget", 2))]
        script = "import os, signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
        done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 75, done.stderr)

    def test_a_killed_stage_stops_the_others(self):
        process, children = self.both_training()
        os.kill(children[0], signal.SIGKILL)
        err = process.communicate(timeout=300)[1]
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
        self.assertIn(self.state("models/sns/stage.json"), ("running", None))  # None: stopped before it had begun
        blocked.unlink()
        self.sns(*self.command("--until", "train"))

    def test_rollouts(self):
        self.sns(*self.command("--until", "train"))
        out, log = self.sns("rollout", *self.command()[1:])
        for name in METHODS:
            self.assertRegex(out, rf"{name}: [\d.]+ steps/s")
        self.assertLess(log.index("rollout/sns (not"), log.index("sns: rollout gaussian: "), log)

    def test_on_a_terminal_every_stage_has_its_line(self):
        self.sns(*self.command("--until", "truth"))
        self.sns(*self.command("--until", "dataset"))
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ["TERM"] = "xterm"
            command = [PROGRAM, *map(str, self.command(*map(LONG.format, MODELS), "--until", "train", "--time-budget", 10))]
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


class Together(SnsCase):
    """Several experiments at once: a data set and a surrogate that both need, a rollout and results for each."""

    def setUp(self):
        super().setUp()
        self.run_folder = self.folder / "run-smoke"
        shutil.copytree(QUICKSTART.parents[1] / "scales", self.folder / "yaml" / "scales")
        shutil.copy(QUICKSTART, self.folder / "yaml" / "base.yaml")
        self.collection = self.folder / "yaml" / "both.yaml"
        self.collection.write_text("title: both\nexperiments: [alone.yaml, refined.yaml]\n")
        self.experiment("alone", "rollout: {methods: {sns: null, sns_floor2: null}}\nmodels: {sns: null}\n")
        self.experiment("refined", "rollout: {methods: {sns_floor2: null}}\n")

    def experiment(self, name, more):
        (self.folder / "yaml" / f"{name}.yaml").write_text(
            f"base: base.yaml\nrun: {{name: shared, output: {self.folder}/run}}\nfigure: {{folder: {name}, kinds: [stability]}}\n{more}")

    def command(self, *more, jobs=2):
        return ["reproduce", self.collection, "--scale", "smoke", "--jobs", jobs, *more]

    def together(self, *more, code=0):
        return self.sns(*self.command(*more), code=code, SNS_PYTHON=sys.executable)

    def test_what_they_share_is_made_once_and_no_one_waits_for_the_other(self):
        out, log = self.together("models.gaussian.training.steps=3000")
        begun = [f"{label}: {stage}" for label, stage in re.findall(r"sns: (\w+): \[\d+/\d+\] ([\w/]+) \(", log)]
        self.assertEqual(len(begun), len(set(begun)))
        shared = ["dataset", "truth", "train/gaussian", "rollout/gaussian"]  # made once, under whichever name comes first to it
        self.assertEqual(sorted(stage for name in begun if (stage := name.split(": ")[1]) in shared), sorted(shared))
        self.assertEqual(sorted(map(int, re.findall(r"\[(\d+)/\d+\]", log))), list(range(1, len(begun) + 1)))
        self.assertIn(f"[1/{len(begun)}]", log)
        # The second one's training does not wait for the first one to end, and its lines say whose they are.
        self.assertLess(begun.index("refined: train/sns"), begun.index("alone: evaluate"), log)
        self.assertIn("sns: refined: train sns: ", log)
        for name in ("alone", "refined"):
            self.assertTrue((self.run_folder / name / "report.html").exists())
            self.assertIn(f"\n{self.run_folder}/{name}/evaluation\n", out)  # above its table
        self.assertRegex(out.split("refined.yaml")[-1], r"rollout/gaussian +finished before\n(.*\n)*.*rollout/sns +\d+\.\d s")
        self.assertRegex(out, r"elapsed +\d+\.\d s with 2 jobs")
        self.assertRegex(out, r"page +/.*report\.html")
        again = self.together("models.gaussian.training.steps=3000")[0]
        self.assertEqual(len(re.findall(r"all \d+ stages were finished", again)), 2, again)

    def test_it_makes_what_one_after_the_other_makes(self):
        self.together("--until", "rollout")
        made = arrays(self.run_folder / "rollouts/sns.h5")["vorticity"]
        shutil.rmtree(self.run_folder)
        self.sns(*self.command("--until", "rollout", jobs=1))
        self.assertEqual(arrays(self.run_folder / "rollouts/sns.h5")["vorticity"], made)

    def test_a_stage_of_other_inputs_in_the_same_folder_is_made_in_turn(self):
        self.experiment("refined", "models: {gaussian: {training: {seed: 7}}}\n")
        _, log = self.together("--until", "train")
        self.assertIn("alone: train/gaussian and refined: train/gaussian would replace each other's files: one experiment after the other", log)
        self.assertEqual(log.count("] train/gaussian ("), 2)
        record = (self.run_folder / "models/gaussian/stage.json").read_text()
        self.assertRegex(record, r"nseed 7\b")

    def test_a_stage_that_would_replace_what_another_one_reads_is_made_in_turn(self):
        self.together("--until", "train")
        shipped = self.folder / "shipped"
        shutil.copytree(self.run_folder / "models/gaussian", shipped)
        self.experiment("alone", f"models: {{gaussian: {{weights: {shipped}}}}}\nrollout: {{methods: {{sns: null, sns_floor2: null}}}}\n")
        self.experiment("refined", "models: {gaussian: {training: {seed: 7}}}\nrollout: {methods: {gaussian: null, sns_floor2: null}}\n")
        _, log = self.together("--until", "rollout")
        self.assertIn("alone: train/gaussian and refined: train/gaussian would replace each other's files", log)

    def test_a_failure_says_whose_it_is_and_leaves_the_others_alone(self):
        blocked = self.run_folder / "models/sns"
        blocked.parent.mkdir(parents=True)
        blocked.write_text("in the way")
        out, err = self.together(code=1)
        self.assertRegex(err, r"warning: refined: train/sns: .*models/sns.*; experiments that do not need it go on\n")
        self.assertEqual(err.splitlines()[-1][:len("sns: error: refined: train/sns: ")], "sns: error: refined: train/sns: ")
        self.assertTrue((self.run_folder / "alone/report.html").exists())
        self.assertFalse((self.run_folder / "refined/report.html").exists())
        blocked.unlink()
        self.assertTrue(self.together()[0].count("finished before"))
        self.assertTrue((self.run_folder / "refined/report.html").exists())

    def drawing(self, seconds):
        """A Python that takes its time, and a run in which sns is trained while figures are drawn."""
        python = self.folder / "python"
        python.write_text(f"#!/bin/sh\ntouch {self.folder}/drawing\nsleep {seconds}\nexec {sys.executable} \"$@\"\n")
        python.chmod(0o755)
        self.experiment("refined", "models: {sns: {training: {steps: 200000}}}\nrollout: {methods: {sns_floor2: null}}\n")
        process = self.start(*self.command(), SNS_PYTHON=str(python))
        deadline = time.monotonic() + 60
        while not (self.folder / "drawing").exists() or self.trained() == 0:
            self.assertIsNone(process.poll(), "it ended too early")
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        return process

    def trained(self):
        log = self.run_folder / "models/sns/metrics.jsonl"
        return len(log.read_text().splitlines()) if log.exists() else 0

    def test_one_is_drawn_while_another_one_goes_on(self):
        process = self.drawing(0)
        deadline = time.monotonic() + 60
        while not (self.run_folder / "alone/report.html").exists():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 75, err)
        self.assertIn("alone: [", err)
        self.assertNotIn("refined: train sns: 800000/800000", err)

    def test_a_stop_is_passed_on_while_something_is_drawn(self):
        process = self.drawing(20)
        children = [child for child in made_by(process.pid) if "--worker" in Path(f"/proc/{child}/cmdline").read_text()]
        self.assertEqual(len(children), 1)
        process.send_signal(signal.SIGTERM)
        start = time.monotonic()
        while any(map(alive, children)):
            time.sleep(0.01)
        self.assertLess(time.monotonic() - start, 10)
        process.send_signal(signal.SIGTERM)  # does not wait for the picture either
        err = process.communicate(timeout=300)[1]
        self.assertIn("stopping at the next safe point; signal again to end at once", err)

    def test_a_run_that_ends_as_its_time_does_is_no_stopped_one(self):
        self.together("--until", "evaluate")
        python = self.folder / "python"
        python.write_text(f"#!/bin/sh\ncase $1 in *report.py) sleep 6;; esac\nexec {sys.executable} \"$@\"\n")
        python.chmod(0o755)
        base = ["reproduce", self.folder / "yaml/refined.yaml", "--scale", "smoke", "--jobs", 2]
        self.sns(*base, SNS_PYTHON=sys.executable)
        (self.run_folder / "refined/report.html").unlink()
        out, _ = self.sns(*base, "--time-budget", 4, SNS_PYTHON=str(python))
        self.assertIn("report.html", out)

    def test_files_of_one_name_are_told_apart(self):
        (self.folder / "yaml/other").mkdir()
        shutil.copytree(self.folder / "yaml/scales", self.folder / "yaml/other/scales")
        text = (self.folder / "yaml/alone.yaml").read_text()
        (self.folder / "yaml/other/alone.yaml").write_text(text.replace("base: base", "base: ../base").replace("/run}", "/two}"))
        self.collection.write_text("title: both\nexperiments: [alone.yaml, other/alone.yaml]\n")
        _, log = self.together("--until", "truth")
        self.assertIn("sns: yaml/alone: [1/2] truth (", log)
        self.assertIn("sns: other/alone: [2/2] truth (", log)

    def test_a_stop_ends_all(self):
        process = self.start(*self.command(LONG.format("gaussian")))
        log = self.run_folder / "models/gaussian/metrics.jsonl"
        deadline = time.monotonic() + 60
        while not (log.exists() and log.stat().st_size > 0):
            self.assertIsNone(process.poll(), "it ended too early")
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        children = made_by(process.pid)
        self.assertTrue(children)
        process.send_signal(signal.SIGTERM)
        err = process.communicate(timeout=300)[1]
        self.assertEqual(process.returncode, 75, err)
        self.assertFalse(any(map(alive, children)))
        self.assertIn("sns: stopped: on request; run the same command to continue", err)


class Arguments(SnsCase):
    def test_jobs_must_be_a_number(self):
        for wrong in ("0", "-1", "two", "1.5"):
            _, err = self.sns("reproduce", QUICKSTART, "--jobs", wrong, code=2)
            self.assert_one_line(err, "--jobs", "at least 1")

    def test_more_jobs_than_stages(self):
        self.sns("reproduce", QUICKSTART, "--scale", "smoke", f"run.output={self.folder / 'run'}", "--jobs", 50, "--until", "truth")
        self.assertTrue((self.folder / "run" / "truth" / "MANIFEST.jsonl").is_file())

    def test_the_hidden_option_is_not_for_users(self):
        _, err = self.sns("reproduce", QUICKSTART, "--worker", "sns", code=2)
        self.assert_one_line(err, "--worker is for processes that --jobs starts")
        self.assertNotIn("--worker", self.sns("reproduce", "--help")[0])
