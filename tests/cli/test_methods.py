"""Every surrogate and refiner of the comparison, trained and rolled out at smoke scale, for both systems."""

import hashlib
import json
import re
import shutil
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np

from sns_case import SOURCE, SnsCase, arrays, sns

METHODS = SOURCE / "yaml" / "kolmogorov" / "methods.yaml"
SAMPLING = METHODS.with_name("sampling.yaml")
SIZES = ["rollout.members=2", "evaluate.window=3", "evaluate.lags=3", "rollout.limit=1e30"]
LEVELS = 20
GENERATED = ["rollout.methods.sns_generated={generator: sns, path: fixed_past}",
             "rollout.methods.sns_clean_generated={generator: sns_clean, path: clean_past}"]
EXTRA = ["models.lagged={kind: sns, network: {hidden: 4, blocks: 1, embedding: 16, lag: {window: 5, embedding: 8}}, "
         "diffusion: {levels: 20}, training: {steps: 4, batch: 4, validate_every: 4, checkpoint_every: 4}}",
         "rollout.methods.sns_lagged={emulator: gaussian, refiner: lagged}", *GENERATED]


def setUpModule():
    """One experiment of Kolmogorov flow at smoke scale that most tests look at."""
    global TEMPORARY, RUN, BASE
    TEMPORARY = tempfile.TemporaryDirectory()
    RUN = Path(TEMPORARY.name) / "run"
    BASE = [METHODS, "--scale", "smoke", f"run.output={RUN}", *EXTRA, *SIZES]
    make(BASE)


def tearDownModule():
    TEMPORARY.cleanup()


def make(base):
    result = sns("reproduce", *base, "rollout.steps=6", "--until", "evaluate")
    assert result.returncode == 0, result.stderr


