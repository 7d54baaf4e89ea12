"""sns datagen and verify: the same bytes whatever happens, and readable by everybody."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
import unittest

import h5py
import numpy as np
from sns_case import PROGRAM, SOURCE, WELL_PYTHON, SnsCase, check_readers, dataset_arrays

# Long enough to be interrupted.
LONG = ("datagen.frames=600", "datagen.spinup_steps=600", "--checkpoint-seconds", 0)


def root_mean_square(values):
    return np.sqrt((values**2).mean())


class Dataset(SnsCase):
    def test_splits_windows_and_statistics(self):
        out, _ = self.sns("datagen", self.config)
        self.assertIn("complete", out)
        folder = self.folder / "run" / "dataset"
        trajectories = {}
        for path in sorted(folder.glob("data/*/*.h5")):
            with h5py.File(path) as file:
                ids = file["provenance/trajectory_id"][:]
                self.assertEqual(file["vorticity"].shape, (len(ids), 40, 16, 16))
                self.assertEqual(path.name, f"tiny_{ids[0]:06}.h5")
                trajectories.setdefault(path.parent.name, set()).update(ids.tolist())
                self.assertEqual(list(file["provenance/first_step"][:2]), [40, 40 + 40 * 3 + 10])
        self.assertEqual(trajectories, {"train": {0, 1, 2}, "valid": {3}, "test": {4, 5}})
        # frame 0 is the state at the end of spin-up, and frames follow every third step
        self.sns("simulate", self.config, "-o", "a.h5", "--steps", 49, "--every", 1, "--members", 1,
                 "simulate.coarsen={factor: 2, kind: spectral}")
        with h5py.File(self.folder / "a.h5") as run, h5py.File(folder / "data/train/tiny_000000.h5") as data:
            np.testing.assert_array_equal(data["vorticity"][0, :4], run["vorticity"][0, 40:50:3])
            np.testing.assert_allclose(data["time"][:3], [0, 0.03, 0.06])
        frames = np.concatenate([h5py.File(p)["vorticity"][:] for p in sorted(folder.glob("data/train/*.h5"))])
        text = (folder / "stats.yaml").read_text()
        values = [float(line.split(":")[1]) for line in text.splitlines() if line.startswith("  vorticity")]
        delta = np.diff(frames.astype(float), axis=1)
        frames = frames.astype(float)
        expected = [f(a) for a in (frames, delta) for f in (np.mean, np.std, root_mean_square)]
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-7)
        self.assertIn("40 frames per sample, 0.03 apart", (folder / "README.md").read_text())
        out, _ = self.sns("info", folder)
        self.assertIn("train", out)

    def test_scalars(self):
        self.sns("datagen", self.config, "-o", "a")
        expected = {"viscosity": 0.01, "reynolds": 100, "forcing_wavenumber": 4, "forcing_amplitude": 1, "drag": 0.1,
                    "dt": 0.01, "save_interval": 0.03, "nx_solver": 32, "downsample": 2}
        with h5py.File(self.folder / "a/data/train/tiny_000000.h5") as file:
            self.assertEqual(list(file.attrs["simulation_parameters"]), list(expected))
            self.assertEqual(set(file["scalars"]), set(expected))
            for name, value in expected.items():
                self.assertAlmostEqual(file.attrs[name], value)
                self.assertEqual(file["scalars"][name].dtype, np.float32)
                self.assertEqual(file["scalars"][name][()], np.float32(file.attrs[name]))
        _, err = self.sns("datagen", self.config, "-o", "b", "run.name=stats", code=2)
        self.assert_one_line(err, "run.name = stats", "stats.yaml")
        self.sns("datagen", self.config, "-o", "inviscid", "solver.viscosity=0", "datagen.frames=2")
        with h5py.File(self.folder / "inviscid/data/train/tiny_000000.h5") as file:
            self.assertNotIn("reynolds", file["scalars"])

    def test_the_seed_decides_every_trajectory(self):
        first = {}
        for seed in (5, 6):
            self.sns("datagen", self.config, "-o", f"seed{seed}", f"run.seed={seed}", "datagen.frames=1", "datagen.spinup_steps=0")
            for path in sorted((self.folder / f"seed{seed}/data").rglob("*.h5")):
                with h5py.File(path) as file:
                    self.assertEqual(file["provenance"].attrs["run_seed"], seed)
                    frames = file["vorticity"][:, 0]
                    first.setdefault(seed, []).extend(frames.reshape(len(frames), -1))
        self.assertEqual((len(first[5]), len(first[6])), (12, 12))  # two windows of six trajectories
        for a, b in zip(first[5], first[6]):
            self.assertLess(abs(np.corrcoef(a, b)[0, 1]), 0.5)

    def test_threads_shards_and_reruns_change_nothing(self):
        self.sns("datagen", self.config, "-o", "one", "run.threads=1")
        expected = dataset_arrays(self.folder / "one")
        self.assertEqual(len({key.split(":")[0] for key in expected}), 4)
        self.sns("datagen", self.config, "-o", "two", "run.threads=5")
        self.assertEqual(dataset_arrays(self.folder / "two"), expected)
        out, _ = self.sns("datagen", self.config, "-o", "three", "--shard", "1/2")
        self.assertIn("2 missing", out)
        out, _ = self.sns("datagen", self.config, "-o", "three", SLURM_ARRAY_TASK_ID="1", SLURM_ARRAY_TASK_COUNT="2",
                          SLURM_ARRAY_TASK_MIN="1")
        self.assertIn("complete", out)
        self.assertEqual(dataset_arrays(self.folder / "three"), expected)
        hashes = [json.loads((self.folder / name / "MANIFEST.jsonl").read_text().splitlines()[-1])["data_hash"]
                  for name in ("one", "two", "three")]
        self.assertEqual(len(set(hashes)), 1)
        before = {p: p.stat().st_mtime_ns for p in (self.folder / "one").rglob("*")}
        out, _ = self.sns("datagen", self.config, "-o", "one")
        self.assertIn("4 already there", out)
        self.assertEqual({p: p.stat().st_mtime_ns for p in (self.folder / "one").rglob("*")}, before)

    def test_parallel_shards(self):
        processes = [self.start("datagen", self.config, "-o", "a", "--shard", f"{i}/3") for i in range(3)]
        for process in processes:
            _, err = process.communicate(timeout=600)
            self.assertEqual(process.returncode, 0, err)
        self.sns("verify", "a")

    def test_after_kill_and_stop(self):
        self.sns("datagen", self.config, "-o", "whole", *LONG)
        expected = dataset_arrays(self.folder / "whole")
        for kill in (signal.SIGKILL, signal.SIGTERM):
            with self.subTest(kill):
                name = kill.name
                kills = self.run_with_kills("datagen", self.config, "-o", name, *LONG, kill=kill,
                                            started=self.folder / name / "partial" / "tiny_000000" / "checkpoint.h5")
                self.assertGreater(kills, 0)
                self.assertEqual(dataset_arrays(self.folder / name), expected)
                self.sns("verify", name)

    def test_files_of_others_are_left_alone(self):
        own = self.folder / "own"
        own.mkdir()
        (own / "tiny.yaml").write_text(self.config.read_text())
        for name in ("tiny.yaml", "README.md", "stats.yaml"):  # the first: The Well's description has the run's name
            with self.subTest(name):
                text = (own / "tiny.yaml").read_text() if name == "tiny.yaml" else "mine"
                folder = self.folder / name.split(".")[0]
                folder.mkdir()
                (folder / name).write_text(text)
                for option in ((), ("--overwrite",)):
                    _, err = self.sns("datagen", self.config, "-o", folder, *option, code=2)
                    self.assert_one_line(err, f"{name} is there already")
                self.assertEqual((folder / name).read_text(), text)
        self.sns("datagen", self.config, "-o", "old", "run.name=old")
        (self.folder / "old/tiny.yaml").write_text("mine")
        _, err = self.sns("datagen", self.config, "-o", "old", "--overwrite", code=2)
        self.assert_one_line(err, "tiny.yaml is there already")
        for name in ("partial", "replaced"):
            folder = self.folder / f"has-{name}"
            (folder / name).mkdir(parents=True)
            (folder / name / "notes.txt").write_text("mine")
            if name == "partial":
                self.sns("datagen", self.config, "-o", folder, code=2)
            else:
                self.sns("datagen", self.config, "-o", folder)
            self.assertTrue((folder / name / "notes.txt").exists())
        (own / "config.yaml").write_text(self.config.read_text())
        for option in ((), ("--overwrite",)):
            _, err = self.sns("datagen", self.config, "-o", own, *option, code=2)
            self.assert_one_line(err, "config.yaml that is not of a data set")
        self.assertEqual(sorted(path.name for path in own.iterdir() if path.name != ".lock"), ["config.yaml", "tiny.yaml"])

    def test_a_full_disk(self):
        """Files that cannot grow beyond a limit stand for it: the error names the file, and the same command goes on."""
        self.sns("datagen", self.config, "-o", "whole")
        expected = dataset_arrays(self.folder / "whole")
        finished = (self.folder / "whole/data/train/tiny_000000.h5").stat().st_size
        for name, limit in (("frames", finished // 2), ("file", finished - 1)):
            with self.subTest(name):
                process = subprocess.run(
                    [PROGRAM, "datagen", self.config, "-o", name], capture_output=True, text=True, cwd=self.folder,
                    restore_signals=False,  # Python ignores SIGXFSZ, and so does the program
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
                self.assertEqual(process.returncode, 1, process.stderr)
                error = [line for line in process.stderr.splitlines() if line.startswith("sns: error: ")]
                self.assertEqual(len(error), 1, process.stderr)
                self.assertIn("tiny_00000", error[0])
                self.assertEqual(list((self.folder / name).glob("data/*/*.h5")), [])
                kept = list((self.folder / name).glob("partial/*/checkpoint.h5"))
                self.assertEqual(bool(kept), name == "file", kept)  # frames that were cut off are no use
                self.sns("datagen", self.config, "-o", name)
                self.assertEqual(dataset_arrays(self.folder / name), expected)
                self.sns("verify", name)

    def test_another_configuration_is_refused(self):
        self.sns("datagen", self.config, "-o", "a")
        _, err = self.sns("datagen", self.config, "-o", "a", "solver.viscosity=0.02", code=2)
        self.assert_one_line(err, "viscosity: 0.02", "--overwrite")
        self.sns("verify", "a")
        # What cannot be made leaves what is there.
        before = dataset_arrays(self.folder / "a")
        _, err = self.sns("datagen", self.config, "-o", "a", "solver.stepper.dt=0.5", "--overwrite", code=1)
        self.assert_one_line(err, "CFL")
        self.assertIn("is as it was", err)
        self.assertEqual(dataset_arrays(self.folder / "a"), before)
        self.sns("verify", "a")
        self.sns("datagen", self.config, "-o", "a")  # finished: nothing to do
        self.assertEqual(sorted(path.name for path in (self.folder / "a").iterdir() if not path.name.startswith(".")),
                         ["MANIFEST.jsonl", "README.md", "config.yaml", "data", "stats.yaml", "tiny.yaml"])
        self.sns("datagen", self.config, "-o", "a", "solver.viscosity=0.02", "--overwrite")
        self.sns("verify", "a")
        self.assertFalse((self.folder / "a/replaced").exists())

    def test_a_replaced_data_set_stays_until_the_new_one_is_finished(self):
        self.sns("datagen", self.config, "-o", "a")
        before = dataset_arrays(self.folder / "a")
        process = self.start("datagen", self.config, "-o", "a", *LONG, "--overwrite")
        while process.poll() is None and not (self.folder / "a/partial/tiny_000000/checkpoint.h5").exists():
            time.sleep(0.002)
        process.kill()
        process.communicate(timeout=300)
        self.assertEqual(process.returncode, -signal.SIGKILL)
        self.assertEqual(dataset_arrays(self.folder / "a/replaced"), before)
        self.sns("datagen", self.config, "-o", "a", *LONG)
        self.assertFalse((self.folder / "a/replaced").exists())
        self.sns("verify", "a")
        # Cut off while it was moved away: config.yaml, the last of it, is still there.
        (self.folder / "a/replaced").mkdir()
        (self.folder / "a/data").rename(self.folder / "a/replaced/data")
        self.sns("datagen", self.config, "-o", "a", *LONG)
        self.sns("verify", "a")

    def test_other_states_under_the_same_name(self):
        """A file of initial states is known by what it holds: other values are another data set, and start no cached
        states."""
        states = 0.1 * np.random.default_rng(1).standard_normal((6, 32, 32))
        arguments = ("solver.initial={kind: file, path: 'states.h5:/w'}",
                     f"datagen.spinup_cache={self.folder / 'cache'}")
        frames = []
        for name, factor in (("a", 1), ("b", 5)):
            (self.folder / "states.h5").unlink(missing_ok=True)
            with h5py.File(self.folder / "states.h5", "w") as file:
                file["w"] = factor * states
            self.sns("datagen", self.config, "-o", name, *arguments)
            with h5py.File(self.folder / name / "data/train/tiny_000000.h5") as file:
                frames.append(file["vorticity"][0, 0])
        self.assertGreater(np.abs(frames[1] - frames[0]).max(), 0.1)  # of a flow that the forcing has driven to about 1
        self.assertEqual(len(list((self.folder / "cache").iterdir())), 2)
        err = self.sns("datagen", self.config, "-o", "a", *arguments, code=2)[1]
        self.assert_one_line(err, "a holds a data set of another configuration", "sha256")
        self.assertIn("sha256", (self.folder / "b" / "config.yaml").read_text())

    def test_failing_trajectories(self):
        # accelerated beyond the CFL limit within the spin-up
        _, err = self.sns("datagen", self.config, "-o", "a", "solver.forcing.amplitude=300", code=1)
        self.assert_one_line(err, "all trajectories", "failed")
        self.assertIn("trajectory 0 failed at step", err)


class Verify(SnsCase):
    def test_a_flipped_byte_is_found(self):
        self.sns("datagen", self.config, "-o", "a")
        self.assertIn("intact", self.sns("verify", "a")[0])
        path = self.folder / "a" / "data" / "test" / "tiny_000004.h5"
        whole = path.read_bytes()
        with h5py.File(path) as file:
            offset = file["vorticity"].id.get_chunk_info(3).byte_offset + 1000
        damaged = bytearray(whole)
        damaged[offset] ^= 1
        path.write_bytes(damaged)
        out, err = self.sns("verify", "a", code=1)
        self.assert_one_line(err, "tiny_000004.h5")
        self.assertRegex(out, r"tiny_000004.h5: sample 1 frame \d+ is not what was written")
        path.write_bytes(whole[:-100])
        self.assert_one_line(self.sns("verify", "a", code=1)[1], "tiny_000004.h5", "bytes instead of")
        path.unlink()
        self.assert_one_line(self.sns("verify", "a", code=1)[1], "tiny_000004.h5", "missing")
        self.assert_one_line(self.sns("verify", self.folder, code=1)[1], "MANIFEST.jsonl")
        self.sns("datagen", self.config, "-o", "a")
        self.sns("verify", "a")

    def test_lost_descriptions_are_written_again(self):
        self.sns("datagen", self.config, "-o", "a")
        folder = self.folder / "a"
        for lost in (("stats.yaml",), ("README.md", "config.yaml")):
            with self.subTest(lost):
                before = {name: (folder / name).read_bytes() for name in lost}
                for name in lost:
                    (folder / name).unlink()
                self.assert_one_line(self.sns("verify", "a", code=1)[1], "run 'sns datagen'")
                self.assertIn("0 files written", self.sns("datagen", self.config, "-o", "a")[0])
                self.sns("verify", "a")
                self.assertEqual({name: (folder / name).read_bytes() for name in lost}, before)
        for file in folder.iterdir():  # nothing that says what the frames are
            if file.is_file():
                file.unlink()
        self.assert_one_line(self.sns("datagen", self.config, "-o", "a", code=2)[1], "no config.yaml")

    def test_sizes_that_do_not_fit(self):
        self.sns("datagen", self.config, "-o", "a")
        path = self.folder / "a" / "data" / "test" / "tiny_000004.h5"
        whole = path.read_bytes()
        # Arrays that are never written keep the file small.
        for name, shape in (("provenance/frame_hash", (0,)), ("provenance/frame_hash", (4, 39)),
                            ("provenance/frame_hash", (2**60,)), ("provenance/trajectory_id", (0,)),
                            ("provenance/trajectory_id", (2**61,)), ("dimensions/time", ()), ("dimensions/x", (0,)),
                            ("t0_fields/vorticity", (4, 40, 2**26, 2**26))):
            with self.subTest(name, shape=shape):
                path.write_bytes(whole)
                with h5py.File(path, "a") as file:
                    replaced = {name: shape}
                    if len(shape) == 4:
                        replaced |= {f"dimensions/{axis}": shape[2:3] for axis in "xy"}
                    for part, size in replaced.items():
                        kind = file[part].dtype
                        del file[part]
                        file.create_dataset(part, size, kind, chunks=(1,) * len(size) if size and size[0] else None)
                _, err = self.sns("verify", "a", code=1)
                self.assert_one_line(err, "tiny_000004.h5")


class Readers(SnsCase):
    """The readers that other people use (scripts/check_dataset.py)."""

    def test_all_readers(self):
        self.sns("datagen", self.config, "-o", "a")
        result = check_readers(self.folder / "a")
        print(result.stdout, file=sys.stderr)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("netCDF4: good", result.stdout)
        # The checks do notice a file that lacks an attribute.
        path = self.folder / "a" / "data" / "valid" / "tiny_000003.h5"
        with h5py.File(path, "a") as file:
            del file["t0_fields"].attrs["field_names"]
        result = check_readers(self.folder / "a")
        self.assertEqual(result.returncode, 1)
        self.assertIn("field_names", result.stderr)

    def test_compressed(self):
        self.sns("datagen", self.config, "-o", "plain")
        self.sns("datagen", self.config, "-o", "packed", "datagen.compression=deflate")
        self.assertEqual(dataset_arrays(self.folder / "packed"), dataset_arrays(self.folder / "plain"))


class WellLoader(SnsCase):
    """The Well's own loader, where it is installed."""

    def test_the_wells_loader(self):
        self.sns("datagen", self.config, "-o", "a")
        result = check_readers(self.folder / "a")
        print(result.stdout, file=sys.stderr)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        if "WellDataset: skipped" in result.stdout:
            self.skipTest("The Well's loader is not installed")
        self.assertIn("WellDataset: good", result.stdout)

    def test_numbers_are_compared(self):
        """A loader that gives what is not in the files is noticed: axes in another order, the neighbouring frame."""
        if not WELL_PYTHON.exists():
            self.skipTest("The Well's loader is not installed")
        self.sns("datagen", self.config, "-o", "a")
        program = """
import pathlib, sys
import check_dataset as check
loader, normalization = check.import_well()[0]
class Wrong(loader):
    def __getitem__(self, index):
        item = super().__getitem__(index)
        if sys.argv[2] == "axes": item["output_fields"] = item["output_fields"].transpose(1, 2)
        if sys.argv[2] == "frame": item["input_fields"] = item["output_fields"][:1]
        return item
folder = pathlib.Path(sys.argv[1])
fields = check.check_h5py(next(folder.glob("data/train/*.h5")))[1]
try:
    check.check_well(folder, "train", fields, (Wrong, normalization))
except check.FormatError as error:
    print(error)
"""
        for fault, key in (("axes", "output_fields"), ("frame", "input_fields"), ("none", None)):
            with self.subTest(fault):
                done = subprocess.run([WELL_PYTHON, "-c", program, self.folder / "a", fault], capture_output=True, text=True,
                                      timeout=600, env={**os.environ, "PYTHONPATH": str(SOURCE / "scripts"),
                                                        "PYTHONWARNINGS": "ignore", "PYTHONDONTWRITEBYTECODE": "1"})
                self.assertEqual(done.returncode, 0, done.stderr)
                if key:
                    self.assertIn(f"{key} differs from h5py", done.stdout)
                else:
                    self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    unittest.main()
