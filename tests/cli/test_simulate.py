"""sns simulate: initial states, output, resuming, failures."""

import re
import signal
import subprocess
import time
import unittest

import h5py
import numpy as np
import xarray
from sns_case import SnsCase, arrays, dataset_arrays, digest, fill_disk, mount_small_disk, wait_until_it_handles


class Output(SnsCase):
    def test_the_configuration_in_the_file_is_that_of_the_run(self):
        self.sns("simulate", self.config, "-o", "flags.h5", "--members", 1, "--steps", 6, "--every", 3, "--diagnostics", "all")
        with h5py.File(self.folder / "flags.h5") as file:
            stored = file["provenance"].attrs["config_yaml"]
            self.assertEqual(file["vorticity"].shape[:2], (1, 3))
        for line in ("members: 1", "steps: 6", "every: 3", "diagnostics: all"):
            self.assertRegex(stored, rf"(?m)^ +{line}$|[{{ ]{line}[,}}]")

    def test_layout(self):
        self.sns("simulate", self.config, "-o", "a.h5", "solver.precision=float64", "--full")
        with h5py.File(self.folder / "a.h5") as file:
            self.assertEqual(file["vorticity"].shape, (2, 11, 32, 32))
            self.assertEqual(file["vorticity"].dtype, np.float64)
            np.testing.assert_allclose(file["time"][:], 0.2 * np.arange(11))
            # enstrophy is <vorticity^2>/2 at every frame
            enstrophy = 0.5 * (file["vorticity"][:] ** 2).mean(axis=(2, 3))
            np.testing.assert_allclose(file["diagnostics/enstrophy"][:], enstrophy, rtol=1e-12)
            provenance = file["provenance"].attrs
            for key in ("git_commit", "config_yaml", "run_seed", "fft_backend", "precision", "sns_version"):
                self.assertIn(key, provenance)
            self.assertIn("viscosity: 0.01", provenance["config_yaml"])
        for engine in ("h5netcdf", "netcdf4"):
            with xarray.open_dataset(self.folder / "a.h5", engine=engine) as data:
                self.assertEqual(data["vorticity"].dims, ("member", "time", "x", "y"))

    def test_coarse_frames_are_float32_and_keep_the_resolved_scales(self):
        coarsen = "simulate.coarsen={factor: 2, kind: spectral}"
        self.sns("simulate", self.config, "-o", "coarse.h5", coarsen, "--members", 1, "--steps", 20)
        self.sns("simulate", self.config, "-o", "full.h5", "--full", "--members", 1, "--steps", 20)
        with h5py.File(self.folder / "coarse.h5") as coarse, h5py.File(self.folder / "full.h5") as full:
            self.assertEqual(coarse["vorticity"].shape, (1, 2, 16, 16))
            self.assertEqual(coarse["vorticity"].dtype, np.float32)
            fine, small = (np.fft.rfft2(f["vorticity"][0, 1].astype(float)) for f in (full, coarse))
            np.testing.assert_allclose(small[:8, :8] * 4, fine[:8, :8], atol=1e-3 * np.abs(fine).max())
            np.testing.assert_allclose(coarse["x"][:], full["x"][::2])

    def test_the_seed_decides_the_initial_states(self):
        frames = {}
        for seed in (5, 6):
            self.sns("simulate", self.config, "-o", f"{seed}.h5", f"run.seed={seed}", "--steps", 0)
            with h5py.File(self.folder / f"{seed}.h5") as file:
                self.assertEqual(file["provenance"].attrs["run_seed"], seed)
                frames[seed] = file["vorticity"][:, 0]
        for member in (0, 1):
            self.assertLess(abs(np.corrcoef(frames[5][member].ravel(), frames[6][member].ravel())[0, 1]), 0.5)

    def test_members_do_not_depend_on_batch_or_threads(self):
        self.sns("simulate", self.config, "-o", "two.h5", "run.threads=2", "--members", 3)
        self.sns("simulate", self.config, "-o", "one.h5", "run.threads=1", "--members", 1)
        with h5py.File(self.folder / "two.h5") as two, h5py.File(self.folder / "one.h5") as one:
            np.testing.assert_array_equal(two["vorticity"][0], one["vorticity"][0])
            self.assertTrue((two["vorticity"][0] != two["vorticity"][1]).any())

    def test_existing_output_is_not_overwritten(self):
        (self.folder / "a.h5").write_text("precious")
        self.assert_one_line(self.sns("simulate", self.config, "-o", "a.h5", code=2)[1], "a.h5 exists", "--overwrite")
        self.assertEqual((self.folder / "a.h5").read_text(), "precious")
        self.sns("simulate", self.config, "-o", "a.h5", "--overwrite")

    def test_unwritable_output(self):
        # below a regular file: not even root can write there
        _, err = self.sns("simulate", self.config, "-o", self.config / "a.h5", code=1)
        self.assert_one_line(err, "tiny.yaml")
        _, err = self.sns("datagen", self.config, "-o", self.config / "set", code=1)
        self.assert_one_line(err, "tiny.yaml")


