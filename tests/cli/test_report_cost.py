#!/usr/bin/env python3
"""What the report says of cost: test_report_cost.py <plot folder>."""

import re
import sys
import unittest

sys.path.insert(0, sys.argv.pop(1))

import report_cost


class Cost(unittest.TestCase):
    """A speed-up is claimed over a solver whose metrics are as good, and over no other."""

    COARSE = {"name": "coarse", "cost": {"evaluations_per_step": {}, "milliseconds_per_step": 0.5,
                                         "solver": {"points": 32, "steps_per_frame": 3}}}

    def text(self, *methods, equal=None, reference=3.0, ratio=None, better=None, worse=(), lost=0, **more):
        """The paragraphs for an emulator "sns", beside other methods."""
        sns = {"name": "sns", "cost": {"evaluations_per_step": {"surrogate": 1, "denoiser": 2},
                                       "milliseconds_per_step": 12.0, "solver": None}}
        metrics = {"methods": [sns, *methods], "metrics": [{"id": "w1/late", "label": "W1"}],
                   "solver_cost": {"milliseconds_per_step": 4.0, "points": 64, "threads": 1},
                   "speed": [{"method": "sns", "times_reference": reference, "lost": lost, "equal_solver": equal,
                              "equal_points": 32, "times_equal": ratio, "worse_in": list(worse), "better_than": better or {}, **more}]}
        return re.sub(r"<[^>]+>", "", report_cost.cost_summary(metrics))

    def test_work_and_time(self):
        text = self.text(self.COARSE)
        self.assertIn("Cost: sns 3 network evaluations per step and 12 ms per step; coarse 3 solver steps per step", text)
        self.assertIn("in 4 ms (64 x 64 points, 1 thread)", text)
        self.assertIn("A speed-up is claimed only at equal metrics.", text)

    def timed(self, clock):
        """Metrics of one method whose steps take 12 ms on the wall and 5 of CPU time, and of its solver, 4 and 2."""
        def estimates(wall, cpu):
            return {"wall": {"value": wall, "low": wall - 1, "high": wall + 1},
                    "cpu": {"value": cpu, "low": cpu - 0.1, "high": cpu + 0.1}}
        ratio = 2.5 if clock == "cpu" else 3.0
        cost = {"evaluations_per_step": {"surrogate": 1, "classifier": 0, "denoiser": 0}, "milliseconds_per_step": 12.0,
                "milliseconds_estimates": estimates(12.0, 5.0), "simulated_per_second": 8.0, "threads": 1, "solver": None,
                "times_solver": ratio, "times_solver_estimate": {"value": ratio, "low": ratio - 0.2, "high": ratio + 0.2}}
        return {"methods": [{"name": "sns", "cost": cost}], "metrics": [], "speed": [], "cost_clock": clock,
                "truth": {"time_units": ""},
                "solver_cost": {"milliseconds_per_step": 4.0, "milliseconds_estimates": estimates(4.0, 2.0), "points": 64,
                                "precision": "float32", "backend": "fftw", "members": 20, "steps_per_frame": 2,
                                "simulated_per_second": 10.0, "threads": 1}}

    def test_times_have_intervals_by_both_clocks(self):
        metrics = self.timed("cpu")
        table = report_cost.cost_table(metrics)
        self.assertIn("<th>CPU milliseconds per step</th>", table)
        self.assertIn("<td>12 [11, 13]</td><td>5 [4.90, 5.10]</td>", table)
        self.assertIn("<td>4 [3, 5]</td><td>2 [1.90, 2.10]</td>", table)
        self.assertIn("<td>2.50 [2.30, 2.70]</td>", table)
        self.assertIn("CPU time per step / solver's", table)
        self.assertIn("5 ms of CPU time per step", report_cost.cost_sentence(metrics))
        self.assertIn("in 2 ms of CPU time (64 x 64", report_cost.cost_sentence(metrics))

    def test_times_are_compared_by_the_wall_s_clock_where_that_is_said(self):
        metrics = self.timed("wall")
        self.assertIn("<th>time per step / solver's</th>", report_cost.cost_table(metrics))
        self.assertIn("12 ms per step", report_cost.cost_sentence(metrics))

    def test_earlier_evaluations_have_one_clock_without_intervals(self):
        metrics = self.timed("wall")
        for cost in (metrics["methods"][0]["cost"], metrics["solver_cost"]):
            del cost["milliseconds_estimates"]
            cost.pop("times_solver_estimate", None)
        del metrics["cost_clock"]
        table = report_cost.cost_table(metrics)
        self.assertNotIn("CPU", table)
        self.assertIn("<td>12</td>", table)
        self.assertIn("Wall clock is measured once", table)

    def test_slower_than_an_equal_solver(self):
        text = self.text(self.COARSE, equal="coarse", ratio=24.0)
        self.assertIn("sns is 3 times slower than the solver that made the data; it is 24 times slower than coarse (32 x 32 "
                      "points), the cheapest solver tried whose metrics are statistically as good: no speed-up", text)

    def test_faster_than_an_equal_solver(self):
        text = self.text(self.COARSE, equal="coarse", ratio=0.25, reference=0.1)
        self.assertIn("10 times faster than the solver that made the data; it is 4 times faster than coarse", text)
        self.assertIn(": a speed-up at equal metrics.", text)

    def test_faster_than_a_solver_that_is_better_in_something_is_no_claim(self):
        text = self.text(self.COARSE, equal="coarse", ratio=0.25, worse=["w1/late"])
        self.assertIn("it is 4 times faster than coarse", text)
        self.assertIn(": no speed-up at equal metrics, as that solver is better in: W1.", text)

    def test_faster_than_the_data_s_solver_alone_is_no_claim(self):
        text = self.text(reference=0.5)
        self.assertIn("2 times faster than the solver that made the data; no coarser solver was run, so that no speed-up", text)

    def test_better_than_every_coarse_solver(self):
        text = self.text(self.COARSE, better={"coarse": ["w1/late"]})
        self.assertIn("no coarser solver among the methods has metrics as good", text)
        self.assertIn("Its metrics are better than those of coarse in: W1.", text)

    def test_nothing_is_claimed_of_a_method_that_loses_members(self):
        text = self.text(self.COARSE, reference=0.1, lost=1)
        self.assertIn("than the solver that made the data; it loses 1 member, so that no speed-up is claimed.", text)
        self.assertNotIn("coarse (", text)

    def test_other_devices_are_not_compared(self):
        text = self.text(self.COARSE, equal="coarse", reference=None, ratio=None)
        self.assertIn("is not compared with the solver that made the data", text)
        self.assertIn("but ran on another device or other threads", text)
        self.assertNotIn("faster", text)

    def test_a_speed_up_needs_the_whole_interval(self):
        def claim(low, high, **more):
            return self.text(self.COARSE, equal="coarse", ratio=0.9,
                             times_equal_estimate={"value": 0.9, "low": low, "high": high}, **more)
        self.assertIn("(ratio of wall clock per step 0.900 [0.800, 0.950]): a speed-up at equal metrics.", claim(0.8, 0.95))
        self.assertIn("[0.800, 1.05]): no speed-up at equal metrics, as the two times are not told apart.", claim(0.8, 1.05))
        self.assertIn(": no speed-up at equal metrics, as the two times are not told apart.", claim(None, None))  # of a few steps
        self.assertIn("as the two times are not told apart and that solver is better in: W1.", claim(0.8, 1.05, worse=["w1/late"]))
        self.assertIn("3 times slower than the solver that made the data (ratio of wall clock per step 3 [2.90, 3.10])",
                      claim(None, None, times_reference_estimate={"value": 3.0, "low": 2.9, "high": 3.1}))

    def test_a_method_without_cpu_time_beside_others(self):
        metrics = self.timed("wall")
        metrics["methods"].append({"name": "new", "cost": dict(metrics["methods"][0]["cost"])})
        old = metrics["methods"][0]["cost"]
        old["milliseconds_estimates"] = {"wall": {"value": 12.0, "low": None, "high": None}, "cpu": None}
        old["times_solver_estimate"] = {"value": 3.0, "low": None, "high": None}
        self.assertIn("<td>12</td><td>&ndash;</td>", report_cost.cost_table(metrics))
        self.assertIn("<td>3</td>", report_cost.cost_table(metrics))


if __name__ == "__main__":
    unittest.main(verbosity=2)
