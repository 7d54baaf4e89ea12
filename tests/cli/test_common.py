"""Help, version, exit codes, check, info: what all verbs have in common."""

import os
import re
import subprocess
import unittest

import h5py
import numpy as np
from sns_case import PROGRAM, SOURCE, SnsCase

class Common(SnsCase):
    def test_help_of_every_verb_has_examples(self):
        listed = self.sns("--help")[0].split("Subcommands:")[1]
        verbs = re.findall(r"^  (\w+) ", listed, re.M)
        self.assertLessEqual({"check", "simulate", "datagen", "verify", "stability", "train", "predict", "calibrate", "export", "rollout",
                              "evaluate", "reproduce", "bench", "info"}, set(verbs))
        for verb in verbs:
            text, _ = self.sns(verb, "--help")
            if "not in this build" not in text:
                self.assertIn("Example", text, verb)
                self.assertIn(f"  sns {verb} ", text, verb)

    def test_version_and_info(self):
        self.assertRegex(self.sns("--version")[0], r"sns \d+\.\d+\.\d+")
        out, _ = self.sns("info")
        for word in ("HDF5", "fftw", "cufft backend", "threads", "GPU"):
            self.assertIn(word, out)
        if "built without LibTorch" not in out:
            self.assertRegex(out, r"LibTorch's CUDA +(usable|not usable: \S)")

    def test_verbs_without_libtorch_say_so(self):
        without = "built without LibTorch" in self.sns("info")[0]
        for verb in ("train", "rollout"):
            self.assertEqual("not in this build" in self.sns(verb, "--help")[0], without)
            if without:
                self.assert_one_line(self.sns(verb, self.config, code=2)[1], "built without LibTorch", "scripts/setup")

    def test_usage_errors(self):
        self.assert_one_line(self.sns("simulat", code=2)[1])
        self.assert_one_line(self.sns("simulate", code=2)[1], "FILE.yaml", "sns simulate --help")
        self.assert_one_line(self.sns("simulate", "absent.yaml", code=2)[1], "absent.yaml")
        self.assert_one_line(self.sns("simulate", self.config, "solver.viscosity", code=2)[1], "key.path=value")
        self.assert_one_line(self.sns("datagen", self.config, "--shard", "3/3", code=2)[1], "INDEX/COUNT")
        self.assert_one_line(self.sns("simulate", self.config, "--steps", "-5", code=2)[1], "--steps")

    def test_quickstart_looks_at_its_arguments_first(self):
        refused = subprocess.run([SOURCE / "scripts/quickstart", "rollout.steps=10", "--nope"], capture_output=True, text=True,
                                 timeout=10)
        self.assertEqual((refused.returncode, refused.stdout), (2, ""))
        self.assertIn("'--nope' is no override (have: key.path=value, --help)", refused.stderr)

    def test_values_that_are_not_there(self):
        """Of a variable that is not set, such as --initial "$STATE"."""
        for verb, option in (("simulate", "--initial"), ("simulate", "--device"), ("datagen", "--shard")):
            self.assert_one_line(self.sns(verb, self.config, option, "", code=2)[1], option, "is empty")

    def test_output_that_names_a_folder(self):
        self.assert_one_line(self.sns("simulate", self.config, "-o", "new/", code=1)[1], "new/ is a folder")
        self.assertFalse((self.folder / "new").exists())

    def test_a_configuration_is_a_file(self):
        os.mkfifo(self.folder / "pipe")
        self.assert_one_line(self.sns("check", "pipe", code=2)[1], "pipe is not a regular file")

    def test_a_file_that_is_called_like_a_scale(self):
        scales = self.folder / "scales"
        scales.mkdir()
        (scales / "tiny.yaml").write_text("simulate: {steps: 7}\n")
        (self.folder / "tiny").write_text("")
        for name, folder in (((), "run-tiny"), (("run.output=given",), "given")):
            out, _ = self.sns("check", self.config, "--scale", "tiny", "--resolved", *name)
            self.assertRegex(out, r"simulate:\n +members: 2\n +steps: 7")
            self.assertRegex(out, rf"output: \S*{folder}\n")

    def test_output_that_cannot_be_written(self):
        for arguments in (("--version",), ("check", "--help"), ("info",)):
            with open("/dev/full", "w") as full:
                done = subprocess.run([PROGRAM, *arguments], stdout=full, stderr=subprocess.PIPE, text=True)
            self.assertEqual((done.returncode, done.stderr), (1, "sns: error: cannot write to standard output\n"), arguments)

    def test_info_of_a_data_set_that_is_not_finished(self):
        (self.folder / "set/partial").mkdir(parents=True)
        (self.folder / "set/config.yaml").write_text("")
        self.assertIn("not finished: the same 'sns datagen' command goes on", self.sns("info", "set")[0])

    def test_info_of_links(self):
        """Of groups that hold themselves, and of names that lead nowhere."""
        with h5py.File(self.folder / "links.h5", "w") as file:
            file["group/array"] = [[1.0, 2.0, 3.0]]
            file["group/itself"] = file["group"]
            file["soft"], file["dead"] = h5py.SoftLink("/group/array"), h5py.SoftLink("/none")
            file["other"] = h5py.ExternalLink("none.h5", "/array")
            file["type"] = np.dtype("f4")
            file.create_group("empty")
        out, _ = self.sns("info", "links.h5")
        self.assertEqual({line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in out.splitlines()}, {
            "/group/array": "float64 (1, 3)", "/group/itself": "group that has another name, too",
            "/soft": "-> /group/array", "/dead": "-> /none, which is not there",
            "/other": "-> none.h5:/array, which cannot be opened", "/type": "neither array nor group", "/empty": "group, empty"})

    def test_devices(self):
        self.assert_one_line(self.sns("simulate", self.config, "--device", "gpu", code=2)[1], "gpu", "auto, cpu, cuda or cuda:N")
        self.assert_one_line(self.sns("simulate", self.config, "--device", "cuda:99", "--steps", "1", code=1)[1],
                             "device cuda:99 cannot be used", "run.device=")
        self.sns("simulate", self.config, "run.device=cuda:99", "--device", "cpu", "--steps", "1", "--every", "1")

    def test_check_runs_nothing(self):
        out, _ = self.sns("check", self.config, "solver.viscosity=0.02")
        self.assertTrue(out.startswith("solver\n"), out[:80])
        for text in ("viscosity 0.02", r"32 \(?x\)? x 32", r"16 \(?x\)? x 16", "steps/s", "3 train, 1 valid, 2 test", "disk",
                     r"memory +at least 131 kB for the solver", r"members, at least 131 kB for the solver"):
            self.assertRegex(out, text)
        resolved, _ = self.sns("check", self.config, "solver.viscosity=0.02", "--resolved")
        self.assertRegex(resolved, r"(?s)^run:.*viscosity: 0.02.*fft_planning: estimate.*\nsolver\n  Kolmogorov")
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["tiny.yaml"])

    def test_check_says_where_results_would_go(self):
        out, err = self.sns("check", self.config, f"run.output={self.folder}/runs/a")
        self.assertRegex(out, rf"output +{self.folder}/runs/a, [0-9.]+ [kMGT]?B free there")
        self.assertNotIn("warning", err)
        _, err = self.sns("check", self.config, f"run.output={self.folder}/tiny.yaml/a")
        self.assertRegex(err, r"warning: .*tiny\.yaml is no folder")


