#!/usr/bin/env python3
"""Figures and report, from an example evaluation: test_plots.py <write_example_evaluation> <plot folder>."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

MAKE_EXAMPLE, PLOT = Path(sys.argv.pop(1)), Path(sys.argv.pop(1))
sys.path.insert(0, str(PLOT))
import common
import excerpts
import families
import github_markdown
import levels
import PIL.Image
import report
import report_levels
import report_text
import results
import run_record
import snapshots
import video


def run(*command, **options):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)


def setUpModule():
    """The path of the program: evaluation, figures and report in one go."""
    global TEMPORARY, RUN, TABLE
    TEMPORARY = tempfile.TemporaryDirectory()
    RUN = Path(TEMPORARY.name) / "run"
    result = run(MAKE_EXAMPLE, RUN, "--draw", env={**os.environ, "SNS_PYTHON": sys.executable})
    assert result.returncode == 0, result.stderr
    TABLE = result.stdout


def tearDownModule():
    TEMPORARY.cleanup()


class Legend(unittest.TestCase):
    def test_it_has_the_columns_that_fit(self):
        def columns(label):
            figure, axes = common.plt.subplots(figsize=(6, 3), layout="constrained")
            for number in range(8):
                axes.plot([0, 1], label=f"{label} {number}")
            common.shared_legend(figure, [axes], 8)
            figure.draw_without_rendering()
            legend = figure.legends[0]
            width = legend.get_window_extent(figure.canvas.get_renderer()).width
            self.assertLess(width, figure.bbox.width)
            common.plt.close(figure)
            return legend._ncols
        self.assertGreater(columns("a"), 5)
        self.assertIn(columns("sns_trained_every_4"), (2, 3))

    def test_panels_side_by_side_keep_theirs_apart(self):
        """Of the levels: long names took the neighbour's room."""
        class Curves(dict):
            label, color, dash = "sns_trained_every_4", "#0072B2", "-"

        method = Curves({name: common.np.array([9, 1]) for name in levels.PANELS})
        figure, panels = common.plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
        for axes, name in zip(panels, levels.PANELS):
            levels.draw_panel(axes, [method, method], name, 1)
        figure.draw_without_rendering()
        boxes = [axes.get_legend().get_window_extent(figure.canvas.get_renderer()) for axes in panels]
        common.plt.close(figure)
        self.assertFalse(boxes[0].overlaps(boxes[1]))
        self.assertGreater(boxes[0].x0, 0)
        self.assertLess(boxes[1].x1, figure.bbox.width)


