#!/usr/bin/env python3
"""Figures and report, from an example evaluation: test_plots.py <write_example_evaluation> <plot folder>."""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

MAKE_EXAMPLE, PLOT = Path(sys.argv.pop(1)), Path(sys.argv.pop(1))
sys.path.insert(0, str(PLOT))
import report_cost


def run(*command, **options):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)


class Drawn(unittest.TestCase):
    """The path of the program: evaluation, figures and report in one go."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = Path(cls.folder.name)
        result = run(MAKE_EXAMPLE, cls.path, "--draw", env={**os.environ, "SNS_PYTHON": sys.executable})
        assert result.returncode == 0, result.stderr
        cls.table = result.stdout
        cls.report = (cls.path / "report.html").read_text()

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_figures_are_there_in_both_formats(self):
        import matplotlib.image

        for name in ("figure1", "dynamics", "stability", "levels", "temporal", "traversals", "forecast"):
            pixels = matplotlib.image.imread(self.path / "figures" / f"{name}.png")
            self.assertGreater(pixels.shape[1], 900, name)
            self.assertGreater(pixels.std(), 0.05, f"{name} is blank")
            self.assertTrue((self.path / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF"))

    def test_report_is_one_self_contained_file(self):
        self.assertEqual(self.report.count("data:image/png;base64,"), 8)
        self.assertNotRegex(self.report, r'(src|href)="(?!data:)')
        self.assertNotRegex(self.report, r"\$\{?[a-z_]+")

    def test_summary_says_what_the_numbers_say(self):
        text = re.sub(r"<[^>]+>", "", self.report)
        self.assertIn("diverging: 0 of 4 members stayed within", text)
        self.assertIn("copy: all 4 members stayed within 2 times the solver's range", text)
        self.assertIn("the refined other is nearer to the solver's spectrum than diverging for 4 of 4", text)
        self.assertIn("diverging is 5 times slower than the solver that made the data; no coarser solver was run", text)
        self.assertIn("copy is 4.17 times slower", text)
        self.assertIn("(2 of 4 lost)", text)

    def test_departures_from_the_paper_are_stated(self):
        for words in ("refiner</strong> were not trained in this run", "sns reproduce example.yaml retrain=true",
                      "level 2 at least", "plain is deliberately small: 4 hidden channels", "200 noise levels",
                      "A note of the caller.", "viscosity 0.01 on 16 x 16"):
            self.assertIn(words, self.report)

    def test_ceilings_and_ensembles_stand_in_the_short_term(self):
        text = re.sub(r"<[^>]+>", " ", self.report.split("Short term</h2>")[1].split("<h2>")[0])
        self.assertRegex(text, r"solver vs solver\s+solver.{1,6}s ensemble\s+climatology\s+persistence")
        self.assertRegex(text, r"Fair CRPS of the ensemble \(std\)")
        self.assertIn("Spread / skill of the ensemble", text)
        self.assertIn("The energy budget is not available: the data set does not say what drives", self.report)

    def test_user_text_is_escaped(self):
        self.assertIn("Example &lt;run&gt;", self.report)

    def test_table_on_stdout(self):
        self.assertRegex(self.table, r"Members stable to the end +all +0 \[0, 0\.\d+\] +1 \[")
        self.assertRegex(self.table, r"First unstable step +all +\d+ \[\d+, \d+\] +never +never +never")


class Cost(unittest.TestCase):
    """A speed-up is claimed over a solver whose metrics are as good, and over no other."""

    COARSE = {"name": "coarse", "cost": {"evaluations_per_step": {}, "milliseconds_per_step": 0.5,
                                         "solver": {"points": 32, "steps_per_frame": 3}}}

    def text(self, *methods, equal=None, reference=3.0, ratio=None, better=None):
        """The paragraphs for an emulator "sns", beside other methods."""
        sns = {"name": "sns", "cost": {"evaluations_per_step": {"surrogate": 1, "denoiser": 2},
                                       "milliseconds_per_step": 12.0, "solver": None}}
        metrics = {"methods": [sns, *methods], "metrics": [{"id": "w1/late", "label": "W1"}],
                   "solver_cost": {"milliseconds_per_step": 4.0, "points": 64, "threads": 1},
                   "speed": [{"method": "sns", "times_reference": reference, "equal_solver": equal, "equal_points": 32,
                              "times_equal": ratio, "better_than": better or {}}]}
        return re.sub(r"<[^>]+>", "", report_cost.cost_summary(metrics))

    def test_work_and_time(self):
        text = self.text(self.COARSE)
        self.assertIn("Cost: sns 3 network evaluations per step and 12 ms per step; coarse 3 solver steps per step", text)
        self.assertIn("in 4 ms (64 x 64 points, 1 threads)", text)
        self.assertIn("A speed-up is claimed only at equal metrics.", text)

    def test_slower_than_an_equal_solver(self):
        text = self.text(self.COARSE, equal="coarse", ratio=24.0)
        self.assertIn("sns is 3 times slower than the solver that made the data; it is 24 times slower than coarse (32 x 32 "
                      "points), the coarsest solver whose metrics are statistically as good: no speed-up", text)

    def test_faster_than_an_equal_solver(self):
        text = self.text(self.COARSE, equal="coarse", ratio=0.25, reference=0.1)
        self.assertIn("10 times faster than the solver that made the data; it is 4 times faster than coarse", text)
        self.assertIn(": a speed-up at equal metrics.", text)

    def test_faster_than_the_data_s_solver_alone_is_no_claim(self):
        text = self.text(reference=0.5)
        self.assertIn("2 times faster than the solver that made the data; no coarser solver was run, so that no speed-up", text)

    def test_better_than_every_coarse_solver(self):
        text = self.text(self.COARSE, better={"coarse": ["w1/late"]})
        self.assertIn("no coarser solver among the methods has metrics as good", text)
        self.assertIn("Its metrics are better than those of coarse in: W1.", text)

    def test_other_devices_are_not_compared(self):
        text = self.text(self.COARSE, equal="coarse", reference=None, ratio=None)
        self.assertIn("is not compared with the solver that made the data", text)
        self.assertIn("but ran on another device or other threads", text)
        self.assertNotIn("faster", text)


class Failures(unittest.TestCase):
    def test_missing_package_has_its_own_exit_code(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "h5py.py").write_text("raise ImportError('gone', name='h5py')\n")
            result = run(sys.executable, PLOT / "figures.py", folder,
                         env={**os.environ, "PYTHONPATH": folder})
        self.assertEqual(result.returncode, 3)
        self.assertIn("plotting needs the Python package h5py", result.stderr)

    def test_missing_python_leaves_the_numbers(self):
        with tempfile.TemporaryDirectory() as folder:
            result = run(MAKE_EXAMPLE, folder, "--draw", env={**os.environ, "SNS_PYTHON": "/nowhere/python3"})
            self.assertEqual(result.returncode, 1)
            self.assertIn("the figures were not made: Python 3 could not be started", result.stderr)
            self.assertTrue((Path(folder) / "evaluation" / "metrics.json").exists())

    def test_folder_without_an_evaluation(self):
        with tempfile.TemporaryDirectory() as folder:
            result = run(sys.executable, PLOT / "figures.py", folder)
        self.assertEqual(result.returncode, 1)
        self.assertIn("run sns evaluate first", result.stderr)
        self.assertNotIn("Traceback", result.stderr)


if __name__ == "__main__":
    unittest.main()