class Methods:
    """Tests of one system, whose run folder, configuration and fields the cases below give."""

    def rollout(self, name):
        with h5py.File(self.run_folder / "rollouts" / f"{name}.h5") as file:
            self.assertTrue(file.attrs["complete"])
            return file["evaluations"][:, 1:], file["levels"][:, 1:], dict(file.attrs)

    def test_work_of_each_method(self):
        work, levels, _ = self.rollout("gaussian")
        self.assertTrue((work == [1, 0, 0]).all())
        work, levels, attributes = self.rollout("acdm")
        self.assertTrue((work == [0, 0, LEVELS]).all())
        self.assertTrue((levels == -1).all())
        self.assertIn("weights_generator_sha256", attributes)
        work, levels, attributes = self.rollout("thermalizer")
        self.assertTrue((work[..., :2] == 1).all())
        expected = np.where(levels[..., 1] > 6, levels[..., 1] - 4, 0)
        np.testing.assert_array_equal(work[..., 2], expected)
        self.assertIn("weights_refiner_sha256", attributes)
        work, levels, _ = self.rollout("sns")
        np.testing.assert_array_equal(work[..., 2], levels.sum(axis=-1) + 2)
        work, levels, _ = self.rollout("sns_clean")
        self.assertTrue((levels[..., 0] == -1).all())
        np.testing.assert_array_equal(work[..., 2], levels[..., 1] + 1)
        work, levels, _ = self.rollout("sns_generated")
        self.assertTrue((work == [0, 1, LEVELS]).all())
        self.assertTrue((levels[..., 0] >= 0).all() and (levels[..., 1] == -1).all())
        work, levels, attributes = self.rollout("sns_clean_generated")
        self.assertTrue((work == [0, 0, LEVELS]).all())
        self.assertTrue((levels == -1).all())
        self.assertIn("weights_generator_sha256", attributes)
        self.assertNotIn("weights_emulator_sha256", attributes)

    def test_a_solver_is_a_method(self):
        metrics = json.loads((self.run_folder / "evaluation/metrics.json").read_text())
        by_name = {method["name"]: method for method in metrics["methods"]}
        for name, (points, steps) in self.solvers.items():
            work, levels, attributes = self.rollout(name)
            self.assertTrue((work == 0).all())
            self.assertTrue((levels == -1).all())
            self.assertEqual((attributes["solver_points"], attributes["solver_steps_per_frame"]), (points, steps))
            self.assertTrue(0 < attributes["largest_courant"] < 1)
            cost = by_name[name]["cost"]
            self.assertEqual(cost["solver"]["points"], points)
            self.assertGreater(cost["simulated_per_second"], 0)
            # It does what the data's solver does, far from where unrelated states are.
            error = lambda entry: entry["results"][f"nrmse/early{self.suffix}"]["value"]
            self.assertLess(error(by_name[name]), 0.5 * error(metrics["floor"]))
        self.assertEqual({one["method"] for one in metrics["speed"]}, set(by_name) - set(self.solvers))

    def test_models_and_evaluation_are_left(self):
        for model, words in {"thermalizer": "thermalizer: estimates", "acdm": "conditional diffusion"}.items():
            folder = self.run_folder / "models" / model
            self.assertIn(f"kind: {model}", (folder / "config.yaml").read_text())
            self.assertIn(words, (folder / "model_card.md").read_text())
        self.assertTrue((self.run_folder / "evaluation/metrics.json").is_file())

    def test_predict_with_each_model(self):
        states = self.run_folder / "states.h5"
        with h5py.File(self.run_folder / "rollouts/gaussian.h5") as source, h5py.File(states, "w") as file:
            states_of = [source[field][:, 0] for field in self.fields]
            file["states"] = states_of[0] if len(self.fields) == 1 else np.stack(states_of, axis=1)
            shape = file["states"].shape
        for model, arrays in {"thermalizer": {"refined", "levels", "used_levels", "evaluations"},
                              "acdm": {"next", "evaluations"}}.items():
            output = self.run_folder / f"{model}.h5"
            always = ["--start-level", "-1", "--stop-level", "-1", "--noise-limit", LEVELS] if model == "thermalizer" else []
            result = sns("predict", "--weights", self.run_folder / "models" / model, "--input", f"{states}:/states",
                         "-o", output, *always)
            self.assertEqual(result.returncode, 0, result.stderr)
            with h5py.File(output) as file:
                self.assertEqual(set(file), arrays)
                main = file["refined" if model == "thermalizer" else "next"][:]
                self.assertEqual(main.shape, shape)
                self.assertTrue(np.isfinite(main).all())
                if model == "thermalizer":
                    np.testing.assert_array_equal(file["evaluations"][:], file["levels"][:, 1] + 1)

    def test_check_names_the_cost(self):
        result = sns("check", *self.base, "rollout.methods.thermalizer.path=B")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"not used +path \(no effect on a refiner of kind thermalizer\)")
        self.assertRegex(result.stdout, r"models\.acdm +acdm, [\d,]+ parameters")
        self.assertIn(f"{LEVELS} denoiser evaluations", result.stdout)
        for points, steps in self.solvers.values():
            self.assertRegex(result.stdout, rf"per step and member {steps} solver steps? of .* on {points} x {points} points")
        self.assertRegex(result.stdout, r"rollout\.thermalizer .*, denoiser evaluations where a frame looks noisy")
        self.assertRegex(result.stdout, r"in all +about .*: data set .*, truth .*, training .*, rollouts")
        always = sns("check", *self.base, "rollout.methods.thermalizer.start_level=-1", "rollout.methods.thermalizer.stop_level=-1")
        self.assertEqual(always.returncode, 0, always.stderr)
        self.assertRegex(always.stdout, r"rollout\.thermalizer .*, 1 or more denoiser evaluations")
        trained = sns("check", *self.base, "rollout=null")
        self.assertEqual(trained.returncode, 0, trained.stderr)
        self.assertNotIn("rollouts", trained.stdout)

    def test_a_network_used_otherwise_than_it_was_trained(self):
        result = sns("check", *self.base, "models.sns.training.levels={sampling: low, max_level: 5}",
                     "rollout.methods.made={generator: sns}",
                     "rollout.methods.clean={emulator: gaussian, refiner: sns, path: clean_past}",
                     "rollout.methods.forced={emulator: gaussian, refiner: sns, fixed_levels: [4, 12]}",
                     "rollout.methods.sns.threshold=3")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"doubtful +generates from level 19 with sns, which was trained on levels 0 to 5")
        self.assertRegex(result.stdout, r"doubtful +refines from level 12 with sns, which was trained on levels 0 to 5")
        self.assertRegex(result.stdout, r"doubtful +path clean_past with sns, which was trained beside noised past")
        self.assertRegex(result.stdout, r"rollout\.sns  .*, 0 or more denoiser evaluations")
        mixed = sns("check", *self.base, "models.sns.training.levels={past: mixed}",
                    "rollout.methods.clean={emulator: gaussian, refiner: sns, path: clean_past}")
        self.assertEqual(mixed.returncode, 0, mixed.stderr)
        self.assertNotIn("trained beside noised past", mixed.stdout)
        alone = sns("check", *self.base, "models.sns.training.levels={past: mixed}", "models.sns.training.batch=1")
        self.assertEqual(alone.returncode, 2)
        self.assertIn("levels.past: mixed wants an even number of samples", alone.stderr)

    def test_check_says_what_memory_a_training_takes(self):
        def check(batch, accumulate=1):
            done = sns("check", *self.base, "run.device=cpu", f"models.sns.training.batch={batch}",
                       f"models.sns.training.accumulate={accumulate}")
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout[done.stdout.index("models.sns "):]

        def taken(*training):
            text = check(*training)
            self.assertNotIn("of memory, ", text)
            number, unit = re.search(r"training +12 steps of \d+ samples, ([\de+.]+) ([kMG])B of tensors beside the frames", text).groups()
            return float(number) * 1000.0 ** " kMG".index(unit)

        few, many = taken(100), taken(1100)
        self.assertGreater(many, 5 * few)
        self.assertAlmostEqual(taken(100, 20) / few, 1, delta=0.01)  # passes one after the other
        self.assertRegex(check(100_000_000), r"doubtful +training takes [\d.]+ [TP]B of memory, [\d.]+ [kM]B of frames among them, "
                                             r"and [\d.]+ [MGT]B are available; a smaller training.batch")

    def test_one_key_swaps_a_method(self):
        for override, kind, unused in [
            ("rollout.methods.sns.refiner=thermalizer", "a refiner of kind thermalizer", "path"),
            ("rollout.methods.thermalizer.refiner=sns", "a refiner of kind sns", "start_level, stop_level"),
            ("rollout.methods.sns.generator=acdm", "a generator of kind acdm", "emulator, refiner, path"),
            ("rollout.methods.acdm.generator=sns", "a generator of kind sns", "conditioning"),
            ("rollout.methods.sns.refiner=null", "a surrogate alone", "path"),
        ]:
            with self.subTest(override):
                result = sns("reproduce", *self.base, "--dry-run", override)
                self.assertEqual(result.returncode, 0, result.stderr)
                warnings = [line for line in result.stderr.splitlines() if "no effect on" in line]
                self.assertEqual(len(warnings), 1, result.stderr)
                name = override.split(".")[2]
                self.assertRegex(warnings[0], rf"rollout\.methods\.{name}: {unused}.* \(no effect on {kind}\)")

    def test_one_key_makes_another_kind_of_a_model(self):
        result = sns("reproduce", *self.base, "--dry-run", "models.sns_clean.kind=thermalizer",
                     "rollout.methods.sns_clean_generated=null")  # a thermalizer generates nothing
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stderr, r"models\.sns_clean: network\.embedding, .*training\.levels\.past "
                                        r"\(no effect on a model of kind thermalizer\)")
        self.assertRegex(result.stderr, r"rollout\.methods\.sns_clean: path.* \(no effect on a refiner of kind thermalizer\)")

    def test_mistakes_are_one_line(self):
        for override, message in {
            "rollout.methods.acdm.generator=gaussian": "not a model of kind acdm or sns",
            "rollout.methods.thermalizer.refiner=acdm": "not a model of kind sns or thermalizer",
            "rollout.methods.thermalizer.noise_limit=5": "must lie above start_level",
            "rollout.methods.thermalizer.pth=A": "pth is unknown",
            "rollout.methods.sns.start_levle=3": "start_levle is unknown",
            "rollout.methods.thermaliser.noise_limit=5": "thermaliser is unknown (did you mean thermalizer?)",
            "models.acmd.kind=acdm": "models.acmd is unknown (did you mean acdm?)",
            "rollout.methods.sns.gate=past": "either",
            "rollout.methods.sns.refiner=sns_clean": "set rollout.methods.sns.path=clean_past",
            "rollout.methods.thermalizer={emulator: gaussian, refiner: thermalizer, rule: reference, start_level: 6, "
            "stop_level: 6}":
                "below start_level",
            "models.acdm.network.predicts=past": "both",
            "rollout.methods.coarse={solver: {gird: {points: 16}}}": "solver.gird is unknown (did you mean grid?)",
            "rollout.methods.coarse={solver: {initial: {kind: rest}}}": "solver.initial: has no use here",
            "rollout.methods.coarse={solver: {stepper: {dt: 1.0e-5}, grid: {points: 7}}}": "solver.grid.points: 7 is not allowed",
            "rollout.methods.coarse={solver: {stepper: {dt: 7.0e+6}}}": "does not divide the time between frames",
        }.items():
            with self.subTest(override):
                result = sns("reproduce", *self.base, override)
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertIn(message, result.stderr)
                self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)


