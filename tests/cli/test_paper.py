#!/usr/bin/env python3
"""Figures of the paper that share runs, at smoke scale, from one file: test_paper.py <sns> <source folder>."""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py

SNS, SOURCE = Path(sys.argv.pop(1)).resolve(), Path(sys.argv.pop(1)).resolve()
PAPER = SOURCE / "yaml" / "paper.yaml"
# Small pictures and short rollouts: most of the time would go into them.
QUICK = ["rollout.steps=20", "evaluate.window=10", "evaluate.bootstrap=20", "figure.pdf=false", "figure.dpi=40",
         "video.seconds=1", "video.fps=4"]
FIGURES = {"figure1": ["figure1", "stability", "dynamics"], "figure3": ["oracle"], "figure5": ["temporal", "dynamics"],
           "figure7": ["levels", "stability"], "figure8": ["traversals", "levels"]}
LAYERS = dict.fromkeys(("figure4", "figure9"), ["figure1", "stability", "dynamics_q_upper", "dynamics_q_lower"])
ALL = [*FIGURES.items(), *LAYERS.items()]
WITH_VIDEO = 3  # figures 1, 4 and 9


class Paper(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        files = [*(SOURCE / "yaml" / "kolmogorov" / f"{name}.yaml" for name in FIGURES),
                 *(SOURCE / "yaml" / "qg2layer" / f"{name}.yaml" for name in LAYERS)]
        cls.some = cls.folder / "some.yaml"
        cls.some.write_text("title: Some\noutput: runs/some\nexperiments:\n" + "".join(f"  - {f}\n" for f in files))
        cls.first = cls.reproduce()
        assert cls.first.returncode == 0, cls.first.stderr
        cls.kolmogorov = cls.folder / "runs" / "kolmogorov-paper-smoke"
        cls.layers = cls.folder / "runs" / "qg2layer-paper-smoke"

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    @classmethod
    def reproduce(cls, *arguments, file=None, without_ffmpeg=False):
        environment = {**os.environ, "SNS_PYTHON": sys.executable}
        quick = [] if "--scale" in arguments else [*QUICK, "--scale", "smoke"]
        if without_ffmpeg:
            (cls.folder / "imageio_ffmpeg.py").write_text("raise ImportError('gone')\n")
            environment |= {"PYTHONPATH": str(cls.folder), "PATH": "/nowhere"}
        command = [str(SNS), "reproduce", str(file or cls.some), *quick, *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cls.folder)

    def test_every_figure_is_drawn(self):
        for run, expected in ((self.kolmogorov, FIGURES), (self.layers, LAYERS)):
            for folder, names in expected.items():
                self.assertTrue((run / folder / "report.html").is_file(), folder)
                self.assertTrue((run / folder / "config.yaml").is_file(), folder)
                drawn = {path.stem for path in (run / folder / "figures").glob("*.png")}
                self.assertEqual(drawn - {"training"}, set(names), folder)
            self.assertFalse((run / "report.html").exists())

    def test_what_experiments_share_is_made_once(self):
        made = [line.split("]")[1].split()[0] for line in self.first.stderr.splitlines() if re.search(r"\[\d+/\d+\] ", line)]
        shared = [stage for stage in made if stage.split("/")[0] in ("train", "rollout")]
        self.assertEqual(shared.count("train/gaussian"), 2)  # one of each flow
        for stage, times in {"train/sns": 2, "rollout/sns": 2, "rollout/acdm": 1, "rollout/thermalizer": 1}.items():
            self.assertEqual(shared.count(stage), times)
        self.assertEqual(made.count("dataset"), 2)
        self.assertEqual(made.count("truth"), 2)
        self.assertEqual(made.count("evaluate"), len(ALL) - 1)  # figure 3 is of the oracle alone

    def test_a_second_run_has_nothing_to_do(self):
        second = self.reproduce()
        self.assertEqual(second.returncode, 0, second.stderr)
        self.assertEqual(len(re.findall(r"all \d+ stages were finished", second.stdout)),
                         len(ALL) - (0 if self.has_ffmpeg() else WITH_VIDEO))

    @staticmethod
    def has_ffmpeg():
        """Whether plot/video.py finds one: then a video that is not made is a failure."""
        return importlib.util.find_spec("imageio_ffmpeg") is not None or shutil.which("ffmpeg") is not None

    def test_one_page_shows_them_all(self):
        page = self.folder / "runs" / "some-smoke" / "report.html"
        text = page.read_text()
        titles = re.findall(r"<h2>([^<]*)</h2>", text)
        self.assertEqual(titles, [*(f"kolmogorov-{name}" for name in FIGURES), *(f"qg2layer-{name}" for name in LAYERS)])
        pictures = [name for _, names in ALL for name in names]
        self.assertEqual(text.count("data:image/png;base64,"), len(pictures))
        links = re.findall(r'href="([^"]*)"', text)
        self.assertEqual(len(links), len(ALL))
        for link in links:
            self.assertTrue((page.parent / link).is_file(), link)
        self.assertEqual(text.count("<summary>Main metrics</summary>"), len(ALL) - 1)

    def test_a_results_page_of_both_flows(self):
        page, prose = self.folder / "results.md", self.folder / "prose.md"
        prose.write_text("Wiring only.\n\n# Flows\n\n## kolmogorov-figure1: Kolmogorov flow\n\nNothing to see.\n")
        made = subprocess.run([sys.executable, SOURCE / "plot" / "results.py", self.kolmogorov, self.layers, "--page", page,
                               "--images", self.folder / "pictures", "--discussion", prose], capture_output=True, text=True)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertEqual(made.stderr.count("says nothing of"), len(ALL) - 1)
        names = [*(f"kolmogorov-{name}" for name in FIGURES), *(f"qg2layer-{name}" for name in LAYERS)]
        pages = {path.stem: path.read_text() for path in self.folder.glob("results/*.md")}
        self.assertEqual(sorted(pages), sorted([*names, "provenance"]))
        self.assertEqual(sorted(re.findall(r"^- \[.*\]\(results/(.*)\.md\)$", page.read_text(), re.M)), sorted(names))
        links = [link for text in pages.values() for link in re.findall(r"!\[\w+\]\((\S+)\)", text)]
        self.assertEqual(len(links), sum(len(names) for _, names in ALL))
        for link in links:
            self.assertTrue((self.folder / "results" / link).is_file(), link)
        self.assertEqual(sum(text.count("## Main metrics") for text in pages.values()), len(ALL) - 1)
        for words in ("## kolmogorov-paper-smoke", "| train/sns_clean |", "| evaluate (figure8) |", "| oracle (figure3) |"):
            self.assertIn(words, pages["provenance"])
        # One flow's results made again beside other prose: nothing else of the pages changes.
        prose.write_text("Wiring only.\n\n# Flows\n\n## kolmogorov-figure1: Kolmogorov flow\n\nSomething.\n")
        pictures = {path: path.stat().st_mtime_ns for path in self.folder.glob("pictures/kolmogorov*/*.png")}
        made = subprocess.run([sys.executable, SOURCE / "plot" / "results.py", self.layers, "--update", "--page", page,
                               "--images", self.folder / "pictures", "--discussion", prose], capture_output=True, text=True)
        self.assertEqual(made.returncode, 0, made.stderr)
        for name, text in pages.items():
            self.assertEqual((self.folder / "results" / f"{name}.md").read_text(), text.replace("Nothing to see.", "Something."))
        self.assertEqual({path: path.stat().st_mtime_ns for path in self.folder.glob("pictures/kolmogorov*/*.png")}, pictures)

    def test_the_oracle_s_curve(self):
        oracle = json.loads((self.kolmogorov / "figure3" / "oracle" / "oracle.json").read_text())
        self.assertEqual((oracle["level"], oracle["levels"], len(oracle["error"])), (18, 20, 20))
        self.assertEqual(len(oracle["trajectories"]), 4)
        for entry in oracle["error"]:
            self.assertLessEqual(entry["low"], entry["value"])
            self.assertGreaterEqual(entry["high"], entry["value"])
        report = (self.kolmogorov / "figure3" / "report.html").read_text()
        weights = self.kolmogorov / "models" / "sns" / f"{'model' if oracle['weights'] == 'raw' else 'ema'}.safetensors"
        self.assertEqual(oracle["weights_sha256"], hashlib.sha256(weights.read_bytes()).hexdigest())
        self.assertIn(oracle["weights_sha256"], report)
        self.assertIn("at noise level 18 by sns, which was trained on levels 0 to 19", report)
        self.assertNotIn("Main metrics", report)

    def test_traversals_print_the_metrics_of_the_table(self):
        metrics = json.loads((self.kolmogorov / "figure8" / "evaluation" / "metrics.json").read_text())
        self.assertEqual([m["name"] for m in metrics["methods"]], ["sns", "sns_B", "sns_C", "sns_fixed", "sns_clean"])
        for method in metrics["methods"]:
            for name in ("spectrum_distance/all", "mean_field_distance/all", "autocorrelation_error/late"):
                self.assertIn(name, method["results"])

    def test_the_video_shows_solver_and_methods(self):
        if not self.has_ffmpeg():
            self.skipTest("no ffmpeg here")
        self.assertNotIn("the video was not made", self.first.stderr)
        video = (self.kolmogorov / "figure1" / "video" / "rollout.mp4").read_bytes()
        self.assertEqual(video[4:8], b"ftyp")
        self.assertIn("data:video/mp4;base64,", (self.kolmogorov / "figure1" / "report.html").read_text())

    def test_without_ffmpeg_there_is_a_warning_and_all_else(self):
        figure1 = SOURCE / "yaml" / "kolmogorov" / "figure1.yaml"
        made = self.reproduce("figure.folder=silent", "figure.kinds=[stability, video]", file=figure1, without_ffmpeg=True)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertIn("a video needs ffmpeg", made.stderr)
        self.assertIn("the video was not made", made.stderr)
        silent = self.kolmogorov / "silent"
        self.assertIn("The video was not made.", (silent / "report.html").read_text())
        again = self.reproduce("figure.folder=silent", "figure.kinds=[stability, video]", "--dry-run", file=figure1)
        self.assertRegex(again.stdout, r"video +will run: could not be made last time")
        self.assertRegex(again.stdout, r"report +will run: was made without video")

    def test_the_paper_s_list_is_whole(self):
        for scale in ("smoke", "cpu", "paper"):
            planned = self.reproduce("--dry-run", "--scale", scale, file=PAPER)
            self.assertEqual(planned.returncode, 0, planned.stderr)
            files = re.findall(r"^\S*/(\w+/figure\d\.yaml)$", planned.stdout, re.M)
            self.assertEqual(sorted(files), sorted(str(f.relative_to(SOURCE / "yaml")) for f in (SOURCE / "yaml").glob(
                "*/figure*.yaml")))

    def test_the_other_list_is_of_experiments_that_change_another_one(self):
        for scale in ("smoke", "cpu", "paper"):
            planned = self.reproduce("--dry-run", "--scale", scale, file=PAPER.with_name("beyond.yaml"))
            self.assertEqual(planned.returncode, 0, planned.stderr)
            files = re.findall(r"^\S*/(\w+/\w+\.yaml)$", planned.stdout, re.M)
            self.assertEqual(len(files), 12)
            for file in files:
                base = re.search(r"^base: (\S+)", (SOURCE / "yaml" / file).read_text(), re.M)
                self.assertIsNotNone(base, file)

    def test_experiments_without_a_stage_have_nothing_to_do_up_to_it(self):
        for stage, left_out in (("rollout", ["figure3"]), ("oracle", [name for name, _ in ALL if name != "figure3"])):
            planned = self.reproduce("--dry-run", "--until", stage)
            self.assertEqual(planned.returncode, 0, planned.stderr)
            nothing = re.findall(r"/(\w+)\.yaml\n  nothing to do: there is no stage '(\w+)'", planned.stdout)
            self.assertEqual(nothing, [(name, stage) for name in left_out])
        refused = self.reproduce("--until", "rolout")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("there is no stage 'rolout'", refused.stderr)

    def test_a_bad_collection_is_one_clear_line(self):
        refused = self.reproduce("run.output=elsewhere")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("each have their own", refused.stderr)
        bad = self.folder / "bad.yaml"
        bad.write_text("experiments: [nowhere.yaml]\n")
        refused = self.reproduce(file=bad)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("there is no file", refused.stderr)
        self.assertIn("bad.yaml:1", refused.stderr)
        rolled = subprocess.run([str(SNS), "rollout", str(PAPER)], capture_output=True, text=True)
        self.assertEqual(rolled.returncode, 2)
        self.assertIn("only 'sns reproduce' and 'sns check' take", rolled.stderr)

    def test_check_says_what_all_of_them_take_and_counts_what_they_share_once(self):
        def check(*options):
            done = subprocess.run([str(SNS), "check", str(PAPER), *options, "run.device=cpu"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout

        text = check("--scale", "cpu")
        adds = dict(re.findall(r"^\S+/(\w+)\.yaml\n  output .*\n  adds +(.*)$", text, re.M))
        self.assertEqual(set(adds), {"figure1", "figure3", "figure5", "figure7", "figure8", "figure4", "figure9"})
        self.assertIn("truth", adds["figure1"])
        self.assertRegex(adds["figure5"], r"^about [\d.]+ (s|min) and 0 B: evaluation [\d.]+ (s|min)$")  # figure1's rollouts, evaluated otherwise
        self.assertRegex(adds["figure8"], r": rollouts [\d.]+ (min|h), evaluation [\d.]+ (s|min)$")
        total = re.search(r"^in all +about .* and ([\d.]+) GB: truth .*, rollouts .*, oracle", text, re.M)
        disk = [float(number) * {"k": 1e-6, "M": 1e-3, "G": 1}[unit]
                for number, unit in re.findall(r"adds .* and ([\d.]+) ([kMG])B", text)]
        self.assertAlmostEqual(float(total[1]), sum(disk), delta=0.2)
        self.assertRegex(text, r"retrain=true adds  about [\d.]+ (min|h)")
        retrained = check("--scale", "cpu", "retrain=true")
        self.assertRegex(retrained, r"in all +about .*: data set .*, truth .*, training .*, rollouts")
        self.assertNotIn("retrain=true adds", retrained)
        # Of the trainings that are to come, and of none where weights are shipped.
        self.assertEqual(len(re.findall(r"^  memory +[\d.]+ [MG]B in the training of \w+$", retrained, re.M)), len(adds))
        self.assertNotIn("in the training of", text)
        refused = subprocess.run([str(SNS), "check", str(PAPER), "--resolved"], capture_output=True, text=True)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("name one of them", refused.stderr)

    def test_the_first_and_last_steps_are_there(self):
        with h5py.File(self.kolmogorov / "figure5" / "evaluation" / "curves.h5") as file:
            sns = file["field/vorticity/method/sns"]
            self.assertEqual(sns["temporal_frames"][...].tolist(), [[0, 10], [10, 20]])
            self.assertEqual(sns["rate_end"].shape, (2, 10))
            self.assertEqual(sns["autocorrelation_begin"].shape, (2, 6))


if __name__ == "__main__":
    unittest.main(verbosity=2)