class Initial(SnsCase):
    def write(self, name, values):
        with h5py.File(self.folder / "in.h5", "a") as file:
            file[name] = values
        return f"in.h5:/{name}"

    def states(self, *shape):
        x = np.arange(32) * 2 * np.pi / 32
        wave = np.cos(x)[:, None] + np.sin(2 * x)[None, :]
        return np.broadcast_to(wave, (*shape, 32, 32)).copy()

    def test_given_states_are_frame_zero(self):
        for name, values in (("one", self.states()), ("several", self.states(3).astype("f4"))):
            address = self.write(name, values)
            # without `members` in the file the number of states decides
            text = self.config.read_text().replace("members: 2, ", "")
            self.config.write_text(text)
            self.sns("simulate", self.config, "-o", name + ".h5", "--initial", address, "--full",
                     "solver.precision=float64", "--steps", 20)
            with h5py.File(self.folder / f"{name}.h5") as file:
                expected = values if values.ndim == 3 else values[None]
                np.testing.assert_allclose(file["vorticity"][:, 0], expected, atol=1e-12)
                self.assertEqual(file["provenance"].attrs["initial"], address)

    def test_states_of_another_grid_are_resampled(self):
        """Points that both grids have keep their values; what a coarser solver cannot hold is cut off."""
        rough = np.random.default_rng(1).standard_normal((2, 16, 16))
        x = np.arange(48) * 2 * np.pi / 48
        wave = lambda x: np.cos(3 * x)[:, None] * np.sin(5 * x)[None, :]
        coarse, fine = self.write("coarse", rough), self.write("fine", wave(x) + np.cos(20 * x)[:, None])
        full = ("--full", "solver.precision=float64", "--steps", 0, "--every", 1)
        self.sns("simulate", self.config, "-o", "up.h5", "--initial", coarse, "--resample", "spectral", *full)
        with h5py.File(self.folder / "up.h5") as file:
            np.testing.assert_allclose(file["vorticity"][:, 0, ::2, ::2], rough, atol=1e-13)
            self.assertEqual(file["provenance"].attrs["initial_resampled_from"], 16)
        self.sns("simulate", self.config, "-o", "down.h5", "--initial", fine, "--resample", "spectral", *full,
                 "--members", 1)
        with h5py.File(self.folder / "down.h5") as file:
            np.testing.assert_allclose(file["vorticity"][0, 0], wave(np.arange(32) * 2 * np.pi / 32), atol=1e-13)
        configured = "solver.initial={kind: file, path: '%s', resample: spectral}" % coarse
        self.sns("simulate", self.config, "-o", "configured.h5", configured, *full)
        with h5py.File(self.folder / "up.h5") as given, h5py.File(self.folder / "configured.h5") as file:
            np.testing.assert_array_equal(file["vorticity"][:], given["vorticity"][:])
        _, err = self.sns("simulate", self.config, "-o", "a.h5", "--resample", "spectral", code=2)
        self.assert_one_line(err, "--resample", "--initial")

    def test_a_frame_of_another_run_is_a_state(self):
        """FILE.h5:/array@N: what a run has at a frame, another one begins with."""
        full = ("solver.precision=float64", "--full", "solver.dealias=symmetric")  # frames hold the whole state
        self.sns("simulate", self.config, "-o", "a.h5", *full)
        for frame, index in (("last", 10), ("4", 4)):
            self.sns("simulate", self.config, "-o", f"{frame}.h5", *full, "--initial", f"a.h5:/vorticity@{frame}", "--steps", 20)
            with h5py.File(self.folder / "a.h5") as a, h5py.File(self.folder / f"{frame}.h5") as b:
                np.testing.assert_allclose(b["vorticity"][:, 0], a["vorticity"][:, index], rtol=0, atol=1e-12)
                if index == 4:
                    np.testing.assert_allclose(b["vorticity"][:, 1], a["vorticity"][:, 5], rtol=0, atol=1e-9)
        for name, part in (("vorticity@11", "11 frames"), ("vorticity", "@N or @last"), ("x@2", "time axis")):
            _, err = self.sns("simulate", self.config, "-o", "b.h5", "--initial", f"a.h5:/{name}", code=1)
            self.assert_one_line(err, part, name)

    def test_members_with_one_state_are_warned_of(self):
        _, err = self.sns("simulate", self.config, "-o", "a.h5", "solver.initial={kind: taylor_green}", "--steps", 20)
        self.assertIn("one state for 2 members", err)

    def test_intervals_of_diagnostics(self):
        """As frames, unless the configuration says otherwise, be it that it names the frames' own interval."""
        for key, count in ((), 5), (("simulate.diagnostics_every=20",), 11), (("simulate.diagnostics_every=10",), 21):
            self.sns("simulate", self.config, "-o", "a.h5", "--every", 50, "--overwrite", *key)
            with h5py.File(self.folder / "a.h5") as file:
                self.assertEqual(file["vorticity"].shape[1], 5)
                self.assertEqual(file["diagnostics/energy"].shape[1], count)

    def test_bad_states(self):
        nan = self.states(2)
        nan[1, 3, 4] = np.nan
        good = self.write("good", self.states(2))
        self.write("folder/inside", self.states(2))
        truncated = self.folder / "truncated.h5"
        truncated.write_bytes((self.folder / "in.h5").read_bytes()[:3000])
        (self.folder / "text.h5").write_text("not HDF5")
        cases = {
            "missing file": ("absent.h5:/w", ("absent.h5",)),
            "missing dataset": ("in.h5:/w", ("in.h5", "/w")),
            "no path": ("in.h5", ("FILE", "in.h5")),
            "a group": ("in.h5:/folder", ("folder", "group")),
            "truncated": ("truncated.h5:/good", ("truncated.h5",)),
            "not HDF5": ("text.h5:/good", ("text.h5",)),
            "wrong grid": (self.write("grid", np.zeros((2, 16, 16))), ("(2, 16, 16)", "(32, 32)", "resample: spectral")),
            "wrong rank": (self.write("rank", np.zeros(32)), ("(32)", "(32, 32)")),
            "too many axes": (self.write("axes", np.zeros((1, 1, 32, 32))), ("(1, 1, 32, 32)",)),
            "wrong type": (self.write("type", np.zeros((2, 32, 32), int)), ("int64", "float32 or float64")),
            "NaN": (self.write("nan", nan), ("not finite", "(1, 3, 4)")),
            "other number of members": (good, ("2 initial states", "3 members")),
        }
        for what, (address, parts) in cases.items():
            with self.subTest(what):
                code = 2 if what in ("no path", "other number of members") else 1
                extra = ("--members", 3) if what == "other number of members" else ()
                _, err = self.sns("simulate", self.config, "-o", "a.h5", "--initial", address, *extra, code=code)
                self.assert_one_line(err, *parts)
                self.assertFalse((self.folder / "a.h5").exists())