class Kolmogorov(Methods, unittest.TestCase):
    fields, suffix = ["vorticity"], ""
    solvers = {"solver_coarse": (16, 1), "solver_between": (24, 1)}  # on the networks' grid; between that and the data's

    @classmethod
    def setUpClass(cls):
        cls.run_folder, cls.base = RUN, BASE


class TwoLayer(Methods, unittest.TestCase):
    fields, suffix = ["q_upper", "q_lower"], "/q_upper"
    solvers = {"solver_coarse": (16, 5), "solver_between": (24, 5)}

    @classmethod
    def setUpClass(cls):
        cls.run_folder = Path(TEMPORARY.name) / "two-layer"
        cls.base = [SOURCE / "yaml" / "qg2layer" / "methods.yaml", "--scale", "smoke", f"run.output={cls.run_folder}",
                    *GENERATED, *SIZES]
        make(cls.base)


class Sampling(SnsCase):
    """The comparison of ways of sampling, with the networks of the other experiment."""

    def test_every_row_is_a_way_of_its_own(self):
        run_folder = self.folder / "run"
        weights = [f"models.{name}.weights={RUN / 'models' / name}" for name in ("gaussian", "sns")]
        path_b = "rollout.methods.floor2_B={emulator: gaussian, refiner: sns, level_floor: 2, path: B}"
        self.sns("reproduce", SAMPLING, "--scale", "smoke", f"run.output={run_folder}", *weights, *SIZES, path_b,
                 "rollout.steps=6", "--until", "rollout")
        rows = {file.stem: arrays(file) for file in (run_folder / "rollouts").glob("*.h5")}
        # An untrained head may name levels above the floor: then floor2 does what the default does.
        plain = {"gaussian", "default", "exclusive", "reference", "sqrt_beta", "first_initial", "raw"}
        floored = {name for name in rows if name.startswith("floor2")}
        self.assertEqual(set(rows), plain | floored)
        self.assertEqual(floored, {"floor2", *(f"floor2_{name}" for name in (
            "exclusive", "reference", "sqrt_beta", "B", "C", "fixed_past", "clean_past"))})
        same = lambda group: [(a, b) for a in group for b in group
                              if a < b and rows[a]["vorticity"] == rows[b]["vorticity"]]
        # Where both members stand at one level, the reference rule does what the exclusive one does.
        self.assertEqual(same(plain - {"reference"}), [])
        self.assertEqual(same(plain - {"exclusive"}), [])
        # Path B's second sweep, of the past, comes after the present frame is made.
        self.assertEqual(same(floored - {"floor2_reference"}), [("floor2_B", "floor2_fixed_past")])
        self.assertEqual(same(floored - {"floor2_exclusive", "floor2_B"}), [])


