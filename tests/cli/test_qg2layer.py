"""The two-layer quasi-geostrophic system through every verb that knows solvers."""

import signal
import unittest

import h5py
import numpy as np
import xarray
from sns_case import SOURCE, SnsCase, arrays, check_readers, configuration, dataset_arrays

SOLVER = """
solver:
  system: qg2layer
  grid: {points: 32, length: 1.0e6}
  beta: 1.5e-11
  bottom_drag: 5.787e-7
  deformation_radius: 15000.0
  depth_ratio: 0.25
  mean_flow: [0.025, 0.0]
  stepper: {name: ab3, dt: 3600.0}
  initial: {kind: perturbed, amplitude: 1.0e-6}
"""

CONFIG = configuration("eddies", SOLVER, "coarsen: {factor: 2, kind: block_mean, remove: zonal_mean}")

# Long enough to be interrupted.
LONG = ("datagen.frames=1500", "datagen.spinup_steps=3000", "--checkpoint-seconds", 0)


def eddy_blocks(q):
    """Zonal mean removed, then means over 2 x 2 cells: [..., y, x]."""
    q = q - q.mean(axis=-1, keepdims=True)
    shape = q.shape[:-2] + (q.shape[-2] // 2, 2, q.shape[-1] // 2, 2)
    return q.reshape(shape).mean(axis=(-3, -1))


class TwoLayer(SnsCase):
    def setUp(self):
        super().setUp()
        self.config.write_text(CONFIG.replace("OUTPUT", str(self.folder / "run")))

    def simulate(self, name, *arguments):
        self.sns("simulate", self.config, "-o", name, *arguments)
        return h5py.File(self.folder / name)

    def test_full_output_has_a_layer_axis(self):
        with self.simulate("full.h5", "--full") as file:
            self.assertEqual(file["q"].shape, (2, 11, 2, 32, 32))
            self.assertEqual(file["q"].dtype, np.float64)
            self.assertNotIn("q_upper", file)
            energy = file["diagnostics/energy"][:]
            kinetic, potential = (file[f"diagnostics/{n}"][:] for n in ("kinetic_energy", "available_potential_energy"))
            np.testing.assert_allclose(energy, kinetic + potential, rtol=1e-12)
            enstrophy = 0.5 * (file["q"][:] ** 2).mean(axis=(3, 4))
            np.testing.assert_allclose(file["diagnostics/enstrophy_upper"][:], enstrophy[:, :, 0], rtol=1e-12)
            q = file["q"][:]
        for engine in ("h5netcdf", "netcdf4"):
            with xarray.open_dataset(self.folder / "full.h5", engine=engine) as data:
                self.assertEqual(data["q"].dims, ("member", "time", "layer", "y", "x"))
                np.testing.assert_array_equal(data["layer"], [1, 2])
                np.testing.assert_allclose(data["x"], (np.arange(32) + 0.5) * 1e6 / 32)
        with self.simulate("coarse.h5", "simulate.coarsen={factor: 2, kind: block_mean, remove: zonal_mean}") as file:
            for layer, field in enumerate(("q_upper", "q_lower")):
                self.assertEqual(file[field].dtype, np.float32)
                self.assertIn("zonal mean removed", file[field].attrs["long_name"])
                expected = eddy_blocks(q[:, :, layer])
                np.testing.assert_allclose(file[field][:], expected, atol=1e-6 * np.abs(expected).max())
        # A state of one run starts another.
        with h5py.File(self.folder / "states.h5", "w") as file:
            file["q"] = q[:, -1]
        with self.simulate("again.h5", "--full", "--initial", "states.h5:/q") as file:
            np.testing.assert_allclose(file["q"][:, 0], q[:, -1], rtol=0, atol=1e-14 * np.abs(q).max())
        with self.simulate("configured.h5", "--full", "solver.initial={kind: file, path: 'states.h5:/q'}") as file:
            np.testing.assert_allclose(file["q"][:, 0], q[:, -1], rtol=0, atol=1e-14 * np.abs(q).max())
        # Also on another grid, every third of whose cells has the same centre.
        with self.simulate("finer.h5", "--full", "--initial", "states.h5:/q", "--resample", "spectral", "--steps", 0,
                           "--every", 1, "solver.grid.points=96") as file:
            np.testing.assert_allclose(file["q"][:, 0, :, 1::3, 1::3], q[:, -1], rtol=0, atol=1e-13 * np.abs(q).max())

    def test_simulation_after_kill(self):
        arguments = ("--full", "--steps", 6000, "--every", 100, "--checkpoint-seconds", 0)
        with self.simulate("whole.h5", *arguments) as file:
            expected = file["q"][:]
        kills = self.run_with_kills("simulate", self.config, "-o", "killed.h5", *arguments, "--resume",
                                    kill=signal.SIGKILL, started=self.folder / "killed.h5.partial" / "checkpoint.h5")
        self.assertGreater(kills, 0)
        with h5py.File(self.folder / "killed.h5") as file:
            np.testing.assert_array_equal(file["q"][:], expected)

    def test_data_set(self):
        self.sns("datagen", self.config, "-o", "a")
        result = check_readers(self.folder / "a")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        with self.simulate("full.h5", "--full", "--steps", 49, "--every", 1, "--members", 1) as run:
            expected = eddy_blocks(run["q"][0, 40:50:3])
        with h5py.File(self.folder / "a" / "data" / "train" / "eddies_000000.h5") as file:
            self.assertEqual(list(file["t0_fields"].attrs["field_names"]), ["q_upper", "q_lower"])
            self.assertEqual(list(file["dimensions"].attrs["spatial_dims"]), ["y", "x"])
            self.assertEqual(file.attrs["beta"], 1.5e-11)
            for layer, field in enumerate(("q_upper", "q_lower")):
                self.assertEqual(file[field].attrs["units"], "s^-1")
                self.assertEqual(file[field].shape, (2, 40, 16, 16))
                scale = np.abs(expected[:, layer]).max()
                np.testing.assert_allclose(file[field][0, :4], expected[:, layer], rtol=0, atol=1e-6 * scale)
            np.testing.assert_allclose(file["x"][:], (np.arange(16) + 0.5) * 1e6 / 16)
            self.assertEqual(file["provenance"].attrs["removed"], "zonal_mean")
        frames = {field: np.concatenate([h5py.File(p)[field][:] for p in sorted((self.folder / "a").glob("data/train/*"))])
                  for field in ("q_upper", "q_lower")}
        text = (self.folder / "a" / "stats.yaml").read_text()
        stds = text[text.index("\nstd:"):].splitlines()[2:4]
        self.assertEqual(sorted(line.split(":")[0].strip() for line in stds), ["q_lower", "q_upper"])
        for line in stds:
            field, value = line.split(":")
            np.testing.assert_allclose(float(value), frames[field.strip()].astype(float).std(), rtol=1e-5)
        self.assertIn("intact", self.sns("verify", "a")[0])

    def test_data_set_after_kill(self):
        self.sns("datagen", self.config, "-o", "whole", *LONG)
        kills = self.run_with_kills("datagen", self.config, "-o", "killed", *LONG,
                                    started=self.folder / "killed" / "partial" / "eddies_000000" / "checkpoint.h5")
        self.assertGreater(kills, 0)
        self.assertEqual(dataset_arrays(self.folder / "killed"), dataset_arrays(self.folder / "whole"))

    def test_spun_up_states_are_reused(self):
        cache = f"datagen.spinup_cache={self.folder / 'states'}"
        self.sns("datagen", self.config, "-o", "plain")
        self.sns("datagen", self.config, "-o", "first", cache)
        self.assertEqual(len(list((self.folder / "states").glob("*/*.h5"))), 6)
        _, err = self.sns("datagen", self.config, "-o", "second", cache)
        self.assertIn("start from their states at step 40", err)
        for name in ("first", "second"):
            self.assertEqual(dataset_arrays(self.folder / name), dataset_arrays(self.folder / "plain"))
        # Another flow does not take them.
        _, err = self.sns("datagen", self.config, "-o", "other", cache, "solver.beta=1.0e-11")
        self.assertNotIn("start from their states", err)

    def test_stability(self):
        out, _ = self.sns("stability", self.config, "-o", "maps.h5")
        self.assertRegex(out, r"with drag +\(k, l\) = \(7, 0\) grows by 0\.0067349156 /day")
        self.assertRegex(out, r"without drag +\(k, l\) = \(7, 0\) grows by 0\.014515273 /day")
        with xarray.open_dataset(self.folder / "maps.h5") as data:
            self.assertEqual(data["growth"].dims, ("l", "k"))
            peak = data["growth"].where(data["growth"] == data["growth"].max(), drop=True)
            np.testing.assert_allclose([float(peak["k"].item()), float(peak["l"].item())], [7 * 2e-6 * np.pi, 0],
                                       rtol=1e-12)
            np.testing.assert_allclose(data["growth_without_drag"].max() * 86400, 0.014515273494, rtol=1e-9)
        self.assert_one_line(self.sns("stability", self.config, "-o", "maps.h5", code=2)[1], "maps.h5 exists",
                             "--overwrite")
        self.sns("stability", self.config, "-o", "maps.h5", "--overwrite", "solver.mean_flow=[0.0, 0.0]")
        with h5py.File(self.folder / "maps.h5") as file:
            self.assertEqual(file.attrs["mean_flow_upper"], 0)
        (self.folder / "file").write_text("")
        self.assert_one_line(self.sns("stability", self.config, "-o", "file/maps.h5", code=1)[1], "file")
        out, _ = self.sns("check", self.config)
        self.assertIn("grows by 0.0067349156 /day", out)
        kolmogorov = self.folder / "k.yaml"
        kolmogorov.write_text("solver: {system: kolmogorov, grid: {points: 32}, viscosity: 0.01, stepper: {dt: 0.01}}\n")
        self.assert_one_line(self.sns("stability", kolmogorov, code=2)[1], "kolmogorov has no linear stability")

    def test_bad_input(self):
        """(verb, arguments, exit code, what the one line says)"""
        file = lambda name: f"solver.initial={{kind: file, path: 'x.h5:/{name}'}}"
        cases = {
            "an unknown removal": ("datagen", ("datagen.coarsen.remove=mean",), 2, ("remove", "zonal_mean")),
            "a state of whole numbers": ("simulate", (file("whole"),), 1, ("x.h5", "int64", "float32")),
            "a file that nothing reads": ("datagen", ("solver.initial={kind: rest, path: 'x.h5:/q'}",), 2,
                                          ("path", "kind: rest")),
            "a state of another shape": ("simulate", (file("q"),), 1, ("x.h5", "(2, 16, 16)", "(2, 32, 32)")),
            "a state that is not square": ("simulate", (file("oblong"),), 1, ("x.h5", "(2, 32, 16)", "(2, 32, 32)")),
            "a given state that is not square": ("simulate", ("--initial", "x.h5:/oblong"), 1,
                                                 ("x.h5", "(2, 32, 16)", "(layer, y, x) = (2, 32, 32)")),
            "a state with NaN": ("simulate", (file("nan"),), 1, ("non-finite", "nan")),
            "a given state with NaN": ("simulate", ("--initial", "x.h5:/nan"), 1, ("not finite", "(1, 3, 4)")),
            "a truncated file": ("simulate", ("--initial", "half.h5:/q"), 1, ("half.h5",)),
            "a truncated file as kind": ("simulate", ("solver.initial={kind: file, path: 'half.h5:/q'}",), 1,
                                         ("half.h5",)),
            "no such file": ("datagen", ("solver.initial={kind: file, path: 'none.h5:/q'}",), 1, ("none.h5",)),
            "dt beyond the CFL limit": ("simulate", (file("fast"),), 1, ("stepper.dt", "CFL", "use dt <=")),
            "an oblong grid": ("simulate", ("solver.grid.points=[64,32]",), 2, ("points", "square")),
            "an oblong box": ("simulate", ("solver.grid.length=[1e6,2e6]",), 2, ("length", "square")),
            "no such wavenumber": ("datagen", ("solver.initial={kind: eigenmode, wavenumber: [16, 0]}",), 2,
                                   ("wavenumber",)),
            "nothing grows": ("datagen", ("solver.initial={kind: eigenmode}", "solver.mean_flow=[0, 0]",
                                          "solver.bottom_drag=0"), 2, ("eigenmode",)),
            "unknown diagnostics": ("simulate", ("simulate.diagnostics=some",), 2, ("diagnostics", "all")),
        }
        rng = np.random.default_rng(1)
        with h5py.File(self.folder / "x.h5", "w") as states:
            states["q"] = np.zeros((2, 16, 16))
            states["oblong"] = np.zeros((2, 32, 16))
            states["whole"] = np.zeros((2, 32, 32), int)
            states["nan"] = np.where(np.arange(2 * 32 * 32) == 1024 + 3 * 32 + 4, np.nan, 0).reshape(2, 32, 32)
            states["fast"] = 1e-2 * rng.standard_normal((2, 32, 32))
        whole = (self.folder / "x.h5").read_bytes()
        (self.folder / "half.h5").write_bytes(whole[:len(whole) // 2])
        for name, (verb, arguments, code, parts) in cases.items():
            with self.subTest(name):
                self.assert_one_line(self.sns(verb, self.config, "-o", "bad", *arguments, code=code)[1], *parts)
                self.assertFalse((self.folder / "bad").exists())

    def test_trajectories_that_would_be_copies_are_refused(self):
        with h5py.File(self.folder / "x.h5", "w") as file:
            file["one"] = 1e-6 * np.random.default_rng(1).standard_normal((2, 32, 32))
            file["three"] = 1e-6 * np.random.default_rng(1).standard_normal((3, 2, 32, 32))
        for initial, words in {"{kind: rest}": "one state", "{kind: eigenmode}": "one state",
                               "{kind: file, path: 'x.h5:/one'}": "one state",
                               "{kind: file, path: 'x.h5:/three'}": "3 states to trajectory 0 to 2"}.items():
            for verb in ("datagen", "check"):
                output = ("-o", "set") if verb == "datagen" else ()
                err = self.sns(verb, self.config, *output, f"solver.initial={initial}", code=2)[1]
                self.assert_one_line(err, "solver.initial", words, "trajectories 0 to 5")
                self.assertFalse((self.folder / "set").exists())
        self.sns("datagen", self.config, "-o", "three", "solver.initial={kind: file, path: 'x.h5:/three'}",
                 "datagen.trajectories=3", "datagen.split={train: 0.4, valid: 0.3, test: 0.3}")
        self.sns("datagen", self.config, "-o", "noisy", "solver.initial={kind: perturbed, path: 'x.h5:/one'}")

    def test_array_diagnostics_are_pyqg_s(self):
        """One recorded state of pyqg, at step 0: spectra, budget, zonal-mean flow."""
        golden = SOURCE / "tests/golden/data/qg2layer_diagnostics.h5"
        for case in ("jet", "eddy"):
            with h5py.File(golden) as file:
                recorded = {name: item[()] for name, item in file[case].items()}
                keys = {"beta": "beta", "rek": "bottom_drag", "rd": "deformation_radius", "delta": "depth_ratio"}
                physics = [f"solver.{key}={file[case].attrs[name]!r}" for name, key in keys.items()]
            physics = [text.replace("np.float64(", "").rstrip(")") for text in physics]
            self.sns("simulate", self.config, "-o", f"{case}.h5", "--members", 1, "--steps", 0, "--every", 1, "--full",
                     "--diagnostics", "all", "--initial", f"{golden}:/{case}/q", "solver.grid.points=64", *physics)

            def same(ours, theirs):
                self.assertLess(np.linalg.norm(ours - theirs), 1e-13 * np.linalg.norm(theirs))

            with h5py.File(self.folder / f"{case}.h5") as file:
                found = file["diagnostics"]
                values = {name: item[0, 0] for name, item in found.items() if item.ndim > 1}
                for name, item in found.items():
                    if item.ndim > 1:
                        self.assertIn("units", item.attrs)
                        self.assertIn("long_name", item.attrs)
                for layer in range(2):
                    same(values["ke_rings"][layer], recorded[f"kespec_iso_layer{layer + 1}"])
                    same(values["enstrophy_rings"][layer], recorded[f"ensspec_iso_layer{layer + 1}"])
                    same(values["ke_spectrum"][layer][:33], recorded["KEspec_shells"][layer])
                same(found["k_ring"][:], recorded["k_iso"])
                for ours, theirs in {"ape_generation": "APEgenspec", "ape_flux": "APEflux", "ke_flux": "KEflux",
                                     "bottom_drag": "KEfrictionspec", "filter_dissipation": "Dissspec"}.items():
                    shells = recorded[f"{theirs}_shells"]
                    same(values[f"{ours}_spectrum"][:len(shells)], shells)
                same(values["zonal_mean_u"], recorded["u_zonal_mean"])
                self.assertEqual(values["jets_of_layer"][0], values["jets"])
                # Up to the corners, nothing is missing from the sums.
                self.assertEqual(len(found["k"]), 46)
                for spectrum, scalar in {"ke": "kinetic_energy", "enstrophy": "enstrophy"}.items():
                    np.testing.assert_allclose(values[f"{spectrum}_spectrum"].sum(axis=1),
                                               [values[f"{scalar}_upper"], values[f"{scalar}_lower"]], rtol=1e-12)
                for name, sign in {"ape_generation": 1, "bottom_drag": -1, "filter_dissipation": -1}.items():
                    np.testing.assert_allclose(values[f"{name}_spectrum"].sum(), sign * values[name], rtol=1e-12)
                for ours, theirs in {"ape_flux": "APEflux", "ke_flux": "KEflux"}.items():  # 0 but for aliasing
                    flux = values[f"{ours}_spectrum"]
                    self.assertLess(abs(flux.sum() - recorded[f"{theirs}_sum"]), 1e-12 * np.abs(flux).sum())
        with xarray.open_dataset(self.folder / "jet.h5", group="diagnostics", engine="h5netcdf") as data:
            self.assertEqual(data["ke_spectrum"].dims[2:], ("layer", "k"))
            self.assertEqual(data["zonal_mean_u"].dims[2:], ("layer", "y"))
            np.testing.assert_array_equal(data["layer"], [1, 2])
            np.testing.assert_allclose(data["k"][1], 2e-6 * np.pi)
        # Not without being asked, and lengthened as they are.
        with self.simulate("scalars.h5") as file:
            self.assertNotIn("ke_spectrum", file["diagnostics"])
        self.simulate("short.h5", "simulate.diagnostics=all", "--steps", 40).close()
        self.simulate("short.h5", "simulate.diagnostics=all", "--resume").close()
        self.simulate("long.h5", "--diagnostics", "all").close()
        self.assertEqual(arrays(self.folder / "short.h5"), arrays(self.folder / "long.h5"))


if __name__ == "__main__":
    unittest.main()