class Failures(SnsCase):
    # Accelerates the flow from rest beyond the CFL limit of speed 19.6 within some 70 steps.
    STORM = ("solver.forcing.amplitude=30",)

    def test_a_time_step_that_breaks_cfl(self):
        for verb in ("simulate", "datagen"):
            _, err = self.sns(verb, self.config, "-o", "a.h5", "solver.stepper.dt=0.5", code=1)
            self.assert_one_line(err, "stepper.dt = 0.5", "CFL", "dt <= 0.0")
            self.assertFalse((self.folder / "a.h5").is_file())
        self.assertFalse((self.folder / "a.h5.partial").exists())

    def test_cfl_is_broken_on_the_way(self):
        _, err = self.sns("simulate", self.config, "-o", "a.h5", *self.STORM, "--members", 1, "--every", 5, code=1)
        self.assert_one_line(err, "member 0 failed at step", "(time 0.", "a.h5")
        self.assertNotRegex(err, r"time \S+ time")
        with h5py.File(self.folder / "a.h5") as file:
            step = file["provenance/failed_step"][0]
            self.assertTrue(10 < step < 200)
            self.assertTrue(np.isfinite(file["vorticity"][0, : (step - 1) // 5]).all())

    def test_no_run_ends_with_a_member_that_is_not_finite(self):
        # it overflows before the solver's first look at step 20
        burst = ("solver.stepper.dt=0.08", "solver.stepper.name=imex_euler", "solver.forcing.amplitude=3000",
                 "solver.initial.max_velocity=1")
        _, err = self.sns("simulate", self.config, "-o", "a.h5", *burst, "--steps", 19, "--every", 1, code=1)
        self.assert_one_line(err, "all members failed", "a.h5")
        with h5py.File(self.folder / "a.h5") as file:
            for member, failed in enumerate(file["provenance/failed_step"][:]):
                self.assertTrue(0 < failed < 19)
                self.assertTrue(np.isfinite(file["vorticity"][member, :failed]).all())
                self.assertTrue(np.isnan(file["vorticity"][member, failed:]).all())
        self.sns("simulate", self.config, "-o", "b.h5", *burst, "--steps", 19, "--every", 19, code=1)
        # frames that the guard has not seen do not spoil a data set
        _, err = self.sns("datagen", self.config, "-o", "set", *burst, "datagen.spinup_steps=19", "datagen.frames=1",
                          "datagen.samples_per_trajectory=1", code=1)
        self.assert_one_line(err, "all trajectories", "failed")

    def test_a_run_with_a_failed_member_is_lengthened(self):
        # The configured initial state breaks the CFL limit; the run starts from given ones.
        y = np.arange(32) * 2 * np.pi / 32
        with h5py.File(self.folder / "in.h5", "w") as file:
            file["w"] = np.stack([np.tile(-4 * speed * np.cos(4 * y), (32, 1)) for speed in (1, 15)])
        run = ("simulate", self.config, "-o", "a.h5", "--initial", "in.h5:/w", *self.STORM, "--every", 5,
               "solver.initial.max_velocity=400")
        self.sns(*run, "--steps", 30)
        self.sns(*run, "--steps", 40, "--resume")
        with h5py.File(self.folder / "a.h5") as file:
            self.assertTrue(np.isfinite(file["vorticity"][0]).all())
            self.assertEqual(file["vorticity"].shape[1], 9)
            self.assertGreaterEqual(file["provenance/failed_step"][1], 0)

    def test_the_other_members_go_on(self):
        # Shear flows that the forcing accelerates; the second is close to the limit from the start.
        y = np.arange(32) * 2 * np.pi / 32
        states = np.stack([np.tile(-4 * speed * np.cos(4 * y), (32, 1)) for speed in (1, 15)])
        with h5py.File(self.folder / "in.h5", "w") as file:
            file["w"] = states
        _, err = self.sns("simulate", self.config, "-o", "a.h5", "--initial", "in.h5:/w", *self.STORM,
                          "--steps", 30, "--every", 5)
        self.assertIn("member 1 failed", err)
        with h5py.File(self.folder / "a.h5") as file:
            self.assertEqual(file["provenance/failed_step"][0], -1)
            self.assertGreaterEqual(file["provenance/failed_step"][1], 0)
            self.assertTrue(np.isfinite(file["vorticity"][0]).all())
            self.assertTrue(np.isnan(file["vorticity"][1, -1]).all())


class Resume(SnsCase):
    LENGTH = ("--steps", 6000, "--every", 50, "--checkpoint-seconds", 0)

    def setUp(self):
        super().setUp()
        self.sns("simulate", self.config, "-o", "whole.h5", *self.LENGTH)
        self.expected = arrays(self.folder / "whole.h5")
        self.checkpoint = self.folder / "a.h5.partial" / "checkpoint.h5"

    def test_after_kill(self):
        kills = self.run_with_kills("simulate", self.config, "-o", "a.h5", "--resume", *self.LENGTH,
                                    started=self.checkpoint)
        self.assertGreater(kills, 0)
        self.assertEqual(arrays(self.folder / "a.h5"), self.expected)
        self.assertFalse((self.folder / "a.h5.partial").exists())

    def test_after_stop(self):
        kills = self.run_with_kills("simulate", self.config, "-o", "a.h5", "--resume", *self.LENGTH,
                                    kill=signal.SIGTERM, started=self.checkpoint)
        self.assertGreater(kills, 0)
        self.assertEqual(arrays(self.folder / "a.h5"), self.expected)

    def test_a_stop_during_start_up(self):
        """Seconds of planning and allocation that cannot look for a request end with it, and leave nothing."""
        large = ("solver.grid.points=2048", "solver.fft_planning=measure", "solver.stepper.dt=1e-5",
                 "solver.viscosity=1e-6")
        before = sorted(self.folder.iterdir())
        for verb in ("simulate", "datagen"):
            for number in (signal.SIGTERM, signal.SIGINT):
                for delay in (0, 0.1):
                    with self.subTest(verb, number=number, delay=delay):
                        process = self.start(verb, self.config, "-o", "large", *large)
                        wait_until_it_handles(process, number)
                        time.sleep(delay)
                        process.send_signal(number)
                        _, err = process.communicate(timeout=300)
                        self.assertEqual(process.returncode, 75, err)
                        self.assertRegex(err, "nothing was under way|before anything was begun")
                        self.assertEqual(sorted(self.folder.iterdir()), before)

    def test_time_budget_and_refusals(self):
        long = ("--steps", 10_000_000, "--every", 100_000)
        _, err = self.sns("simulate", self.config, "-o", "b.h5", *long, "--time-budget", 0.3, code=75)
        self.assertIn("--resume", err)
        self.assertFalse((self.folder / "b.h5").exists())
        self.assert_one_line(self.sns("simulate", self.config, "-o", "b.h5", *long, code=2)[1], "interrupted run")
        _, err = self.sns("simulate", self.config, "-o", "b.h5", *long, "solver.viscosity=0.02", "--resume", code=2)
        self.assertIn("another", err)
        self.assertTrue((self.folder / "b.h5.partial" / "checkpoint.h5").exists())

    def test_overwrite_leaves_a_running_process_alone(self):
        long = ("--steps", 10_000_000, "--every", 100_000, "--checkpoint-seconds", 0)
        running = self.start("simulate", self.config, "-o", "a.h5", *long)
        while running.poll() is None and not self.checkpoint.exists():
            time.sleep(0.01)
        _, err = self.sns("simulate", self.config, "-o", "a.h5", *long, "--overwrite", code=1)
        self.assert_one_line(err, "in use")
        self.assertTrue(self.checkpoint.exists())
        running.send_signal(signal.SIGTERM)
        self.assertIn("--resume", running.communicate(timeout=300)[1])
        self.sns("simulate", self.config, "-o", "a.h5", "--overwrite", "--steps", 20)
        self.assertFalse(self.checkpoint.parent.exists())

    def test_overwrite_keeps_an_interrupted_run_until_the_new_one_can_begin(self):
        long = ("--steps", 10_000_000, "--every", 100_000)
        _, err = self.sns("simulate", self.config, "-o", "a.h5", *long, "--time-budget", 0.3, code=75)
        step = re.search(r"step (\d+)", err)[1]
        kept = digest(self.checkpoint)
        _, err = self.sns("simulate", self.config, "-o", "a.h5", "--steps", 10**12, "--every", 1, "--overwrite", code=1)
        self.assert_one_line(err, "not enough disk space")
        self.assertEqual(digest(self.checkpoint), kept)
        self.assertEqual([path.name for path in self.checkpoint.parent.glob("replaced*")], [])
        # As after a kill in the middle of that: it comes back, and is not gone on with unasked.
        aside = self.checkpoint.parent / "replaced"
        aside.mkdir()
        self.checkpoint.rename(aside / "checkpoint.h5")
        self.assert_one_line(self.sns("simulate", self.config, "-o", "a.h5", *long, code=2)[1], "interrupted run")
        _, err = self.sns("simulate", self.config, "-o", "a.h5", *long, "--resume", "--time-budget", 0.1, code=75)
        self.assertIn(f"resuming at step {step}", err)

    def test_an_interrupted_overwrite_goes_on_beside_the_old_output(self):
        length = ("--steps", 60_000, "--every", 1000)
        self.sns("simulate", self.config, "-o", "a.h5", "--steps", 20, "solver.viscosity=0.02")
        _, err = self.sns("simulate", self.config, "-o", "a.h5", *length, "--overwrite", "--time-budget", 0.3, code=75)
        self.assertIn("--resume in place of --overwrite", err)
        out, _ = self.sns("info", "a.h5.partial/")
        self.assertRegex(out, r"members +2 \(0 failed\)\nstep +\d+, \d+ frames\n.*--resume")
        self.sns("simulate", self.config, "-o", "a.h5", *length, "--resume")
        self.sns("simulate", self.config, "-o", "b.h5", *length)
        self.assertEqual(arrays(self.folder / "a.h5"), arrays(self.folder / "b.h5"))
        self.assertFalse(self.checkpoint.parent.exists())
        # Also where the old output is of the same configuration and complete.
        _, err = self.sns("simulate", self.config, "-o", "a.h5", *length, "--overwrite", "--time-budget", 0.3, code=75)
        _, err = self.sns("simulate", self.config, "-o", "a.h5", *length, "--resume")
        self.assertIn("resuming at step", err)

    def test_lengthening(self):
        self.sns("simulate", self.config, "-o", "a.h5", "--steps", 3010, "--every", 50)
        self.sns("simulate", self.config, "-o", "a.h5", "--resume", *self.LENGTH)
        self.assertEqual(arrays(self.folder / "a.h5"), self.expected)

    def test_what_differs_and_fewer_steps_than_there_are(self):
        self.sns("simulate", self.config, "-o", "a.h5")
        _, err = self.sns("simulate", self.config, "-o", "a.h5", "--resume", "solver.viscosity=2e-2", code=2)
        self.assert_one_line(err, "there: viscosity: 0.01; now: viscosity: 0.02")
        _, err = self.sns("simulate", self.config, "-o", "a.h5", "--resume", "--members", 3, code=2)
        self.assert_one_line(err, "members 2", "members 3")
        _, err = self.sns("simulate", self.config, "-o", "a.h5", "--resume", "--steps", 100, code=2)
        self.assert_one_line(err, "200 steps", "100")


class FullDisk(SnsCase):
    def setUp(self):
        super().setUp()
        self.disk = self.folder / "disk"
        mount_small_disk(self, self.disk, "6m")

    def test_too_small_from_the_start(self):
        _, err = self.sns("simulate", self.config, "-o", self.disk / "a.h5", "--steps", 4000, "--every", 1, code=1)
        self.assert_one_line(err, "not enough disk space", str(self.disk))
        self.assertEqual(list(self.disk.iterdir()), [])
        _, err = self.sns("datagen", self.config, "-o", self.disk / "set", "datagen.frames=4000", code=1)
        self.assert_one_line(err, "not enough disk space")

    def test_mounted_read_only(self):
        """Where not even root may write; permissions do not stop it."""
        remounted = subprocess.run(["mount", "-o", "remount,ro", self.disk], capture_output=True)
        if remounted.returncode != 0:
            self.skipTest("no right to mount read-only")
        for command in (("simulate", self.config, "-o", self.disk / "a.h5"), ("datagen", self.config, "-o", self.disk / "set"),
                        ("simulate", self.config, f"run.output={self.disk}/run")):
            with self.subTest(command[0]):
                _, err = self.sns(*command, code=1)
                self.assert_one_line(err, str(self.disk), "Read-only file system")
        _, err = self.sns("check", self.config, f"run.output={self.disk}/run")
        self.assertIn("cannot be written to: Read-only file system", err)
        self.assertEqual(list(self.disk.iterdir()), [])

    def test_filled_by_another_while_running(self):
        length = ("--steps", 40_000, "--every", 200, "--checkpoint-seconds", 0)  # 1.6 MB
        self.sns("simulate", self.config, "-o", "whole.h5", *length)
        process = self.start("simulate", self.config, "-o", self.disk / "a.h5", *length)
        while process.poll() is None and not (self.disk / "a.h5.partial" / "checkpoint.h5").exists():
            time.sleep(0.002)
        filler = fill_disk(self.disk)
        _, err = process.communicate(timeout=600)
        self.assertEqual(process.returncode, 1, err)
        self.assertEqual(len([line for line in err.splitlines() if line.startswith("sns: error:")]), 1, err)
        step = re.search(r"the disk is full: .*run it with --resume: it goes on from step (\d+)|No space left on device", err)
        self.assertTrue(step, err)
        filler.unlink()
        self.sns("simulate", self.config, "-o", self.disk / "a.h5", "--resume", *length)
        self.assertEqual(arrays(self.disk / "a.h5"), arrays(self.folder / "whole.h5"))

    def test_filled_by_another_while_a_data_set_is_made(self):
        length = ("datagen.frames=200", "datagen.steps_per_frame=20", "--checkpoint-seconds", 0)
        self.sns("datagen", self.config, "-o", "whole", *length)
        process = self.start("datagen", self.config, "-o", self.disk / "set", *length)
        while process.poll() is None and not (self.disk / "set/partial/tiny_000000/checkpoint.h5").exists():
            time.sleep(0.002)
        filler = fill_disk(self.disk)
        _, err = process.communicate(timeout=600)
        self.assertEqual(process.returncode, 1, err)
        self.assertEqual(len([line for line in err.splitlines() if line.startswith("sns: error:")]), 1, err)
        self.assertRegex(err, "the disk is full|No space left on device")
        filler.unlink()
        self.sns("datagen", self.config, "-o", self.disk / "set", *length)
        self.assertEqual(dataset_arrays(self.disk / "set"), dataset_arrays(self.folder / "whole"))
        self.sns("verify", self.disk / "set")


if __name__ == "__main__":
    unittest.main()