class Ensemble(SnsCase):
    """Several members of each initial condition."""

    def test_members_differ_and_are_scored(self):
        run_folder = self.folder / "run"
        shutil.copytree(RUN, run_folder)
        self.sns("reproduce", *BASE, f"run.output={run_folder}", "rollout.steps=6", "--until", "evaluate",
                 "rollout.ensemble={members: 3, perturbation: 1.0e-3, steps: 4}")
        for name in ("sns", "solver_coarse"):
            with h5py.File(run_folder / f"rollouts/ensembles/{name}.h5") as file:
                np.testing.assert_array_equal(file["member"][:], [10**9 * e + 1000000 + i for e in (1, 2, 3) for i in (0, 1)])
                self.assertEqual(file.attrs["ensemble"], "3")
                frames = file["vorticity"][:]
                self.assertEqual(frames.shape, (6, 5, 16, 16))
            with h5py.File(run_folder / f"rollouts/{name}.h5") as file:
                first = file["vorticity"][:, 0]
            noise = frames[:, 0].reshape(3, 2, 16, 16) - first
            self.assertAlmostEqual(noise.std() / first.std(), 1e-3, delta=1e-4)
        metrics = json.loads((run_folder / "evaluation/metrics.json").read_text())
        for method in metrics["methods"]:
            self.assertEqual(method["ensemble_members"], 3)
            self.assertIn("crps/early", method["results"])
        self.assertEqual(metrics["solver_ensemble"]["members"], 3)
        crps = lambda entry: entry["results"]["crps/early"]["value"]
        self.assertLess(crps(metrics["solver_ensemble"]), 0.5 * crps(metrics["ceilings"]["climatology"]))
        # Untouched by it: the rollouts themselves.
        self.assertEqual(arrays(run_folder / "rollouts/sns.h5"), arrays(RUN / "rollouts/sns.h5"))


