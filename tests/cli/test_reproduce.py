#!/usr/bin/env python3
"""The whole chain at smoke scale, through the program: test_reproduce.py <sns> <source folder>."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import h5py
import numpy as np
import xarray
from sns_case import (continued_step, fill_disk, has_one_size, mount_small_disk, run_tests, stopped_step, wait_for_frames,
                      wait_until_it_continues)

SNS, SOURCE = Path(sys.argv.pop(1)).resolve(), Path(sys.argv.pop(1)).resolve()
QUICKSTART = SOURCE / "yaml" / "kolmogorov" / "quickstart.yaml"
STAGES = ["dataset", "truth", "train/gaussian", "train/sns", "rollout/gaussian", "rollout/sns",
          "rollout/sns_floor2", "evaluate", "figure", "report"]


def sns(*arguments, python=sys.executable, **options):
    environment = {**os.environ, "SNS_PYTHON": python}
    return subprocess.run([str(SNS), *map(str, arguments)], capture_output=True, text=True, env=environment, **options)


def planned(text):
    """Stage -> what the table says of it."""
    stages = r"^(dataset|truth|train/\S+|rollout/\S+|evaluate|oracle|figure|video|report) +(.*)$"
    return dict(re.findall(stages, text, re.M))


class Reproduce(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.run_folder = Path(cls.temporary.name) / "run"
        cls.first = cls.reproduce()
        assert cls.first.returncode == 0, cls.first.stderr

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    @classmethod
    def reproduce(cls, *overrides, verb="reproduce", folder=None, **options):
        return sns(verb, QUICKSTART, "--scale", "smoke", f"run.output={folder or cls.run_folder}", *overrides, **options)

    def due(self, *overrides, **options):
        result = self.reproduce("--dry-run", *overrides, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        table = planned(result.stdout)
        self.assertEqual(list(table), STAGES)
        return [stage for stage, text in table.items() if text.startswith("will run")]

    def test_leaves_every_result(self):
        for name in ["config.yaml", "dataset/MANIFEST.jsonl", "truth/MANIFEST.jsonl", "models/gaussian/ema.safetensors",
                     "models/sns/model.safetensors", "models/sns/model_card.md", "rollouts/gaussian.h5",
                     "rollouts/sns.h5", "evaluation/metrics.json", "evaluation/metrics.csv", "evaluation/curves.h5",
                     "report.html"]:
            self.assertTrue((self.run_folder / name).is_file(), name)
        self.assertTrue(list((self.run_folder / "figures").glob("*.png")))
        self.assertIn("report.html", self.first.stdout)
        self.assertIn("wall-clock time", self.first.stdout)
        self.assertNotIn("cannot open", self.first.stderr)  # that there is no CUDA is no fault
        self.assertEqual(list(planned(self.first.stdout)), STAGES)

    def test_info_lists_the_stages(self):
        listed = planned(sns("info", self.run_folder).stdout.replace("\n  ", "\n"))
        self.assertEqual(set(listed), set(STAGES))
        for stage, text in listed.items():
            self.assertRegex(text, r"^finished 20\d\d-\S+Z, \S", stage)

    def test_other_tools_open_rollouts(self):
        for engine in ("h5netcdf", "netcdf4"):
            with xarray.open_dataset(self.run_folder / "rollouts/sns.h5", engine=engine) as data:
                self.assertEqual(data["levels"].dims, ("member", "time", "frame_of_pair"))
                self.assertEqual(data["evaluations"].sel(network="classifier").dims, ("member", "time"))
                self.assertEqual(data["failed_step"].dims, ("member",))
                self.assertEqual(data["step_seconds"].sel(clock="cpu").dims, ("time",))

    def test_rollouts_start_from_the_truth(self):
        truth = sorted((self.run_folder / "truth/data/test").glob("*.h5"))
        with h5py.File(truth[0]) as t, h5py.File(self.run_folder / "rollouts/sns.h5") as r:
            self.assertTrue(r.attrs["complete"])
            np.testing.assert_array_equal(r["member"][:], [1000000, 1000001])
            self.assertEqual(t["provenance/trajectory_id"][0], 1000000)
            np.testing.assert_allclose(r["vorticity"][0, 0], t["vorticity"][0, 0], rtol=1e-6)
            np.testing.assert_allclose(r["time"][:3], [0, 0.04, 0.08])
            self.assertEqual(r["vorticity"].shape, (2, 41, 16, 16))
            self.assertEqual(r["levels"].shape, (2, 41, 2))
            for member, failed in enumerate(r["failed_step"][:]):
                last = failed if failed >= 0 else 40
                self.assertTrue((r["evaluations"][member, 1 : last + 1, :2] == 1).all())
                self.assertTrue((r["evaluations"][member, last + 1 :] == 0).all())
            for name in ["method", "config_yaml", "seed", "git_commit", "weights_emulator_sha256",
                         "weights_refiner_sha256", "wall_seconds", "steps_per_second", "device"]:
                self.assertIn(name, r.attrs)

    def test_finished_stages_are_skipped(self):
        self.assertEqual(self.due(), [])
        self.assertIn("all 10 stages were finished", self.reproduce().stdout)

    def test_a_changed_key_reruns_what_depends_on_it(self):
        tail = ["figure", "report"]
        judged = ["evaluate", *tail]
        refined = ["rollout/sns", "rollout/sns_floor2", *judged]
        rolled = ["rollout/gaussian", *refined]
        for override, stages in {
            "figure.dpi=90": tail,
            "figure.columns=5": judged,
            "evaluate.bootstrap=50": judged,
            "rollout.methods.sns.level_floor=1": ["rollout/sns", *judged],
            "rollout.methods.sns.long=first_initial": ["rollout/sns", *judged],
            "rollout.deterministic=true": rolled,
            "rollout.precision=bfloat16": rolled,
            "rollout.floor_members=3": ["truth", *judged],
            "rollout.steps=30": ["truth", *rolled],
            "models.sns.training.steps=13": ["train/sns", *refined],
            "models.gaussian.training.learning_rate=2e-3": ["train/gaussian", *rolled],
            "datagen.trajectories=9": ["dataset", "train/gaussian", "train/sns", *rolled],
            "solver.viscosity=2e-2": STAGES,
            "run.seed=1": STAGES,
            "datagen.licence=MIT": [],
            "datagen.trajectories_per_file=2": [],
            "datagen.compression=deflate": [],
            "run.threads=2": [],
            "run.device=cpu": [],
            "models.sns.training.log_every=2": [],
        }.items():
            with self.subTest(override):
                self.assertEqual(self.due(override), stages)

    def test_the_reason_names_the_key(self):
        table = planned(self.reproduce("--dry-run", "solver.viscosity=0.02").stdout)
        self.assertRegex(table["dataset"], r"viscosity: .* -> .*0\.02")

    def copy(self, name):
        """A copy of the finished run in a folder of its own."""
        folder = Path(self.temporary.name) / name
        shutil.copytree(self.run_folder, folder)
        return folder

    def test_files_of_data_that_were_lost_or_cut_short_are_made_again_and_nothing_else(self):
        folder = self.copy("gaps")
        lost = next((folder / "dataset/data/train").glob("*.h5"))
        short = next((folder / "truth/data").rglob("*.h5"))
        def hashes():
            return re.findall(r'"data_hash":"(\w+)"', (folder / "truth/MANIFEST.jsonl").read_text())

        before = hashes()
        kept = {f: f.stat().st_mtime_ns for f in (folder / "dataset/data").rglob("*.h5") if f != lost}
        lost.unlink()
        with short.open("r+b") as file:
            file.truncate(1000)
        table = planned(self.reproduce("--dry-run", folder=folder).stdout)
        for stage, file in (("dataset", lost), ("truth", short)):
            self.assertIn(f"{file.name} is missing or has another size", table[stage])
        self.assertEqual(self.due(folder=folder), ["dataset", "truth"])
        done = self.reproduce(folder=folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.due(folder=folder), [])
        self.assertTrue(lost.exists())
        self.assertEqual(kept, {f: f.stat().st_mtime_ns for f in kept})
        self.assertTrue(before)
        self.assertEqual(hashes(), before)

    def test_a_replaced_data_set_is_noticed(self):
        folder = self.copy("replaced")
        done = self.reproduce("datagen.frames=30", "--overwrite", verb="datagen", folder=folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        table = planned(self.reproduce("--dry-run", folder=folder).stdout)
        self.assertTrue(table["dataset"].startswith("will run"), table)
        refused = self.reproduce(folder=folder)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("there: frames: 30; now: frames: 24", refused.stderr)
        self.assertEqual(self.reproduce("--overwrite", verb="datagen", folder=folder).returncode, 0)
        self.assertIn("dataset", self.reproduce(folder=folder).stdout)
        self.assertEqual(self.due(folder=folder), [])

    def test_results_that_cannot_be_written(self):
        """A file lies where a stage's folder belongs."""
        for verb, part in (("rollout", "rollouts"), ("evaluate", "evaluation"), ("reproduce", "truth"),
                           ("reproduce", "figures")):
            with self.subTest(verb, part=part):
                folder = self.copy(f"no-{part}")
                shutil.rmtree(folder / part)
                (folder / part).write_text("in the way")
                result = self.reproduce(verb=verb, folder=folder)
                self.assertEqual(result.returncode, 1, result.stderr)
                errors = [line for line in result.stderr.splitlines() if line.startswith("sns: error")]
                self.assertEqual(errors, [f"sns: error: cannot create folder {folder / part}: Not a directory"])
                self.assertNotRegex(result.stderr, "terminate|Traceback")
                self.assertEqual((folder / part).read_text(), "in the way")

    def test_figures_that_cannot_be_drawn(self):
        folder = self.copy("undrawn")
        kept = {path: path.read_bytes() for path in [*folder.glob("figures/*.p*"), folder / "report.html"]}
        self.assertEqual({path.name for path in kept}, {"report.html", "training.png", *(
            f"{name}.{kind}" for name in ("figure1", "dynamics", "stability") for kind in ("png", "pdf"))})
        result = self.reproduce("evaluate.bootstrap=50", folder=folder, python="/nowhere/python3")
        self.assertEqual(result.returncode, 1, result.stderr)
        errors = [line for line in result.stderr.splitlines() if line.startswith("sns: error")]
        self.assertEqual(len(errors), 1, result.stderr)
        self.assertRegex(errors[0], "figure and report could not be drawn.*data are all there, in .*undrawn")
        self.assertEqual({path: path.read_bytes() for path in kept}, kept)
        self.assertEqual(self.due("evaluate.bootstrap=50", folder=folder), ["figure", "report"])
        self.assertEqual(self.reproduce("evaluate.bootstrap=50", folder=folder).returncode, 0)
        self.assertNotEqual((folder / "report.html").read_bytes(), kept[folder / "report.html"])

    def test_stopped_while_drawing(self):
        folder = self.copy("stopped_drawing")
        begun, slow = folder / "begun", folder / "slow_python"
        slow.write_text(f"#!/bin/sh\ntouch {begun}\nexec sleep 300\n")
        slow.chmod(0o755)
        process = subprocess.Popen([str(SNS), "reproduce", str(QUICKSTART), "--scale", "smoke", f"run.output={folder}",
                                    "evaluate.bootstrap=50"], stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, "SNS_PYTHON": str(slow)})
        while process.poll() is None and not begun.exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)  # to this process alone: it ends the script itself
        message = process.communicate(timeout=60)[1]
        self.assertEqual(process.returncode, 75, message)
        self.assertIn("stopped while drawing; run the same command to continue", message)
        self.assertEqual(self.due("evaluate.bootstrap=50", folder=folder), ["figure", "report"])
        self.assertEqual(self.reproduce("evaluate.bootstrap=50", folder=folder).returncode, 0)

    def test_a_lost_figure_is_drawn_again(self):
        folder = self.copy("lost")
        (folder / "figures/stability.png").unlink()
        self.assertEqual(self.due(folder=folder), ["figure"])
        self.assertEqual(self.reproduce(folder=folder).returncode, 0)
        self.assertTrue((folder / "figures/stability.png").is_file())

    def test_until_and_one_verb_at_a_time(self):
        folder = Path(self.temporary.name) / "steps"
        result = self.reproduce(verb="rollout", folder=folder)
        self.assertEqual(result.returncode, 2)
        self.assertIn("is not trained", result.stderr)
        result = self.reproduce("--until", "train", folder=folder)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertFalse((folder / "truth").exists())
        # A stage that has to train further is no rollout's business, also where no stage has recorded the training.
        (folder / "models/gaussian/stage.json").unlink()
        result = self.reproduce("models.gaussian.training.steps=900", verb="rollout", folder=folder)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn("model 'gaussian' is not trained to the end", result.stderr)
        result = self.reproduce("--method", "gaussian", verb="rollout", folder=folder)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue((folder / "rollouts/gaussian.h5").is_file())
        self.assertFalse((folder / "rollouts/sns.h5").exists())
        result = self.reproduce(verb="evaluate", folder=folder)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue((folder / "evaluation/metrics.json").is_file())

    def test_a_killed_rollout_continues_bit_for_bit(self):
        folder = Path(self.temporary.name) / "killed"
        self.assertEqual(self.reproduce("--until", "train", folder=folder).returncode, 0)
        steps = "rollout.steps=3000"
        self.assertEqual(self.reproduce("--until", "truth", steps, folder=folder).returncode, 0)
        # Untrained frames grow; without a limit the members live, and the run lasts, until they overflow.
        command = [str(SNS), "rollout", str(QUICKSTART), "--scale", "smoke", f"run.output={folder}", steps,
                   "rollout.limit=1e30", "--method", "gaussian"]
        # SIGTERM: a checkpoint is written and the exit code says so.
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        partial = folder / "rollouts/gaussian.h5.partial"
        wait_for_frames(self, process, partial)
        process.send_signal(signal.SIGTERM)
        message = process.communicate()[1]
        self.assertEqual(process.returncode, 75, message)
        self.assertTrue((folder / "rollouts/gaussian.h5.checkpoint").exists())
        self.assertRegex(sns("info", folder).stdout,
                         rf"rollout/gaussian +begun \S+, not finished; goes on from step {stopped_step(message)}\n")
        # SIGKILL after that, with frames beyond the checkpoint in the file: the checkpoint still holds.
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.assertEqual(wait_until_it_continues(self, process), stopped_step(message))
        wait_for_frames(self, process, partial)
        process.kill()
        process.communicate()
        self.assertEqual(process.returncode, -signal.SIGKILL)
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreaterEqual(continued_step(done.stderr), stopped_step(message))  # later only on a slow machine
        with h5py.File(folder / "rollouts/gaussian.h5") as file:
            interrupted = file["vorticity"][:]
        self.assertTrue(np.isfinite(interrupted[:, stopped_step(message)]).all())  # else there was little to restore
        (folder / "rollouts/gaussian.stage.json").unlink()
        (folder / "rollouts/gaussian.h5").unlink()
        self.assertEqual(subprocess.run(command, capture_output=True).returncode, 0)
        with h5py.File(folder / "rollouts/gaussian.h5") as file:
            np.testing.assert_array_equal(interrupted.view(np.uint32), file["vorticity"][:].view(np.uint32))

    def test_an_experiment_that_is_killed_again_and_again_comes_to_the_same_results(self):
        folder = Path(self.temporary.name) / "killed_often"
        command = [str(SNS), "reproduce", str(QUICKSTART), "--scale", "smoke", f"run.output={folder}"]
        killed = []
        # What some stages leave first; the process is killed as soon as it is there.
        for sign in ("dataset/config.yaml", "truth/config.yaml", "models/sns/metrics.jsonl", "rollouts/gaussian.h5*", "rollouts/sns.h5*",
                     "evaluation/*", "figures/*"):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                       env={**os.environ, "SNS_PYTHON": sys.executable})
            while process.poll() is None and not list(folder.glob(sign)):
                time.sleep(0.001)
            process.kill()
            errors = process.communicate()[1]
            self.assertIn(process.returncode, (0, -signal.SIGKILL), errors)
            if process.returncode != 0:
                killed.append(sign)
                looked = sns("info", folder)
                self.assertEqual(looked.returncode, 0, looked.stderr)
                if sign == "models/sns/metrics.jsonl":  # the record is older than that
                    self.assertRegex(looked.stdout, r"train/sns +begun \S+, not finished")
        self.assertGreaterEqual(len(killed), 4, killed)  # a stage may be over before it is seen
        result = self.reproduce(folder=folder)
        self.assertEqual(result.returncode, 0, result.stderr)
        for name in ("gaussian", "sns"):
            weights = f"models/{name}/ema.safetensors"
            self.assertEqual((folder / weights).read_bytes(), (self.run_folder / weights).read_bytes())
            with h5py.File(folder / f"rollouts/{name}.h5") as file, h5py.File(self.run_folder / f"rollouts/{name}.h5") as whole:
                np.testing.assert_array_equal(file["vorticity"][:].view(np.uint32), whole["vorticity"][:].view(np.uint32))
        def scores(run):  # all but what was measured with a clock
            lines = (run / "evaluation/metrics.csv").read_text().splitlines()
            return [line for line in lines if not re.search("per_second|per_step|times_", line)]
        self.assertEqual(scores(folder), scores(self.run_folder))
        self.assertGreater(len(scores(folder)), 50)
        self.assertEqual(sorted(p.name for p in (folder / "figures").glob("[!.]*")),
                         sorted(p.name for p in (self.run_folder / "figures").glob("[!.]*")))
        self.assertTrue((folder / "report.html").is_file())

    def test_a_rollout_on_a_disk_that_fills_up(self):
        folder = Path(self.temporary.name) / "full"
        steps = ("rollout.steps=3000", "rollout.limit=1e30")
        for stage in ("train", "truth"):
            self.assertEqual(self.reproduce("--until", stage, *steps, folder=folder).returncode, 0)
        whole = folder / "rollouts/gaussian.h5"
        rollout = ("--method", "gaussian", *steps)
        self.assertEqual(self.reproduce(*rollout, verb="rollout", folder=folder).returncode, 0)
        (folder / "rollouts").rename(folder / "kept")
        mount_small_disk(self, folder / "rollouts", "3m")
        result = self.reproduce(*rollout, verb="rollout", folder=folder)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("not enough disk space", result.stderr)
        subprocess.run(["mount", "-o", "remount,size=20m", folder / "rollouts"], check=True)
        command = [SNS, "rollout", QUICKSTART, "--scale", "smoke", f"run.output={folder}", *rollout]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while not Path(f"{whole}.partial").exists() and process.poll() is None:
            time.sleep(0.002)
        filler = fill_disk(folder / "rollouts")
        err = process.communicate(timeout=600)[1]
        self.assertEqual(process.returncode, 1, err)
        errors = [line for line in err.splitlines() if line.startswith("sns: error")]
        self.assertEqual(len(errors), 1, err)
        self.assertIn("No space left on device", errors[0])
        filler.unlink()
        self.assertEqual(self.reproduce(*rollout, verb="rollout", folder=folder).returncode, 0)
        with h5py.File(whole) as file, h5py.File(folder / "kept/gaussian.h5") as other:
            np.testing.assert_array_equal(file["vorticity"][:].view(np.uint32), other["vorticity"][:].view(np.uint32))

    def test_damaged_shipped_weights_are_found_first(self):
        """Before the truth is made, which may take hours."""
        folder = Path(self.temporary.name) / "damaged"
        for damage, message in {
            "flipped": "does not have the SHA-256", "truncated": "truncated", "another network": "weights of another architecture",
            "absent": "ema.safetensors",
        }.items():
            with self.subTest(damage):
                weights = Path(self.temporary.name) / damage
                shutil.copytree(self.run_folder / "models/sns", weights)
                file = weights / "ema.safetensors"
                data = bytearray(file.read_bytes())
                if damage == "flipped":
                    sums = subprocess.run(["sha256sum", "ema.safetensors", "config.yaml"], cwd=weights, text=True,
                                          capture_output=True, check=True).stdout
                    (weights / "SHA256SUMS").write_text(sums)
                    data[-1] ^= 1
                elif damage == "another network":
                    data = (self.run_folder / "models/gaussian/ema.safetensors").read_bytes()
                file.write_bytes(data[:-100] if damage == "truncated" else data)
                if damage == "absent":
                    file.unlink()
                result = self.reproduce(f"models.sns.weights={weights}", folder=folder)
                self.assertEqual(result.returncode, 2 if damage == "absent" else 1, result.stderr)
                self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
                self.assertIn(message, result.stderr)
                self.assertFalse(folder.exists())

    def test_shipped_weights_replace_training(self):
        folder = Path(self.temporary.name) / "shipped"
        weights = [f"models.{name}.weights={self.run_folder / 'models' / name}" for name in ("gaussian", "sns")]
        result = self.reproduce(*weights, folder=folder)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertFalse((folder / "dataset").exists())
        record = json.loads((folder / "models/sns/shipped/stage.json").read_text())
        self.assertEqual(record["facts"]["weights"], "shipped")
        self.assertIn("retrain=true", (folder / "report.html").read_text())
        table = planned(self.reproduce("--dry-run", "retrain=true", *weights, folder=folder).stdout)
        self.assertTrue(table["train/sns"].startswith("will run"))
        result = self.reproduce(*weights, "models.sns.network.hidden=6", folder=folder)
        self.assertEqual(result.returncode, 2)
        self.assertIn("another network", result.stderr)
        result = self.reproduce(*weights, "datagen.steps_per_frame=4", folder=folder)
        self.assertEqual(result.returncode, 2)
        self.assertIn("0.04 time units apart", result.stderr)

    def test_shipped_weights_without_the_raw_ones(self):
        folder, weights = Path(self.temporary.name) / "averaged", Path(self.temporary.name) / "without raw"
        shutil.copytree(self.run_folder / "models/sns", weights)
        names = ("model.safetensors", "ema.safetensors", "config.yaml")
        sums = subprocess.run(["sha256sum", *names], cwd=weights, text=True, capture_output=True, check=True).stdout
        (weights / "SHA256SUMS").write_text(sums)
        given, until = f"models.sns.weights={weights}", ("--until", "train/sns")
        raw = "rollout.methods.sns.weights=raw"
        self.assertEqual(self.reproduce("--dry-run", given, raw, folder=folder).returncode, 0)
        self.assertEqual(self.reproduce(given, *until, folder=folder).returncode, 0)
        (weights / "model.safetensors").unlink()
        # The weights are the same ones as before, and averaged weights are all that the methods ask for.
        table = planned(self.reproduce("--dry-run", given, folder=folder).stdout)
        self.assertTrue(table["train/sns"].startswith("finished"), table)
        shutil.rmtree(folder)
        self.assertEqual(self.reproduce(given, *until, folder=folder).returncode, 0)
        kept = {file.name for file in (folder / "models/sns/shipped").iterdir()}
        self.assertTrue({"ema.safetensors", "config.yaml"} <= kept and "model.safetensors" not in kept, kept)
        shutil.rmtree(folder)
        for verb in ("reproduce", "check"):
            with self.subTest(verb):
                refused = self.reproduce(given, raw, verb=verb, folder=folder)
                self.assertEqual(refused.returncode, 2, refused.stderr)
                self.assertEqual(len(refused.stderr.strip().splitlines()), 1, refused.stderr)
                for part in ("rollout.methods.sns.weights is raw", str(weights), "weights: ema", "retrain=true"):
                    self.assertIn(part, refused.stderr)
                self.assertFalse(folder.exists())
        oracle = "oracle={model: sns, weights: raw}"
        self.assertIn("oracle.weights is raw", self.reproduce("--dry-run", given, oracle, folder=folder).stderr)
        self.assertEqual(self.reproduce("--dry-run", given, raw, "retrain=true", folder=folder).returncode, 0)

    def test_shipped_weights_keep_their_scale(self):
        folder = Path(self.temporary.name) / "scale"
        shipped = ("--dry-run", f"models.sns.weights={self.run_folder / 'models/sns'}")
        card = (self.run_folder / "models/sns/model_card.md").read_text()
        scale = re.search(r"divided by ([-+.\de]+)", card).group(1)
        other = f"models.sns.field_std={1.01 * float(scale)}"
        for overrides, code in (
            ((*shipped, f"models.sns.field_std={scale}"), 0),
            ((*shipped, f"models.sns.field_std=[{scale}]"), 0),
            ((*shipped, other), 2),
            ((*shipped, other, "retrain=true"), 0),
        ):
            with self.subTest(overrides):
                result = self.reproduce(*overrides, folder=folder)
                self.assertEqual(result.returncode, code, result.stderr)
                if code:
                    self.assertIn("models.sns.field_std is", result.stderr)
                    self.assertIn("were trained with", result.stderr)

    def test_shipped_weights_leave_trained_ones_alone(self):
        folder = Path(self.temporary.name) / "both"
        shutil.copytree(self.run_folder / "dataset", folder / "dataset")
        weights = [f"models.{name}.weights={self.run_folder / 'models' / name}" for name in ("gaussian", "sns")]
        trained = folder / "models/gaussian/model.safetensors"
        train = self.reproduce(*weights, "models.gaussian.training.seed=5", verb="train", folder=folder)
        self.assertEqual(train.returncode, 0, train.stderr)
        before = trained.read_bytes()
        self.assertEqual(self.reproduce(*weights, verb="rollout", folder=folder).returncode, 0)
        self.assertEqual(trained.read_bytes(), before)
        with h5py.File(folder / "rollouts/gaussian.h5") as own, h5py.File(self.run_folder / "rollouts/gaussian.h5") as other:
            self.assertEqual(own.attrs["weights_emulator_sha256"], other.attrs["weights_emulator_sha256"])
        # With retrain=true the trained ones are used as they are.
        done = self.reproduce(*weights, "models.gaussian.training.seed=5", "retrain=true", verb="rollout", folder=folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(trained.read_bytes(), before)
        with h5py.File(folder / "rollouts/gaussian.h5") as own, h5py.File(self.run_folder / "rollouts/gaussian.h5") as other:
            self.assertNotEqual(own.attrs["weights_emulator_sha256"], other.attrs["weights_emulator_sha256"])

    def test_training_anew_replaces_the_record_of_the_stage(self):
        folder = Path(self.temporary.name) / "anew"
        for part in ("dataset", "truth", "models"):
            shutil.copytree(self.run_folder / part, folder / part)
        changed = "models.gaussian.training.learning_rate=5e-4"
        refused = self.reproduce(changed, verb="train", folder=folder)
        self.assertEqual(refused.returncode, 2, refused.stderr)
        self.assertTrue((folder / "models/gaussian/stage.json").exists())
        anew = self.reproduce(changed, "--model", "gaussian", "--resume", "never", verb="train", folder=folder)
        self.assertEqual(anew.returncode, 0, anew.stderr)
        trained = (folder / "models/gaussian/model.safetensors").read_bytes()
        self.assertNotEqual(trained, (self.run_folder / "models/gaussian/model.safetensors").read_bytes())
        rolled = self.reproduce(changed, "--method", "gaussian", verb="rollout", folder=folder)
        self.assertEqual(rolled.returncode, 0, rolled.stderr)
        self.assertEqual(trained, (folder / "models/gaussian/model.safetensors").read_bytes())
        table = planned(self.reproduce("--dry-run", changed, folder=folder).stdout)
        self.assertTrue(table["train/gaussian"].startswith("finished"), table)

    def test_training_further_replaces_the_record_of_the_stage(self):
        folder = Path(self.temporary.name) / "further"
        for part in ("dataset", "truth"):
            shutil.copytree(self.run_folder / part, folder / part)
        # A rate that does not depend on how many steps there are, so that a training can go on.
        rate = "models.gaussian.training.schedule={name: step, size: 1000, gamma: 0.5}"
        made = self.reproduce("--until", "train/gaussian", rate, folder=folder)
        self.assertEqual(made.returncode, 0, made.stderr)
        further = "models.gaussian.training.steps=60"
        trained = self.reproduce(rate, further, "--model", "gaussian", verb="train", folder=folder)
        self.assertEqual(trained.returncode, 0, trained.stderr)
        self.assertIn("resuming at step 12", trained.stderr)
        table = planned(self.reproduce("--dry-run", rate, folder=folder).stdout)
        self.assertTrue(table["train/gaussian"].startswith("will run"), table)
        refused = self.reproduce("--until", "train/gaussian", rate, folder=folder)  # and leaves no record of its own
        self.assertEqual(refused.returncode, 2, refused.stderr)
        self.assertIn("was trained for 60 steps", refused.stderr)
        self.assertFalse((folder / "models/gaussian/stage.json").exists())
        rolled = self.reproduce(rate, further, "--method", "gaussian", verb="rollout", folder=folder)
        self.assertEqual(rolled.returncode, 0, rolled.stderr)

    def test_data_of_the_same_flow_go_on_under_their_name(self):
        folder = Path(self.temporary.name) / "named"
        made = self.reproduce("run.name=other", "datagen.compression=deflate", "datagen.trajectories_per_file=1",
                              verb="datagen", folder=folder)
        self.assertEqual(made.returncode, 0, made.stderr)
        lost = sorted((folder / "dataset/data/train").glob("other_*.h5"))[0]
        lost.unlink()
        again = self.reproduce("--until", "dataset", folder=folder)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertTrue(lost.exists())
        self.assertEqual(list((folder / "dataset/data").rglob("kolmogorov*")), [])
        self.assertEqual(sns("verify", folder / "dataset").returncode, 0)

    def test_the_smoke_scale_knows_every_model(self):
        """One that it forgets would be trained at its full size."""
        def models_of(file):
            """Names of the blocks under `models:`, those of the file's base included."""
            text = file.read_text()
            base = re.search(r"^base: (\S+)", text, re.M)
            names = models_of(file.parent / base[1]) if base else set()
            block = re.search(r"^models:\n((?:(?:  .*)?\n)+)", text, re.M)
            for name, value in re.findall(r"^  (\w+):(.*)$", block[1] if block else "", re.M):
                names = names - {name} if value.strip() == "null" else names | {name}
            return names

        for system in ("kolmogorov", "qg2layer"):
            folder = SOURCE / "yaml" / system
            overlay = next(f for f in (folder / "scales/smoke.yaml", SOURCE / "yaml/scales/smoke.yaml") if f.exists())
            self.assertIn("gaussian", models_of(overlay))
            for experiment in sorted(f for f in folder.glob("*.yaml") if not has_one_size(f)):
                with self.subTest(experiment.name):
                    self.assertLessEqual(models_of(experiment), models_of(overlay))

    def test_every_scale_of_every_experiment_is_valid(self):
        extra = {"figure1.yaml": {"video"}, "figure3.yaml": {"oracle"}, "oracle.yaml": {"oracle"}}
        for experiment in sorted((SOURCE / "yaml" / "kolmogorov").glob("*.yaml")):
            for scale in [[], *(["--scale", name] for name in ("smoke", "cpu", "paper"))]:
                with self.subTest(f"{experiment.name} {scale}"):
                    result = sns("reproduce", experiment, *scale, "--dry-run", f"run.output={self.temporary.name}/none",
                                 cwd=self.temporary.name)
                    if has_one_size(experiment) and scale:
                        self.assertEqual(result.returncode, 2, result.stderr)
                        self.assertIn("has one size (run.one_size)", result.stderr)
                        continue
                    self.assertEqual(result.returncode, 0, result.stderr)
                    kinds = {stage.split("/")[0] for stage in planned(result.stdout)}
                    self.assertEqual(kinds - {stage.split("/")[0] for stage in STAGES}, extra.get(experiment.name, set()))

    def test_models_that_no_method_uses_are_left_alone(self):
        # Not even that it cannot be trained on these data is of interest.
        spare = "models.spare={kind: gaussian, network: {hidden: 4, blocks: 1}, training: {steps: 2, rollout: {max_length: 5000}}}"
        result = self.reproduce(spare, "--dry-run")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn("train/spare", planned(result.stdout))
        self.assertIn("train/gaussian", planned(result.stdout))
        self.assertRegex(result.stderr, r"models\.spare is used by no method.*sns train .*quickstart\.yaml .*--model spare trains it")

    def test_bad_input_is_one_clear_line(self):
        for override, message in {
            "rollout.methods.sns.refinr=x": "refiner",
            "rollout.methods.sns.refiner=gaussian": "not a model of kind sns",
            "rollout.methods.sns.path=D": "A, B, C",
            "rollout.methods.sns.level_floor=20": "below the refiner's 20 levels",
            "models.sns.weights=/nowhere": "retrain=true",
            "rollout.members=0": "between 1 and 100000",
            "rollout.members=[0, 2147483647]": "below 100000",
            "rollout.steps=9223372036854775807": "between 1 and",
            "models.gaussian.training.rollout.max_length=5000": "its training takes windows of 5001 frames, and datagen.frames is",
            "figure.folder=truth": "is the name of another folder in a run",
            "figure.folder=figures.previous": "is the name of another folder in a run",
            "figure.folder=../figures": "without a path",
        }.items():
            with self.subTest(override):
                result = self.reproduce(override)
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertIn(message, result.stderr)
                self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
        self.assertEqual(sns("reproduce", QUICKSTART, "--scale", "gigantic").returncode, 2)
        self.assertEqual(self.reproduce("--until", "breakfast").returncode, 2)


if __name__ == "__main__":
    run_tests(verbosity=2)
