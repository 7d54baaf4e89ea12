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
import report_text


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

        for name in ("figure1", "dynamics", "stability", "levels", "temporal", "traversals"):
            pixels = matplotlib.image.imread(self.path / "figures" / f"{name}.png")
            self.assertGreater(pixels.shape[1], 900, name)
            self.assertGreater(pixels.std(), 0.05, f"{name} is blank")
            self.assertTrue((self.path / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF"))

    def test_report_is_one_self_contained_file(self):
        self.assertEqual(self.report.count("data:image/png;base64,"), 7)
        self.assertNotRegex(self.report, r'(src|href)="(?!data:)')
        self.assertNotRegex(self.report, r"\$\{?[a-z_]+")

    def test_summary_says_what_the_numbers_say(self):
        text = re.sub(r"<[^>]+>", "", self.report)
        self.assertIn("diverging: 0 of 4 members stayed within", text)
        self.assertIn("copy: all 4 members stayed within 2 times the solver's range", text)
        self.assertIn("the refined other is nearer to the solver's spectrum than diverging for 4 of 4", text)
        self.assertIn("slower than it: diverging (5 times its time), copy (4.17 times its time)", text)
        self.assertIn("(2 of 4 lost)", text)

    def test_departures_from_the_paper_are_stated(self):
        for words in ("refiner</strong> were not trained in this run", "sns reproduce example.yaml retrain=true",
                      "level 2 at least", "plain is deliberately small: 4 hidden channels", "200 noise levels",
                      "A note of the caller.", "viscosity 0.01 on 16 x 16"):
            self.assertIn(words, self.report)

    def test_user_text_is_escaped(self):
        self.assertIn("Example &lt;run&gt;", self.report)

    def test_table_on_stdout(self):
        self.assertRegex(self.table, r"Members stable to the end +all +0 \[0, 0\.\d+\] +1 \[")
        self.assertRegex(self.table, r"First unstable step +all +\d+ \[\d+, \d+\] +never +never +never")


class CostSentence(unittest.TestCase):
    """Only methods that ran as the solver did are said to be faster or slower than it."""

    @staticmethod
    def text(solver=True, **ratios):
        """The sentence for methods {name: time over the solver's, None where they are not comparable}."""
        methods = [{"name": name, "cost": {"evaluations_per_step": {"surrogate": 1, "denoiser": 2},
                                           "milliseconds_per_step": None if ratio is None else 4 * ratio,
                                           "times_solver": ratio}} for name, ratio in ratios.items()]
        cost = {"milliseconds_per_step": 4.0, "points": 64, "threads": 1} if solver else None
        return report_text.cost_sentence({"methods": methods, "solver_cost": cost})

    def test_faster_and_slower_are_told_apart(self):
        text = self.text(plain=0.25, refined=3.0, slow=40.0)
        self.assertIn("faster than it: plain (0.250 times its time).", text)
        self.assertIn("slower than it: refined (3 times its time), slow (40 times its time).", text)
        self.assertNotIn("No comparison", text)
        self.assertNotIn("claim of speed", text)

    def test_all_slower(self):
        text = self.text(plain=1.5)
        self.assertNotIn("faster", text)
        self.assertIn("slower than it: plain (1.50 times its time). Nothing here is a claim of speed.", text)

    def test_all_faster(self):
        text = self.text(plain=0.1, refined=0.5)
        self.assertIn("faster than it: plain (0.100 times its time), refined (0.500 times its time).", text)
        self.assertNotIn("slower", text)
        self.assertNotIn("claim of speed", text)

    def test_other_devices_and_missing_times_are_not_compared(self):
        text = self.text(gpu=None, other=None, refined=2.0)
        self.assertIn("slower than it: refined (2 times its time).", text)
        self.assertIn("No comparison for gpu, other:", text)
        alone = self.text(gpu=None)
        self.assertNotIn("slower", alone)
        self.assertNotIn("faster", alone)

    def test_without_the_solver_s_time(self):
        text = self.text(solver=False, plain=None)
        self.assertTrue(text.startswith("Cost: plain 3 network evaluations per step"))
        self.assertNotIn("solver", text)


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