class Precision(SnsCase):
    def test_tf32_is_float32_on_the_cpu(self):
        run_folder = self.folder / "run"
        shutil.copytree(RUN, run_folder)
        _, log = self.sns("rollout", *BASE, f"run.output={run_folder}", "run.device=cpu", "rollout.steps=6",
                          "rollout.precision=tf32", "--method", "sns")
        self.assertIn("rollout.precision: tf32 is float32 on the CPU", log)
        self.assertEqual(arrays(run_folder / "rollouts/sns.h5"), arrays(RUN / "rollouts/sns.h5"))
        with h5py.File(run_folder / "rollouts/sns.h5") as file:
            self.assertEqual(file.attrs["precision"], "tf32")

    def test_one_method_in_bfloat16(self):
        run_folder = self.folder / "run"
        shutil.copytree(RUN, run_folder)
        self.sns("rollout", *BASE, f"run.output={run_folder}", "run.device=cpu", "rollout.steps=6",
                 "rollout.methods.short={emulator: gaussian, precision: bfloat16}", "--method", "short")
        with h5py.File(run_folder / "rollouts/short.h5") as short, h5py.File(RUN / "rollouts/gaussian.h5") as whole:
            self.assertEqual(short.attrs["precision"], "bfloat16")
            self.assertEqual(whole.attrs["precision"], "float32")
            off = np.linalg.norm(short["vorticity"][:, 1] - whole["vorticity"][:, 1])
            self.assertGreater(off, 0)
            self.assertLess(off, 0.02 * np.linalg.norm(whole["vorticity"][:, 1]))


class Swapped(SnsCase):
    def test_shipped_weights_that_were_trained_beside_other_past_frames(self):
        _, err = self.sns("reproduce", *BASE, f"run.output={self.folder / 'run'}", "models.sns.network.head_features=1024",
                          f"models.sns.weights={RUN / 'models/sns_clean'}", "--dry-run", code=2)
        self.assert_one_line(err, "was trained beside clean past frames", "training.levels.past is noised")

    def test_weights_that_were_put_in_another_model_s_place_are_refused_where_they_do_not_fit(self):
        run_folder = self.folder / "run"
        shutil.copytree(RUN, run_folder)
        for file in ("config.yaml", "model.safetensors", "ema.safetensors"):
            shutil.copy(run_folder / "models/sns_clean" / file, run_folder / "models/sns" / file)
        _, err = self.sns("rollout", *BASE, f"run.output={run_folder}", "rollout.steps=7", "--method", "sns", code=2)
        self.assert_one_line(err, "trained beside clean past frames", "path A noises them")


class Seed(SnsCase):
    """run.seed reaches every draw of a rollout: what is new in a frame, beside the past one, is another one's with another seed."""

    DRAWS = ("acdm", "sns", "sns_clean", "sns_generated", "sns_lagged", "thermalizer", "noisy")

    def test_other_seeds_make_other_noise(self):
        new = {}
        for seed in (1, 2):
            run_folder = self.folder / f"run{seed}"
            weights = [f"models.{path.name}.weights={path}" for path in (RUN / "models").iterdir()]
            self.sns("reproduce", *BASE, f"run.output={run_folder}", f"run.seed={seed}", "rollout.steps=1", *weights, "evaluate.window=1",
                     "rollout.methods.noisy={emulator: gaussian, noise: 1.0}", "rollout.methods.thermalizer.noise_limit=18",
                     "--until", "rollout")
            for name in self.DRAWS:
                with h5py.File(run_folder / f"rollouts/{name}.h5") as file:
                    before, after = (file["vorticity"][0, i].ravel().astype(float) for i in (0, 1))
                new.setdefault(name, []).append(after - before * (before @ after) / (before @ before))
        for name, (one, other) in new.items():
            with self.subTest(name):
                self.assertLess(abs(np.corrcoef(one, other)[0, 1]), 0.4)


class MemberAlone(SnsCase):
    """In deterministic mode a member has the same bits alone and among others."""

    def test_member_three(self):
        run_folder = self.folder / "run"
        shutil.copytree(RUN, run_folder, ignore=shutil.ignore_patterns("truth", "rollouts", "evaluation"))
        frames = {}
        for members in ("4", "[3]"):
            self.sns("reproduce", METHODS, "--scale", "smoke", f"run.output={run_folder}", *EXTRA,
                     f"rollout.members={members}", "rollout.limit=1e30", "rollout.steps=6",
                     "rollout.deterministic=true", "--until", "rollout")
            for file in (run_folder / "rollouts").glob("*.h5"):
                with h5py.File(file) as rollout:
                    frames[file.stem, members] = rollout["vorticity"][:], rollout["member"][:]
        methods = {method for method, _ in frames}
        self.assertEqual(len(methods), 11)
        for method in methods:
            with self.subTest(method):
                every, ids = frames[method, "4"]
                alone, id_alone = frames[method, "[3]"]
                np.testing.assert_array_equal(ids, 1000000 + np.arange(4))
                np.testing.assert_array_equal(id_alone, [1000003])
                np.testing.assert_array_equal(every[3].view(np.uint32), alone[0].view(np.uint32))


