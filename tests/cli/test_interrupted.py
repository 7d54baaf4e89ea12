"""Rollouts by every method, and ensembles, that are stopped, killed and finished."""

import shutil
import signal
import tempfile
from pathlib import Path

import h5py
from sns_case import SnsCase, arrays, continued_step, sns, stopped_step, wait_for_frames, wait_until_it_continues
from test_methods import EXTRA, METHODS

OTHERS = ("gaussian", "thermalizer", "acdm", "sns_clean", "sns_lagged", "sns_generated", "sns_clean_generated", "solver_coarse",
          "solver_between")  # than sns and the solver of these tests


def setUpModule():
    """Networks for all tests, hardly trained."""
    global TEMPORARY, RUN
    TEMPORARY = tempfile.TemporaryDirectory()
    RUN = Path(TEMPORARY.name) / "run"
    result = sns("reproduce", METHODS, "--scale", "smoke", f"run.output={RUN}", *EXTRA, "--until", "train")
    assert result.returncode == 0, result.stderr


def tearDownModule():
    TEMPORARY.cleanup()


class Interrupted(SnsCase):
    """A rollout that is stopped, then killed, then finished has the bytes of one that ran through."""

    STEPS = 250
    # Small steps, lest it be over before it is interrupted.
    SOLVER = "rollout.methods.solver={solver: {grid: {points: 24}, stepper: {dt: 1.0e-4}}}"

    def setUp(self):
        super().setUp()
        self.run_folder = self.folder / "run"
        shutil.copytree(RUN, self.run_folder)

    def command(self, verb, *more):
        return [verb, METHODS, "--scale", "smoke", f"run.output={self.run_folder}", *EXTRA, self.SOLVER,
                "rollout.members=2", "rollout.limit=1e30", f"rollout.steps={self.STEPS}", *more]

    def finished(self, file):
        """The numbers of a finished rollout, which is taken away."""
        found = arrays(file)
        with h5py.File(file) as rollout:  # of every step, those before an interruption, too
            self.assertTrue((rollout["step_seconds"][1:] > 0).all())
        file.unlink()
        file.with_name(f"{file.stem}.stage.json").unlink()
        return found

    def begin_and_stop(self, file, *command):
        """Stops a rollout by SIGTERM when it has written frames; returns what it leaves and the step that it says."""
        partial = file.with_name(f"{file.name}.partial")
        process = self.start(*command)
        wait_for_frames(self, process, partial)
        process.send_signal(signal.SIGTERM)
        message = process.communicate(timeout=600)[1]
        self.assertEqual(process.returncode, 75, message)
        return partial, stopped_step(message)

    def interrupt_and_compare(self, file, *command):
        self.sns(*command)
        whole = self.finished(file)
        partial, stopped = self.begin_and_stop(file, *command)
        # Killed when it has written frames beyond the checkpoint.
        process = self.start(*command)
        self.assertEqual(wait_until_it_continues(self, process), stopped)
        wait_for_frames(self, process, partial)
        process.kill()
        process.communicate(timeout=600)
        self.assertEqual(process.returncode, -signal.SIGKILL)
        _, log = self.sns(*command)
        self.assertGreaterEqual(continued_step(log), stopped)  # on a slow machine there may be a later one
        self.assertEqual(self.finished(file), whole)

    def test_every_method(self):
        for method in ["sns", "sns_lagged", "thermalizer", "acdm", "solver"]:
            with self.subTest(method):
                self.interrupt_and_compare(self.run_folder / f"rollouts/{method}.h5", *self.command("rollout", "--method", method))

    def test_what_an_earlier_version_began_is_made_again(self):
        """A part without the times of its steps: padded ones would be no times."""
        file, command = self.run_folder / "rollouts/solver.h5", self.command("rollout", "--method", "solver")
        self.sns(*command)
        whole = self.finished(file)
        partial, _ = self.begin_and_stop(file, *command)
        with h5py.File(partial, "r+") as rollout:
            del rollout["step_seconds"]
        _, log = self.sns(*command)
        self.assertRegex(log, r"step_seconds.*; the rollout starts again")
        self.assertEqual(self.finished(file), whole)

    def test_ensembles(self):
        alone = [f"rollout.methods.{name}=null" for name in OTHERS]
        command = self.command("evaluate", *alone, f"rollout.ensemble={{members: 2, perturbation: 1.0e-3, steps: {self.STEPS}}}")
        for method in ["sns", "solver"]:
            with self.subTest(method):
                self.interrupt_and_compare(self.run_folder / f"rollouts/ensembles/{method}.h5", *command)