class BadConfiguration(SnsCase):
    """Each is one line on stderr, exit code 2, and leaves no output behind."""

    CASES = {
        "misspelt key": (("solver.viscosty=1e-3",), ("viscosty", "viscosity")),
        "misspelt block": (("solvr.viscosity=1e-3",), ("solvr", "solver")),
        "wrong type": (("solver.viscosity=thick",), ("viscosity", "thick")),
        "wrong type of a count": (("simulate.steps=1.5",), ("steps", "1.5")),
        "negative viscosity": (("solver.viscosity=-1e-3",), ("viscosity", "-1e-3")),
        "odd grid": (("solver.grid.points=33",), ("points", "33")),
        "unknown stepper": (("solver.stepper.name=cn_rk5",), ("cn_rk5", "cn_rk4")),
        "unknown system": (("solver.system=kolmogorv",), ("kolmogorv", "kolmogorov")),
        "coarsening that does not divide": (("simulate.coarsen={factor: 5, kind: spectral}",), ("5", "32")),
        "empty split": (("datagen.trajectories=2",), ("trajectories",)),
        "time step of zero": (("solver.stepper.dt=0",), ("dt",)),
        "infinite viscosity": (("solver.viscosity=.inf",), ("viscosity", "finite")),
        "time step that is no number": (("solver.stepper.dt=.nan",), ("dt", "finite")),
        "negative forcing": (("solver.forcing.amplitude=-1",), ("amplitude", "negative")),
        "more trajectories than ever": (("datagen.trajectories=100000000000",), ("trajectories", "10000000")),
        "misspelt key of another verb": (("simulate.evry=5", "datagen.frames=3"), ("evry", "every")),
        "misspelt key of data sets": (("datagen.fraems=5",), ("fraems", "frames")),
        "key of another initial state": (("solver.initial={kind: laminar, wavenumber: 8}",),
                                         ("wavenumber", "kind: laminar")),
    }

    def test_each(self):
        for what, (overrides, parts) in self.CASES.items():
            with self.subTest(what):
                verb = "datagen" if "datagen" in overrides[0] else "simulate"
                _, err = self.sns(verb, self.config, *overrides, code=2)
                self.assert_one_line(err, *parts)
                self.assertFalse((self.folder / "run").exists() and any((self.folder / "run").rglob("*.h5")))

    def test_unknown_keys_where_the_initial_states_are_not_there(self):
        gone = "solver.initial={kind: file, path: 'gone.h5:/w'}"
        self.assert_one_line(self.sns("datagen", self.config, gone, code=1)[1], "gone.h5")
        for override, hint in (("simulate.evry=5", "every"), ("solver.viscosty=1", "viscosity"), ("rolout.steps=1", "rolout")):
            self.assert_one_line(self.sns("datagen", self.config, gone, override, code=2)[1], hint)

    def test_overrides_that_no_block_knows(self):
        """Whatever the verb reads; blocks of emulators are known only where they are built."""
        for verb in ("simulate", "datagen", "check"):
            for override, hint in (("simulate.evry=5", "every"), ("datagen.fraems=5", "frames")):
                with self.subTest(verb, override=override):
                    self.assert_one_line(self.sns(verb, self.config, override, code=2)[1], hint, "command line")
        rollout = ("datagen", self.config, "rollout.stpes=5")
        if "not in this build" in self.sns("train", "--help")[0]:
            self.sns(*rollout)
        else:
            self.assert_one_line(self.sns(*rollout, code=2)[1], "stpes", "steps")
        quickstart = SOURCE / "yaml" / "kolmogorov" / "quickstart.yaml"
        for verb in ("train", "rollout", "evaluate", "reproduce"):
            if "not in this build" in self.sns(verb, "--help")[0]:
                continue
            for override, hint in (("simulate.evry=5", "every"), ("datagen.fraems=5", "frames")):
                with self.subTest(verb, override=override):
                    _, err = self.sns(verb, quickstart, f"run.output={self.folder / 'none'}", override, code=2)
                    self.assert_one_line(err, hint, "command line")
                    self.assertFalse((self.folder / "none").exists())

    def test_faults_of_the_file_in_blocks_that_the_verb_does_not_read(self):
        whole = self.config.read_text()
        for verb, fault, parts in (
                ("datagen", ("every: 20", "every: 20, evry: 3"), ("evry", "every", "tiny.yaml:")),
                ("simulate", ("spinup_steps: 40", "spinup_step: 40"), ("spinup_step", "spinup_steps", "tiny.yaml:")),
                ("simulate", ("trajectories: 6", "trajectories: -6"), ("trajectories", "-6")),
                ("simulate", ("simulate:", "simulat: {}\nsimulate:"), ("simulat", "simulate"))):
            with self.subTest(verb, fault=fault):
                self.assertIn(fault[0], whole)
                self.config.write_text(whole.replace(*fault))
                self.assert_one_line(self.sns(verb, self.config, "-o", "none", code=2)[1], *parts)
                self.assertFalse((self.folder / "none").exists())
        if "not in this build" in self.sns("train", "--help")[0]:
            return
        quickstart = (SOURCE / "yaml" / "kolmogorov" / "quickstart.yaml").read_text()
        self.config.write_text(quickstart + "simulate: {evry: 3}\n")
        for verb in ("train", "rollout", "evaluate", "reproduce"):
            with self.subTest(verb):
                _, err = self.sns(verb, self.config, f"run.output={self.folder / 'none'}", code=2)
                self.assert_one_line(err, "evry", "every", "tiny.yaml:")

    def test_output_that_cannot_be_made(self):
        """Below a regular file, and where there are no files: not even root can write there."""
        quickstart = SOURCE / "yaml" / "kolmogorov" / "quickstart.yaml"
        for verb in ("train", "reproduce"):
            if "not in this build" in self.sns(verb, "--help")[0]:
                continue
            for output in (self.config / "run", "/proc/nowhere/run"):
                with self.subTest(verb, output=output):
                    _, err = self.sns(verb, quickstart, "--scale", "smoke", f"run.output={output}", code=1)
                    self.assert_one_line(err, f"cannot create folder {output}")
                    self.assertNotRegex(err, "terminate|Traceback")

    def test_scales(self):
        scales = self.folder / "scales"
        scales.mkdir()
        (scales / "small.yaml").write_text("simulate: {steps: 20}\ndatagen: {frames: 2}\n")
        out, _ = self.sns("check", self.config, "--scale", "small")
        self.assertIn("2 members, 20 steps", out)
        self.sns("simulate", self.config, "--scale", "small")
        self.assertTrue((self.folder / "run-small" / "simulate.h5").exists())
        self.sns("datagen", self.config, "--scale", "small")
        self.assertTrue((self.folder / "run-small" / "dataset" / "MANIFEST.jsonl").exists())
        self.assert_one_line(self.sns("datagen", self.config, "--scale", "huge", code=2)[1], "huge", "small")
        self.assertEqual(self.sns("check", self.config, "scale=small", "--resolved")[0].split("speed")[0],
                         self.sns("check", self.config, "--scale", "small", "--resolved")[0].split("speed")[0])
        self.assertIn("names no scale", self.sns("check", self.config, "scale=", code=2)[1])
        self.assertIn("two scales", self.sns("check", self.config, "--scale", "small", "scale=huge", code=2)[1])

    def test_threads(self):
        weights = SOURCE / "weights" / "kolmogorov-quickstart" / "gaussian"
        for number in (0, -3, 100000):
            _, err = self.sns("check", self.config, f"run.threads={number}", code=2)
            self.assert_one_line(err, "run.threads", "1 to 1024")
            if "not in this build" not in self.sns("predict", "--help")[0]:
                _, err = self.sns("predict", "--weights", weights, "--input", "a.h5:/w", "--threads", number, code=2)
                self.assert_one_line(err, "--threads", "1024")

    def test_experiments_that_cannot_be_meant(self):
        if "not in this build" in self.sns("train", "--help")[0]:
            return
        quickstart = SOURCE / "yaml" / "kolmogorov" / "quickstart.yaml"
        for change, parts in (("datagen.trajectories=1000001", ("1000000", "training would see them")),
                              ("evaluate.correlation_thresholds=[0.8,2]", ("correlation_thresholds", "between 0 and 1"))):
            with self.subTest(change):
                _, err = self.sns("reproduce", quickstart, change, "--dry-run", f"run.output={self.folder / 'none'}", code=2)
                self.assert_one_line(err, *parts)
        nothing = [f"rollout.methods.{name}=null" for name in ("gaussian", "sns", "sns_floor2")]
        _, err = self.sns("rollout", quickstart, *nothing, f"run.output={self.folder / 'none'}", code=2)
        self.assert_one_line(err, "nothing to rollout: rollout.methods has no entries")

    def test_merge_keys_are_named(self):
        self.config.write_text("run: &r {name: a}\nsimulate: {<<: *r}\n")
        self.assert_one_line(self.sns("check", self.config, code=2)[1], "merge keys", "tiny.yaml:2")

    def test_a_limit_on_the_size_of_files(self):
        """SIGXFSZ, which batch systems cause, ends nothing without a word."""
        limited = subprocess.run(["bash", "-c", f"ulimit -f 4; {PROGRAM} simulate {self.config} -o {self.folder / 'a.h5'}"],
                                 capture_output=True, text=True)
        self.assertEqual(limited.returncode, 1, limited.stderr)
        self.assertIn("File too large", limited.stderr)

    def test_sizes_that_fit_nowhere(self):
        _, err = self.sns("simulate", self.config, "--members", 1_000_000_000, code=1)
        self.assert_one_line(err, "not enough memory", "1000000000 members", "available")
        _, err = self.sns("simulate", self.config, "--members", 0, code=2)
        self.assert_one_line(err, "--members", "at least 1")
        self.assertLess(len(err), 200)

    def test_yaml_syntax_names_the_line(self):
        self.config.write_text("run: {name: a\nsolver: [\n")
        self.assert_one_line(self.sns("check", self.config, code=2)[1], "tiny.yaml:")


if __name__ == "__main__":
    unittest.main()