class Predict(SnsCase):
    """Options of `sns predict` beside those of the other tests."""

    def pairs(self, shape):
        file = self.folder / "pairs.h5"
        with h5py.File(RUN / "rollouts/gaussian.h5") as source, h5py.File(file, "w") as out:
            out["pairs"] = source["vorticity"][:, :2]
            out["states"] = source["vorticity"][:, 0]
        return f"{file}:/{shape}"

    def predict(self, model, shape, *options, code=0):
        out = self.folder / "out.h5"
        _, err = self.sns("predict", "--weights", RUN / "models" / model, "--input", self.pairs(shape), "-o", out,
                          "--overwrite", *options, code=code)
        if code:
            return err
        with h5py.File(out) as file:
            self.attributes = dict(file.attrs)
            return {name: file[name][:] for name in file} | {"stderr": err}

    def test_oracle(self):
        low = self.predict("sns", "pairs", "--oracle", "0,0")
        self.assertEqual(set(low) - {"stderr"}, {"noised", "estimate", "levels"})
        self.assertEqual(low["estimate"].shape, (2, 2, 16, 16))
        high = self.predict("sns", "pairs", "--oracle", "0,15")
        with h5py.File(self.folder / "pairs.h5") as file:
            clean = file["pairs"][:]
        size = np.abs(clean).std()
        moved = [np.abs(found["noised"] - clean).std(axis=(0, 2, 3)) / size for found in (low, high)]
        self.assertGreater(moved[1][1], 5 * moved[0][1])  # the present frame is far noisier
        np.testing.assert_array_equal(low["noised"][:, 0], high["noised"][:, 0])  # the past is as noisy as before
        self.assert_one_line(self.predict("sns", "pairs", "--oracle", "0,20", code=2), "0 to 19")
        self.assert_one_line(self.predict("acdm", "states", "--oracle", "0,0", code=2), "kind 'acdm'")

    def test_gate_and_noise_limit(self):
        everything = self.predict("sns", "pairs", "--gate", "either")
        gated = self.predict("sns", "pairs", "--gate", "present", "--threshold", "19")
        self.assertTrue((everything["used_levels"] >= 0).all())
        self.assertTrue((gated["used_levels"] == -1).all())
        self.assertTrue((gated["evaluations"] == 0).all())
        free = self.predict("thermalizer", "states", "--start-level", "-1", "--stop-level", "-1", "--noise-limit", LEVELS)
        self.assertTrue(np.isfinite(free["refined"]).all())
        limit = free["levels"][:, 1].max() - 1
        limited = self.predict("thermalizer", "states", "--start-level", "-1", "--stop-level", "-1",
                               "--noise-limit", limit)
        given_up = free["levels"][:, 1] > limit
        np.testing.assert_array_equal(np.isnan(limited["refined"]).all(axis=(1, 2)), given_up)
        self.assertIn("above the noise limit", limited["stderr"])
        self.assertTrue((limited["evaluations"][given_up] == 0).all())
        self.assertTrue((limited["used_levels"][given_up] == -1).all())
        together = self.predict("thermalizer", "states", "--start-level", "-1", "--stop-level", "-1",
                                "--noise-limit", limit, "--rule", "reference")
        self.assertTrue(np.isnan(together["refined"]).all())  # both are of one batch

    def test_a_noise_limit_beyond_the_training(self):
        for levels, warned in ((5, True), (6, True), (7, False)):
            weights = self.folder / f"to_{levels}"
            shutil.copytree(RUN / "models/thermalizer", weights)
            with (weights / "config.yaml").open("a") as config:
                config.write(f"trained_max_level: {levels}\n")
            told = self.predict(weights, "states", "--noise-limit", "6")["stderr"]
            self.assertEqual("names none above, so that no state is given up" in told, warned, told)

    def test_noise_of_reverse_steps(self):
        """Of the paper, and for what the estimates get wrong, which sns calibrate measures."""
        for model, shape, options in (("sns", "pairs", ()), ("thermalizer", "states", ("--start-level", "-1", "--stop-level", "-1",
                                                                                        "--noise-limit", LEVELS))):
            with self.subTest(model):
                weights, out = self.folder / model, self.folder / f"{model}-drawn.h5"
                shutil.copytree(RUN / "models" / model, weights)
                draw = ("predict", "--weights", weights, "--input", self.pairs(shape), "-o", out, "--reverse-std", "measured", *options)
                self.assert_one_line(self.sns(*draw, code=1)[1], f"sns calibrate --weights {weights} --data")
                self.sns("calibrate", "--weights", weights, "--data", RUN / "dataset")
                self.sns(*draw)
                mean = self.predict(model, shape, *options)
                with h5py.File(out) as file:
                    drawn, attributes = {name: file[name][:] for name in file}, dict(file.attrs)
                self.assertTrue(np.isfinite(drawn["refined"]).all())
                self.assertFalse(np.allclose(drawn["refined"], mean["refined"]))
                np.testing.assert_array_equal(drawn["levels"], mean["levels"])
                self.assertEqual(attributes["reverse_std"], "measured")
                self.assertEqual(attributes["estimate_error_sha256"],
                                 hashlib.sha256((weights / "estimate_error.safetensors").read_bytes()).hexdigest())
                self.assert_one_line(self.predict(weights, shape, "--rule", "exclusive", "--reverse-std", "measured", code=2), "give rule: inclusive")
        self.assert_one_line(self.predict("acdm", "states", "--reverse-std", "measured", code=2), "measured is for refiners")
        self.assert_one_line(self.predict("sns", "states", "--generate", "--reverse-std", "measured", code=2), "measured is for refiners")
        self.assert_one_line(self.predict("sns", "states", "--generate", "--clip", "nan", code=2), "is no number of standard deviations")

    def test_levels_that_do_not_fit_are_refused(self):
        for model, shape, options, message in (
            ("sns", "pairs", ("--level-floor", "20"), "level floor is 20; it must be in 0..19"),
            ("sns", "pairs", ("--fixed-levels", "0,20"), "fixed level is 20; it must be in 0..19"),
            ("sns", "pairs", ("--fixed-levels", "0,2", "--threshold", "1"), "--fixed-levels: a level floor, a threshold or a gate"),
            ("sns", "pairs", ("--threshold", "20"), "-1..19"),
            ("thermalizer", "states", ("--start-level", "3", "--stop-level", "4"), "stop level, 4, lies above"),
            ("thermalizer", "states", ("--start-level", "20"), "-1..19"),
            ("thermalizer", "states", ("--start-level", "6", "--noise-limit", "6"), "noise limit, 6, must lie above"),
        ):
            with self.subTest(model=model, options=options):
                (self.folder / "out.h5").unlink(missing_ok=True)
                self.assert_one_line(self.predict(model, shape, *options, code=2), message)
                self.assertFalse((self.folder / "out.h5").exists())

    def test_options_of_another_kind_are_refused(self):
        for model, shape, options, message in (
            ("gaussian", "states", ("--long", "nowhere.h5:/x"), "--long says nothing to a model of kind gaussian"),
            ("gaussian", "states", ("--rule", "foo"), "--rule"),
            ("acdm", "states", ("--start-level", "1"), "it takes --start, --conditioning, --reverse-std"),
            ("sns", "states", ("--generate", "--threshold", "3"), "--threshold says nothing to a generation"),
            ("sns", "states", ("--generate", "--classify", "noised"), "--classify says nothing to a generation"),
            ("sns", "pairs", ("--oracle", "0,1", "--classify", "noised"), "--classify says nothing to the oracle"),
            ("sns", "pairs", ("--oracle", "0,0", "--path", "B"), "--path says nothing to the oracle"),
        ):
            with self.subTest(model=model, options=options):
                self.assert_one_line(self.predict(model, shape, *options, code=2), message)
                self.assertFalse((self.folder / "out.h5").exists())

    def test_the_input_is_not_replaced(self):
        states = self.folder / "pairs.h5"
        _, err = self.sns("predict", "--weights", RUN / "models/gaussian", "--input", self.pairs("states"), "-o", states,
                          "--overwrite", code=2)
        self.assert_one_line(err, "pairs.h5 is read")
        with h5py.File(states) as file:
            self.assertEqual(set(file), {"pairs", "states"})
        comma = self.folder / "a,b.h5"
        states.rename(comma)
        out = self.folder / "out.h5"
        self.sns("predict", "--weights", RUN / "models/gaussian", "--input", f"{comma}:/states")
        self.assertTrue((self.folder / "a,b_predicted.h5").is_file())
        for _ in range(2):  # there at the second time
            self.sns("predict", "--weights", RUN / "models/gaussian", "--input", f"{comma}:/states", "-o", out, "--overwrite")

    def test_weights_know_that_their_past_frames_were_clean(self):
        self.assertIn("trained_past: clean", (RUN / "models/sns_clean/config.yaml").read_text())
        for shape, options, what in (("pairs", (), "path A noises them"), ("pairs", ("--path", "C"), "path C noises them"),
                                     ("states", ("--generate",), "path fixed_past noises them"),
                                     ("pairs", ("--oracle", "0,0"), "the oracle noises them")):
            with self.subTest(options):
                err = self.predict("sns_clean", shape, *options, code=2)
                self.assert_one_line(err, "trained beside clean past frames", what)
                self.assertFalse((self.folder / "out.h5").exists())
        made = self.predict("sns", "pairs", "--path", "clean_past")
        self.assertIn("trained beside noised past frames", made["stderr"])
        self.assertNotIn("warning", self.predict("sns_clean", "pairs", "--path", "clean_past")["stderr"])

    def test_levels_of_a_clean_past_frame_are_not_told(self):
        made = self.predict("sns_clean", "pairs", "--path", "clean_past")
        self.assertTrue((made["levels"][:, 0] == -1).all() and (made["levels"][:, 1] >= 0).all())

    def test_generation(self):
        made = self.predict("sns", "states", "--generate")
        self.assertEqual(set(made) - {"stderr"}, {"next", "levels", "evaluations"})
        self.assertEqual(made["next"].shape, (2, 16, 16))
        self.assertTrue((made["evaluations"] == LEVELS).all())
        self.assertTrue((made["levels"][:, 0] >= 0).all() and (made["levels"][:, 1] == -1).all())
        self.assertEqual([self.attributes[name] for name in ("path", "start")], ["fixed_past", "pure_noise"])
        swept = self.predict("sns", "states", "--generate", "--path", "A", "--start", "noised_past")
        np.testing.assert_array_equal(swept["evaluations"], LEVELS + swept["levels"][:, 0] + 1)
        clean = self.predict("sns", "states", "--generate", "--path", "clean_past")
        self.assertEqual(set(clean) - {"stderr"}, {"next", "evaluations"})
        self.assert_one_line(self.predict("acdm", "states", "--generate", code=2), "kind 'acdm'")
        self.assert_one_line(self.predict("sns", "pairs", "--generate", "--oracle", "0,0", code=2), "give one of them")

    def test_the_file_says_how_it_was_made(self):
        self.predict("sns", "pairs", "--path", "B", "--level-floor", "2", "--gate", "either", "--batch", "1")
        self.assertEqual({name: self.attributes[name] for name in ("path", "rule", "level_floor", "threshold", "gate",
                                                                   "reverse_std", "batch", "seed")},
                         {"path": "B", "rule": "inclusive", "level_floor": 2, "threshold": -1, "gate": "either",
                          "reverse_std": "posterior", "batch": 1, "seed": 0})
        self.assertTrue(self.attributes["command"].startswith("sns predict --weights "))
        self.assertIn(" --path B --level-floor 2 --gate either --batch 1", self.attributes["command"])
        fixed = self.predict("sns", "pairs", "--fixed-levels", "3,1")
        self.assertEqual([self.attributes[f"fixed_{frame}_level"] for frame in ("past", "present")], [3, 1])
        self.assertTrue((fixed["used_levels"] == [3, 1]).all())
        np.testing.assert_array_equal(fixed["evaluations"], 4 + 2)  # down from each level and off it
        self.predict("sns", "pairs", "--oracle", "3,12")
        self.assertEqual([self.attributes[f"oracle_{frame}_level"] for frame in ("past", "present")], [3, 12])
        self.assertIn(" --oracle 3,12", self.attributes["command"])
        self.predict("thermalizer", "states", "--start-level", "3", "--stop-level", "2", "--noise-limit", "99")
        self.assertEqual([self.attributes[name] for name in ("start_level", "stop_level", "noise_limit")], [3, 2, 99])
        self.assertEqual(self.attributes["classify"], "as_given")
        self.predict("thermalizer", "states", "--classify", "noised")
        self.assertEqual(self.attributes["classify"], "noised")
        self.predict("sns", "pairs", "--classify", "noised")
        self.assertEqual(self.attributes["classify"], "noised")
        self.predict("acdm", "states", "--start", "pure_noise", "--conditioning", "single")
        self.assertEqual([self.attributes[name] for name in ("start", "conditioning")], ["pure_noise", "single"])