class Colours(unittest.TestCase):
    """They follow what a method is, not what stands beside it."""

    CONFIGURATION = ("models:\n  gaussian:\n    kind: gaussian\n  sns:\n    kind: sns\n    network:\n      lag: null\n  sns_long:\n    kind: sns\n"
                     "    network:\n      lag: {window: 20, embedding: 64}\n  therm:\n    kind: thermalizer\n  acdm:\n    kind: acdm\n"
                     "rollout:\n  steps: 10\n  methods:\n")
    METHODS = {"solver": "solver: {grid: {points: 32}}", "surrogate": "refiner: null", "thermalizer": "refiner: therm", "generator": "generator: acdm",
               "sns": "refiner: sns\n      path: A", "sns_clean": "refiner: sns\n      path: clean_past", "sns_lagged": "refiner: sns_long"}  # by family

    def configuration(self, names):
        return self.CONFIGURATION + "".join(f"    {name}:\n      {self.METHODS[name]}\n" for name in names) + "evaluate:\n  lags: 5\n"

    @staticmethod
    def entry(name, surrogate=0, heads=0, denoiser=0, solver=None, past=0, present=0):
        return {"name": name, "levels": {"past": [past], "present": [present]}, "cost": {
            "solver": solver, "evaluations_per_step": {"surrogate": surrogate, "classifier": heads, "denoiser": denoiser}}}

    def test_the_configuration_says_what_a_method_is(self):
        self.assertEqual(families.configured_families(self.configuration(self.METHODS)), {family: family for family in families.FAMILIES})
        self.assertEqual(families.configured_families("rollout: {methods: {a: {refiner: b}}}\n"), {})

    def test_without_one_the_counts_and_then_the_name_say_it(self):
        entry = self.entry
        for family, method in (("solver", entry("a", solver={"points": 32})), ("surrogate", entry("sns", 1)), ("generator", entry("a", 0, 0, 20)),
                               ("sns", entry("a", 1, 1, past=9, present=9)), ("thermalizer", entry("a", 1, 1, 1, present=9)),
                               ("sns_clean", entry("sns_a", 1, 1, 1, present=9))):
            self.assertEqual(families.counted_family(method), family)

    def test_a_method_keeps_its_colour_whatever_stands_beside_it(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "config.yaml"
            for names in (self.METHODS, ["sns_lagged", "sns", "solver"], ["sns"]):
                file.write_text(self.configuration(names))
                self.assertEqual(families.method_styles(file, ()), {name: (families.FAMILIES[name][0], "-") for name in names})
            file.write_text(self.configuration(["sns"]))  # which a video of the other alone does not show
            self.assertEqual(families.method_styles(file, [self.entry("other", 1, 1, 1, past=1)])["other"], (families.FAMILIES["sns"][1], "--"))

    def test_methods_of_one_family_are_told_apart(self):
        self.assertEqual(len(set(families.method_styles(Path("nowhere"), [self.entry(str(i), 1) for i in range(16)]).values())), 16)
        # as without the cones for medium wavelengths (Machado and others, 2009)
        seen = common.np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
        for shades in families.FAMILIES.values():
            light = common.np.array([common.matplotlib.colors.to_rgb(shade) for shade in shades]) ** 2.2
            for form in (common.np.eye(3), seen):
                values = common.np.clip(light @ form.T, 0, 1) ** (1 / 2.2)
                self.assertGreater(min(common.np.linalg.norm(a - b) for i, a in enumerate(values) for b in values[:i]), 0.15, shades)

    def test_figures_and_video_agree(self):
        curves = {c.label: c.color for c in common.evaluations(RUN / "evaluation")[0].methods}
        gray, other, *_ = families.FAMILIES["surrogate"]
        self.assertEqual(curves, {"diverging": gray, "copy": other, "other": families.FAMILIES["sns"][0]})
        judged = common.read_metrics(RUN / "evaluation")["methods"][2]
        with common.open_h5(RUN / "rollouts" / "other.h5") as file:
            counts = video.counts("other", file)
        self.assertEqual(counts["levels"], {head: [sum(levels)] for head, levels in judged["levels"].items()})
        self.assertEqual(families.counted_family(counts), "sns")


class RowLabels(unittest.TestCase):
    def test_long_names_are_broken_at_underscores(self):
        for name, lines in (("sns", ["sns"]), ("sns_geometric_stopped", ["sns_geometric", "stopped"]),
                            ("gaussian_stopped_sampled", ["gaussian", "stopped", "sampled"])):
            self.assertEqual(snapshots.wrapped(name).split("\n"), lines)
            self.assertLessEqual(max(map(len, lines)), snapshots.LONG_NAME)


class Drawn(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.path, cls.table = RUN, TABLE
        cls.report = (RUN / "report.html").read_text()

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
        self.assertIn("diverging is 5 times slower than the solver that made the data; it loses 4 members, so that "
                      "no speed-up is claimed", text)
        self.assertIn("copy is 4.17 times slower", text)
        self.assertIn("(2 of 4 lost)", text)

    def test_departures_from_the_paper_are_stated(self):
        for words in ("refiner</strong> were not trained in this run", "sns reproduce example.yaml retrain=true",
                      "level 2 at least", "plain is deliberately small: 4 hidden channels", "200 noise levels",
                      "A note of the caller.", "viscosity 0.01 on 16 x 16"):
            self.assertIn(words, self.report)

    def test_criteria_for_long_runs(self):
        part = re.sub(r"<[^>]+>", " ", self.report.split("Long-run criteria</h2>")[1].split("<h2>")[0])
        text = " ".join(part.replace("&#10003;", "yes").replace("&#10007;", "no").split())
        self.assertIn("diverging leaves the attractor: it loses 4 of 4 members.", text)
        self.assertRegex(text, r"drift diverging no 0 of 4 no lost no \d+ &ndash; no lost copy yes 4 of 4 yes [\d.]+ yes [\d.]+ &ndash; (yes|no) \[")

    def test_ceilings_and_ensembles_stand_in_the_short_term(self):
        text = re.sub(r"<[^>]+>", " ", self.report.split("Short term</h2>")[1].split("<h2>")[0])
        self.assertRegex(text, r"solver vs solver\s+solver.{1,6}s ensemble\s+climatology\s+persistence")
        self.assertRegex(text, r"Fair CRPS of the ensemble, first 20 steps \(std\)")
        self.assertIn("Spread / skill of the ensemble", text)
        self.assertIn("The energy budget is not available: the data set does not say what drives", self.report)

    def test_main_metrics_have_whole_distributions_and_both_ends(self):
        rows = re.findall(r"<tr><td>([^<]*)</td><td>(\w+)</td>", self.report.split("Main metrics</h2>")[1].split("<h2>")[0])
        self.assertIn(("W1 of the PDF of enstrophy (std)", "all"), rows)
        self.assertEqual([period for label, period in rows if re.fullmatch(r"Error of C\(tau\), (first|last) \d+ steps", label)], ["early", "late"])

    def test_user_text_is_escaped(self):
        self.assertIn("Example &lt;run&gt;", self.report)

    def test_table_on_stdout(self):
        self.assertRegex(self.table, r"Members stable to the end +all +0 \[0, 0\.\d+\] +1 \[")
        self.assertRegex(self.table, r"First unstable step +all +\d+ \[\d+, \d+\] +never +never +never")


class ResultsPages(unittest.TestCase):
    """A list and the page of the example's results around prose that was written by hand."""

    PROSE = ("# Results\n\n<!-- how to write it -->\nMeasured on two cores.\n\n## In short\n\nSee [it](page/Example-run-.md).\n\n"
             "```excerpt Example <run>\ncopy: a *copy*\nMembers stable to the end, all: stay\n```\n\n# Flows\n\n"
             "## Example <run>: A short title\n\n> It agrees,\n> [more](metrics.md) or less.\n\nIt | agrees *well* ([how](metrics.md#w1), [where](https://a.org/b)).\n\n"
             "## elsewhere\n\nNot shown.\n\n# conclusion\n\nThat is all.\n")

    @classmethod
    def setUpClass(cls):
        cls.path = RUN.parent
        (cls.path / "prose.md").write_text(cls.PROSE)
        old = cls.path / "pictures" / "old" / "old.png"
        old.parent.mkdir(parents=True)
        old.touch()
        (cls.path / "page").mkdir()
        (cls.path / "page" / "old.md").write_text(results.MADE_BY)
        (cls.path / "page" / "mine.md").write_text("Not a page of results.\n\n`sns check`: a line that looks like one.\n")
        cls.made = cls.make()
        assert cls.made.returncode == 0, cls.made.stderr
        cls.list = (cls.path / "page.md").read_text()
        cls.page = (cls.path / "page" / "Example-run-.md").read_text()
        cls.provenance = (cls.path / "page" / "provenance.md").read_text()

    @classmethod
    def make(cls, *more):
        return run(sys.executable, PLOT / "results.py", RUN, "--page", cls.path / "page.md", "--images",
                   cls.path / "pictures", "--discussion", cls.path / "prose.md", "--largest", "60000", *more)

    def in_order(self, text, *words):
        places = [text.index(each) for each in words]
        self.assertEqual(places, sorted(places))

    def test_the_prose_stands_where_it_belongs_and_is_left_alone(self):
        self.in_order(self.list, "# Results", "Measured on two cores.", "## In short", "## The experiments", "### Flows",
                      "- [A short title](page/Example-run-.md): It agrees, [more](metrics.md) or less.", "[How these results were made](page/provenance.md)",
                      "## Conclusion", "That is all.")
        self.in_order(self.page, "[All results](../page.md)", "# A short title", "`Example <run>`: ", "> It agrees,", "It | agrees *well*",
                      "## Main metrics", "[How these results were made](provenance.md#run)")
        self.assertNotIn("how to write it", self.list)
        self.assertNotIn("Not shown.", self.list + self.page)
        self.assertIn("has a section elsewhere, which is none of these experiments", self.made.stderr)
        self.assertEqual((self.path / "prose.md").read_text(), self.PROSE)

    def test_numbers_of_a_page_stand_in_the_opening(self):
        main = self.page.partition("## Main metrics")[2]
        head = re.search(r"^\| metric \|.*$", main, re.M)[0].split(" | ")
        stable = re.search(r"^\| Members stable to the end \| all \|.*$", main, re.M)[0].split(" | ")
        self.in_order(self.list, "## In short", f"|  | stay |\n| --- | --- |\n| a *copy* | {stable[head.index('copy')]} |\n", "## The experiments")
        self.assertEqual(excerpts.with_excerpts("a\n```excerpt Other \ncopy: a\n``` \nb", {}), ("a\n\nb", ["Other"]))
        stable = "Members stable to the end, all"
        pages = {"Example <run>": self.page}
        found, _ = excerpts.with_excerpts(f"```excerpt Example <run>\ncopy: a: copy\n{stable}: stay\n```", pages)
        self.assertIn("| a: copy | ", found)
        for lines, wrong in (("none: a", "'none: a' of"), ("copy: a", "needs a method and a metric"), (f"{stable}: a", "needs a method"),
                             ("copy:", "'copy:' of"), (f"copy: a\n{stable}: a | b", "a . b' of")):
            with self.assertRaisesRegex(ValueError, wrong):
                excerpts.with_excerpts(f"```excerpt Example <run>\n{lines}\n```", pages)
        for text in ("```excerpt Example <run>\ncopy: a\n", "```excerpt\ncopy: a\n```"):
            with self.assertRaisesRegex(ValueError, "no name or no end"):
                excerpts.with_excerpts(text, pages)

    def test_links_are_as_from_the_page(self):
        self.assertIn("([how](../metrics.md#w1), [where](https://a.org/b))", self.page)
        self.assertIn("See [it](page/Example-run-.md).", self.list)

    def test_old_pages_are_gone_and_other_files_stay(self):
        self.assertFalse((self.path / "page" / "old.md").exists())
        self.assertTrue((self.path / "page" / "mine.md").exists())

    def test_an_update_writes_the_same_pages(self):
        made = self.make("--update")
        self.assertEqual(made.returncode, 0, made.stderr)
        alone = run(sys.executable, PLOT / "results.py", "--update", "--page", self.path / "page.md", "--images", self.path / "pictures",
                    "--discussion", self.path / "prose.md")  # the prose without any run
        self.assertEqual(alone.returncode, 0, alone.stderr)
        for name, text in (("page.md", self.list), ("page/Example-run-.md", self.page), ("page/provenance.md", self.provenance)):
            self.assertEqual((self.path / name).read_text(), text)

    def test_what_would_lose_something_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "a.md").write_text(f"{results.MADE_BY} -->\n\n`a`: 3 members\n\n{results.FINDINGS}\n\nx\n")
            with self.assertRaisesRegex(SystemExit, "no provenance.md"):
                results.OldPages(Path(folder))
            prose = Path(folder) / "prose.txt"
            for text, why in (("# Results\n\n# Flows\n\nlost words\n\n## a\n", "has text before its first"),
                              ("# Results\n\n# Flows\n\n## a\n\n## a: again\n", "two sections '## a'")):
                prose.write_text(text)
                with self.assertRaisesRegex(SystemExit, why):
                    results.Prose(prose)

    def test_pictures_are_small_and_linked(self):
        from PIL import Image

        links = re.findall(r"!\[\w+\]\((\S+)\)", self.page)
        self.assertEqual([Path(link).stem for link in links],
                         ["figure1", "stability", "dynamics", "levels", "temporal", "traversals", "forecast"])
        for link in links:
            file = self.path / "page" / link
            self.assertLessEqual(file.stat().st_size, 60000)
            with Image.open(file) as image:
                self.assertGreater(image.width, 200)
        self.assertEqual(len(list((self.path / "pictures").glob("*/*.png"))), len(links))  # old ones are gone

    def test_an_update_may_not_lose_results_of_a_run(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "provenance.md").write_text(f"{results.MADE_BY} -->\n\n# How these results were made\n\n## run\n\n| evaluate | 1 s |\n| rollout/a | 1 s |\n")
            old = results.OldPages(Path(folder))
        old.require_no_less("run", "| evaluate | 2 s |\n| rollout/a | 2 s |\n| rollout/b | 2 s |\n")
        old.require_no_less("run", "| evaluate (one) | 2 s |\n| evaluate (two) | 2 s |\n| rollout/a | 2 s |\n")
        for less in ("| evaluate | 2 s |\n", "| rollout/a | 2 s |\n"):
            with self.assertRaises(SystemExit):
                old.require_no_less("run", less)

    def test_methods_keep_their_colours_beside_colourful_fields(self):
        """Blue lines of different methods once came out in one colour where fields filled the palette."""
        hue, lightness = common.np.meshgrid(common.np.linspace(0, 1, 600), common.np.linspace(0.3, 1, 400))
        field = common.matplotlib.colors.hsv_to_rgb(common.np.stack([hue, 1 - 0.5 * hue, lightness], axis=-1))
        image = PIL.Image.fromarray((255 * field).astype("uint8"))
        lines = {name: tuple(int(name[i:i + 2], 16) for i in (1, 3, 5)) for name in results.LINE_COLOURS}
        for row, colour in enumerate(lines.values()):
            image.paste(colour, (0, 4 * row, 40, 4 * row + 2))  # few pixels each
        with tempfile.TemporaryDirectory() as folder:
            image.save(f"{folder}/full.png")
            results.shrunk(Path(folder, "full.png"), Path(folder, "small.png"), 600, 10**6)
            with PIL.Image.open(f"{folder}/small.png") as small:
                self.assertEqual(small.mode, "P")
                pixels = small.convert("RGB").load()
                drawn = [pixels[20, 4 * row] for row in range(len(lines))]
        self.assertEqual(drawn, list(lines.values()))

    def test_tables_are_whole_and_free_of_html(self):
        tables = re.findall(r"(?:^\|.*\n)+", self.page, re.M)
        self.assertGreaterEqual(len(tables), 7)
        for table in tables:
            self.assertEqual(len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}), 1, table)
        self.assertNotRegex(self.page, r"<(span|td|p|div)\b|&\w+;(?<!&lt;)(?<!&gt;)")

    def test_numbers_are_those_of_the_report(self):
        report = (RUN / "report.html").read_text()
        row = re.search(r"<td>Spectrum error, mean spectrum</td><td>early</td>.*?</tr>", report)[0]
        cells = [github_markdown.to_markdown(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]
        self.assertIn("| " + " | ".join(cells) + " |", self.page)
        for words in ("no coarser solver was run, so that no speed-up is claimed", "climatology", "solver vs solver",
                      "| diverging lost |", "## Noise levels"):
            self.assertIn(words, self.page)
        for words in ("wall clock", "SNS suite"):
            self.assertIn(words, self.provenance)

    def test_a_folder_without_results_is_one_line(self):
        made = run(sys.executable, PLOT / "results.py", self.path / "pictures")
        self.assertEqual(made.returncode, 1)
        self.assertIn("holds no results: run sns reproduce first", made.stderr)


class Records(unittest.TestCase):
    def test_a_folder_that_has_trained_and_shipped_weights(self):
        """What is said of a model is said of the weights that the results are of."""
        with tempfile.TemporaryDirectory() as name:
            run_folder = Path(name)
            for folder, steps, facts in (("models/a", "20", {"training_seconds": "7"}), ("models/a/shipped", "1500", {"weights": "shipped"})):
                (run_folder / folder).mkdir(parents=True, exist_ok=True)
                (run_folder / folder / "model_card.md").write_text(f"| optimiser steps | {steps} |\n")
                (run_folder / folder / "stage.json").write_text(json.dumps(
                    {"stage": "train/a", "state": "finished", "facts": facts, "seconds": 9, "finished": "now", "git_commit": "0" * 40}))
            for shipped, steps, spent in ((False, "20", "7 s"), (True, "1500", "came with the software")):
                model = {"name": "a", "kind": "gaussian", "shipped": shipped}
                with self.subTest(shipped):
                    self.assertIn(f"<td>{steps}</td>", run_record.model_table(run_folder, [model]))
                    self.assertIn(f"<td>train/a</td><td>{spent}</td>", run_record.stage_table(run_folder, [], [model], {}))


class Tables(unittest.TestCase):
    def test_html_becomes_markdown(self):
        text = github_markdown.to_markdown(
            "<p class='small'>a * b, x<sub>t</sub> <em>so</em>:</p><table><tr><th>m|n</th><th></th></tr><tr><td>1 <span>[0, "
            "&infin;]</span></td></tr></table><ul><li>one <code>a*b</code></li><li>two</li></ul>")
        self.assertEqual(text, "a \\* b, x<sub>t</sub> *so*:\n\n| m\\|n |  |\n|---|---|\n| 1 [0, ∞] |  |\n\n"
                         "- one `a*b`\n- two")

    def level_table(self, counts, members):
        """As Markdown, of one head; members: levels that were predicted from each initial condition."""
        metrics = {"config": {"bootstrap": 500, "confidence": 0.95}, "seed": 3, "methods": [{"name": "sns", "levels": {"past": [], "present": counts}}]}
        with tempfile.TemporaryDirectory() as folder:
            with common.h5py.File(f"{folder}/sns.h5", "w") as file:
                file["levels"] = common.np.stack([common.np.full_like(members, -1), members], axis=-1)
            return github_markdown.to_markdown(report_levels.level_table(metrics, Path(folder)))

    def test_levels_in_a_few_numbers(self):
        table = self.level_table([90, 0, 5, 5], [[0] * 5] * 2)  # the file is of another run
        self.assertIn("| sns | new frame | 100 | 90.0 % | 0.250 | 0 | 2 | 3 |", table)
        self.assertEqual(self.level_table([], [[0]]), "")

    def test_levels_have_intervals_over_initial_conditions(self):
        apart = self.level_table([40, 0, 40], [[0] * 20, [0] * 20, [2] * 20, [2] * 20])
        self.assertIn("| 50.0 % [0.0, 100.0] | 1 [0, 2] |", apart)  # those of a member are no independent predictions
        self.assertIn("| 50.0 % [50.0, 50.0] | 1 [1, 1] |", self.level_table([4, 0, 4], [[0, 2, -1], [2, 0, -1]] * 2))
        self.assertIn("| 4 | 50.0 % | 1 |", self.level_table([2, 0, 2], [[0, 2, 0, 2]]))  # one member has no interval

    def test_the_oracle_in_a_few_numbers(self):
        estimate = lambda value: {"value": value, "low": 0.9 * value, "high": 1.1 * value}
        oracle = {"error": [{"past_level": 2 * i, **estimate(0.01 + i)} for i in range(18)], "confidence": 0.95, "model": "sns",
                  "trajectories": [1, 2], "times": [1], "level": 9, "levels": 36, "persistence": estimate(0.04), "zero": estimate(30.0)}
        facts = {"kinds": ["oracle"], "evaluated": False, "oracle": True}
        with tempfile.TemporaryDirectory() as folder:
            for part, name, content in (("figures", "report_facts", facts), ("oracle", "oracle", oracle)):
                (Path(folder) / part).mkdir()
                (Path(folder) / part / f"{name}.json").write_text(json.dumps(content))
            text = github_markdown.to_markdown("".join(report.Results(Path(folder)).figures()))
        rows = re.findall(r"^\| (\d+|past frame|var).*? \| (\S+) \[(\S+), (\S+)\] \|$", text, re.M)
        self.assertEqual([level for level, *_ in rows], ["0", "6", "14", "20", "28", "34", "past frame", "var"])
        self.assertEqual([rows[1], rows[-2]], [("6", "3.01", "2.71", "3.31"), ("past frame", "0.0400", "0.0360", "0.0440")])

    def test_numbers_of_things(self):
        self.assertEqual([report_text.counted(n, "member") for n in (1, 2, 3.14159)], ["1 member", "2 members", "3.14 members"])
        self.assertEqual([report_text.short(v) for v in (-111.2, -7.7e-5, 2)], ["&minus;111", "&minus;7.7e&minus;05", "2"])

    def test_an_infinite_difference_says_whose(self):
        entry = {"value": "-inf", "low": "-inf", "high": "-inf"}
        self.assertRegex(report_text.difference_cell(entry, "lower", "a", "b", 1), r"^b <span class='lost'>lost</span>$")
        self.assertEqual(report_text.difference_cell({**entry, "value": "inf"}, "higher", "a", "b", 1), "a never")

    def test_windows_that_coincide_are_shown_once(self):
        infos = [{"key": "w1", "label": "W1", "field": "", "period": period} for period in ("early", "mid", "late")]
        two = {"windows": {"early": [1, 20], "mid": [21, 40], "late": [21, 40]}}
        self.assertEqual([info["period"] for info in report_text.distinct(two, infos)], ["early", "mid"])
        one = {"windows": {"early": [1, 20], "mid": [1, 20], "late": [1, 20]}}
        self.assertEqual([info["period"] for info in report_text.distinct(one, infos)], ["early"])
        ends = [{**info, "label": f"C(tau), {steps}"} for info, steps in zip(infos, ("first 10 steps", "last 10 steps"))]
        self.assertEqual(report_text.distinct(one, ends), ends)  # steps that are not those of the windows


class Metrics(unittest.TestCase):
    def test_coarse_solvers_stand_last(self):
        methods = [{"name": name, "cost": {"solver": {"points": 32} if name.startswith("coarse") else None}}
                   for name in ("gaussian", "coarse", "sns", "coarser", "sns_clean")]
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "metrics.json").write_text(json.dumps({"methods": methods}))
            read = [method["name"] for method in common.read_metrics(folder)["methods"]]
            (Path(folder) / "metrics.json").write_text(json.dumps({"methods": methods, "speed": [{"method": "sns"}]}))
            with self.assertRaisesRegex(SystemExit, "evaluated by an earlier version"):
                common.read_metrics(folder)
        self.assertEqual(read, ["gaussian", "sns", "sns_clean", "coarse", "coarser"])


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
