#!/usr/bin/env python3
"""What counts as as good as solver runs, as drift and as leaving the attractor: test_report_criteria.py <plot folder>."""

import re
import sys
import unittest

sys.path.insert(0, sys.argv.pop(1))

import report_criteria
import report_text

NONE = float("nan")


def entry(value, low=NONE, high=NONE):
    return {"value": value, "low": low, "high": high}


class Criteria(unittest.TestCase):
    def metrics(self, late=entry(1.0), drift=entry(0.0, -0.1, 0.1), floor=entry(1.0, 0.9, 1.1), unstable=(None, None, None), fields=1, windows=(), method_windows=(), lost=0, floor_members=3,
                floor_drift=entry(0.0, -0.1, 0.1)):
        """One surrogate alone beside independent solver runs; of more fields the scores given are those of the second."""
        suffixes = [""] if fields == 1 else ["/upper", "/lower"]
        of_fields = lambda name, value, other: {name + s: value if s == suffixes[-1] else other for s in suffixes}
        results = {**of_fields("spectrum_error/late", late, entry(1.0)), **of_fields("spectrum_error_ensemble/late", late, entry(1.0)),
                   **of_fields("spectrum_drift/all", drift, entry(0.0, -0.1, 0.1))}
        solvers = {key: floor_drift if key.startswith("spectrum_drift") else floor for key in results}
        def by_window(errors):  # of more fields those given are of the second, too
            of = lambda suffix: errors if suffix == suffixes[-1] else [1.0] * len(errors)
            return {suffix[1:]: [{"ensemble": entry(error), "lost": lost} for error in of(suffix)] for suffix in suffixes}

        method = {"spectrum_error_by_window": by_window(method_windows),
                  "name": "alone", "members": len(unstable), "first_unstable_step": list(unstable), "attributes": {}, "results": results,
                  "cost": {"solver": None}}
        truth = {"members": len(unstable), "floor_members": floor_members, "fields": [{"name": suffix[1:]} for suffix in suffixes]}
        return {"config": {"confidence": 0.95}, "floor": {"results": solvers, "spectrum_error_by_window": by_window(windows)}, "methods": [method], "truth": truth}

    def marks(self, **scores):
        """Of the table: tick, cross or question mark of members, error of members, mean spectrum and drift."""
        return re.findall(r"<td class='number'>(&#10003;|&#10007;|\?)", report_criteria.criteria_table(self.metrics(**scores)))

    def ends(self, **scores):
        metrics = self.metrics(**scores)
        return re.sub(r"<[^>]+>", "", report_criteria.how_it_ends(metrics, metrics["methods"][0]))

    YES, NO, OPEN = "&#10003;", "&#10007;", "?"

    def test_one_and_a_half_times_the_error_of_solver_runs_is_the_limit(self):
        self.assertEqual(self.marks(late=entry(1.49, 1.4, 1.7)), [self.YES] * 4)
        # Above it the intervals have to tell: 1.5 times the upper end of the solver runs' is 1.65.
        self.assertEqual(self.marks(late=entry(1.7, 1.66, 1.8))[1:3], [self.NO] * 2)
        self.assertEqual(self.marks(late=entry(1.7, 1.64, 1.8))[1:3], [self.OPEN] * 2)
        # Few solver runs have no interval: their value counts.
        self.assertEqual(self.marks(late=entry(1.7, 1.51, 1.8), floor=entry(1.0))[1:3], [self.NO] * 2)
        self.assertEqual(self.marks(late=entry(*[float("inf")] * 3))[1:3], [self.NO] * 2)

    def test_solver_runs_differ_more_in_some_windows_than_in_others(self):
        """By which the mean spectrum is judged where there are enough, whatever the intervals say: they are of single windows."""
        windows = [1.0] * 18 + [1.2, 9.0]  # 1.5 times the largest of those that are not judged is 1.8
        for fields in (1, 2):
            self.assertEqual(self.marks(late=entry(1.79, 1.7, 1.9), windows=windows, fields=fields)[1:3], [self.NO, self.OPEN])
            self.assertEqual(self.marks(late=entry(1.81, 1.5, 1.9), windows=windows, fields=fields)[1:3], [self.OPEN, self.NO])
        self.assertEqual(self.marks(late=entry(1.79, 1.7, 1.9), windows=windows[-6:])[1:3], [self.NO, self.OPEN])
        self.assertEqual(self.marks(late=entry(1.79, 1.7, 1.9), windows=windows[-5:])[1:3], [self.NO] * 2)  # too few: by the intervals
        self.assertEqual(self.marks(late=entry(1.79, 1.7, 1.9), windows=[1.0] * 60 + [1.2] * 2 + [9.0])[1:3], [self.NO, self.OPEN])
        self.assertEqual(self.marks(late=entry(1.79, 1.7, 1.9), windows=[1.0] * 60 + [1.2] + [9.0])[1:3], [self.NO] * 2)  # one of 61

    def test_the_mean_over_the_last_third_of_the_windows(self):
        def end(**scores):
            return re.findall(r"<td class='number'>([^<]*)</td>", report_criteria.criteria_table(self.metrics(**scores)))[3]

        windows = [1.0] * 10 + [2.0, 4.0, 3.0, 3.0, 3.0]
        self.assertEqual(end(windows=windows, method_windows=[9.0] * 10 + [6.0, 6.0, 3.0, 3.0, 6.0]), "1.60")
        self.assertEqual(end(windows=windows, method_windows=[9.0] * 10 + [6.0, 6.0, 3.0, 3.0, 6.0], lost=2), "1.60 (2 lost)")
        self.assertEqual(end(windows=windows, method_windows=[9.0] * 10 + [6.0, 6.0, 3.0, 3.0, float("inf")], fields=2), "lost")
        self.assertEqual(end(windows=windows, method_windows=[0.0] * 15, fields=2), "1")  # of the other field
        self.assertEqual(end(windows=[0.0] * 15, method_windows=windows), "&ndash;")
        self.assertEqual(end(windows=windows[1:], method_windows=windows[1:]), "&ndash;")  # four windows are a third

    def test_what_is_said_of_the_mean_spectrum(self):
        def said(value, lost=0, **scores):
            metrics = {**self.metrics(floor=entry(1.0, 0.9, 1.3), **scores), "windows": {"late": (91, 100)}}
            metric = "spectrum_error_ensemble/late"
            metrics["methods"][0]["results"][metric] = {**entry(value, 0.5, 2.0), "lost": lost}
            return report_text.spectrum_sentence(metrics, metrics["methods"][0], metric, "")

        windows = [1.0] * 7 + [1.2, 1.5, 9.0]
        self.assertTrue(said(1.4, windows=windows).endswith("In 1 of 9 other windows they differ as much, so that it cannot be told apart."))
        self.assertTrue(said(1.1, windows=windows).endswith("In 2 of 9 other windows they differ as much, so that it cannot be told apart."))
        self.assertTrue(said(1.6, windows=windows).endswith("That is 1.60 times the difference between solver runs."))
        self.assertTrue(said(1.1, lost=1, windows=windows).endswith("That is 1.10 times the difference between solver runs."))
        self.assertTrue(said(1.2).endswith("By so few windows it cannot be told apart."))
        self.assertTrue(said(1.4).endswith("That is 1.40 times the difference between solver runs."))

    def test_fewer_solver_runs_than_members_are_named(self):
        said = "There were 2 solver runs for 3 members"
        self.assertIn(said, report_criteria.criteria_table(self.metrics(floor_members=2)))
        self.assertNotIn("solver runs for", report_criteria.criteria_table(self.metrics()))

    def test_few_members_that_are_lost_are_as_bad_as_many(self):
        self.assertEqual(self.marks(late=entry(float("inf")))[1:3], [self.NO] * 2)
        self.assertEqual(self.marks(late=entry(9.0))[1:3], [self.OPEN] * 2)  # nothing is known of how much it scatters

    def test_the_worse_field_counts(self):
        self.assertEqual(self.marks(late=entry(1.7, 1.66, 1.8), fields=2)[1:3], [self.NO] * 2)
        self.assertEqual(self.marks(drift=entry(0.2, 0.1, 0.3), fields=2)[3], self.NO)

    def test_drift_is_an_interval_without_zero(self):
        for drift, mark in ((entry(0.1, -0.01, 0.2), self.YES), (entry(0.1, 0.01, 0.2), self.NO), (entry(-0.1, -0.2, -0.01), self.NO),
                            (entry(0.1), self.OPEN), (entry(float("inf")), self.NO)):
            with self.subTest(drift):
                self.assertEqual(self.marks(drift=drift)[3], mark)
        # Where solver runs, which do not drift, have an interval without zero, too, it tells nothing; of two fields each for itself.
        for fields in (1, 2):
            self.assertEqual(self.marks(drift=entry(0.1, 0.01, 0.2), floor_drift=entry(0.02, 0.01, 0.03), fields=fields)[3], self.OPEN)
        self.assertEqual(self.marks(drift=entry(0.1, -0.01, 0.2), floor_drift=entry(0.02, 0.01, 0.03))[3], self.YES)
        two = self.metrics(drift=entry(0.02, 0.01, 0.03), floor_drift=entry(0.02, 0.01, 0.03), fields=2)
        two["methods"][0]["results"]["spectrum_drift/all/upper"] = entry(5, 4, 6)  # where solver runs' interval holds zero
        two["floor"]["results"]["spectrum_drift/all/upper"] = entry(0.0, -0.1, 0.1)
        self.assertIs(report_criteria.does_not_drift(two, two["methods"][0]["results"]), False)
        self.assertEqual(self.marks(drift=entry(0.1, 0.01, 0.2), floor_drift=entry(0.02))[3], self.NO)

    def test_one_lost_member_is_no_stable_method(self):
        self.assertEqual(self.marks(unstable=(None, 7, None))[0], self.NO)
        self.assertIn("2 of 3", report_criteria.criteria_table(self.metrics(unstable=(None, 7, None))))

    def test_how_a_surrogate_ends(self):
        self.assertEqual(self.ends(), "alone does not leave the attractor in this time.")
        self.assertIn("leaves the attractor: its spectrum error at the end is 5", self.ends(late=entry(5.01, 4.8, 5.2)))
        self.assertNotIn("leaves the attractor", self.ends(late=entry(4.99, 4.8, 5.2)))
        self.assertEqual(self.ends(late=entry(float("inf")), unstable=(3, 7, None)), "alone leaves the attractor: it loses 2 of 3 members.")
        self.assertIn("loses 1 of 3 members", self.ends(unstable=(None, 7, None)))
        self.assertIn("or drifts", self.ends(late=entry(4.99, 4.8, 5.2)))
        self.assertIn("or drifts", self.ends(drift=entry(0.1, 0.01, 0.2)))
        self.assertIn("is not told", self.ends(late=entry(1.7, 1.4, 2.0)))


class Cells(unittest.TestCase):
    """Of the tables of metrics."""

    def test_what_is_lost_is_said(self):
        cell = lambda value, lost, statistic, better="lower": re.sub(r"<[^>]+>", "", report_text.cell(
            {**entry(value, value, value), "lost": lost}, {"statistic": statistic, "better": better}))
        self.assertEqual(cell(0.5, 2, "ensemble mean"), "0.500 [0.500, 0.500] (2 lost)")
        self.assertEqual(cell(0.5, 0, "ensemble mean"), "0.500 [0.500, 0.500]")
        self.assertEqual(cell(0.5, 2, "median of members"), "0.500 [0.500, 0.500]")
        infinite = float("inf")
        self.assertEqual(cell(infinite, 3, "median of members"), "lost")
        self.assertEqual(cell(infinite, 0, "median of members"), "&infin;")  # small scales that are empty
        self.assertEqual(cell(infinite, 3, "median of members", "higher"), "never")


if __name__ == "__main__":
    unittest.main(verbosity=2)
