#!/usr/bin/env python3
"""The bundle for other machines: test_bundle.py <build folder>.

Its archive opens with Python alone. It is made from this build tree, moved, and run in an empty environment; where a mount name space can be had, without
the build tree and without this machine's copies of the libraries that it must bring along.
"""

import importlib.machinery
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
BUILD = Path(sys.argv.pop(1)).resolve()
ENVIRONMENT = ["env", "-i", f"PATH={Path(sys.executable).parent}:/usr/bin:/bin"]
BROUGHT = ("libfftw3*.so*", "libfftw3f.so*", "libhdf5*.so*", "libyaml-cpp.so*", "libsz.so*", "libaec.so*", "libfmt.so*",
           "libspdlog.so*")


def run(command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=500, **options)


def hidden(command):
    """The command in a name space without the build tree and this machine's FFTW, HDF5, yaml-cpp, ..."""
    hide = [f"mount -t tmpfs none {BUILD}"]
    for pattern in BROUGHT:
        for library in sorted(Path("/usr/lib/x86_64-linux-gnu").glob(pattern)):
            hide.append(f"mount --bind /dev/null {library.resolve()}")
    return ["unshare", "-m", "sh", "-ec", " && ".join([*hide, 'exec "$@"']), "sh", *command]


class Archive(unittest.TestCase):
    def test_python_alone_unpacks_it(self):
        loader = importlib.machinery.SourceFileLoader("bundle", str(SOURCE / "scripts/bundle"))
        bundle = importlib.util.module_from_spec(importlib.util.spec_from_loader("bundle", loader))
        with unittest.mock.patch.object(sys, "dont_write_bytecode", True):
            loader.exec_module(bundle)
        with tempfile.TemporaryDirectory(prefix="sns-bundle-") as place:
            folder, there = Path(place) / "some bundle", Path(place) / "there"
            (folder / "bin").mkdir(parents=True)
            there.mkdir()
            (folder / "bin/sns").write_text("program")
            (folder / "bin/sns").chmod(0o755)
            archive = bundle.pack(folder)
            self.assertEqual(archive.name, "some bundle.tar.xz")
            done = run([*ENVIRONMENT[:2], "PATH=/nowhere", sys.executable, "-m", "tarfile", "-e", archive], cwd=there)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual((there / "some bundle/bin/sns").read_text(), "program")
            self.assertTrue(os.access(there / "some bundle/bin/sns", os.X_OK))


class Bundle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="sns-bundle-")
        cls.addClassCleanup(cls.temporary.cleanup)
        made = Path(cls.temporary.name) / "made"
        cls.done = run([SOURCE / "scripts/bundle", made, "--build-dir", BUILD, "--no-archive"], cwd="/")
        if cls.done.returncode != 0:
            raise AssertionError(cls.done.stdout + cls.done.stderr)
        cls.root = Path(cls.temporary.name) / "moved" / "sns bundle"
        cls.root.parent.mkdir()
        made.rename(cls.root)
        cls.isolated = run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]).returncode == 0

    def inside(self, *command, code=0):
        """Output of a command of the bundle, in an empty environment and another folder."""
        command = [*ENVIRONMENT, self.root / command[0], *command[1:]]
        done = run(hidden(command) if self.isolated else command, cwd=self.root.parent)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def test_is_small_and_says_what_it_needs(self):
        size = sum(file.stat().st_size for file in self.root.rglob("*") if file.is_file())
        self.assertLessEqual(size, 62 * 2**20)
        self.assertIn(f"{size / 2**20:.1f} MiB of at most 62", self.done.stdout)
        facts = json.loads((self.root / "BUNDLE.json").read_text())
        self.assertIn("sns", facts["programs"])
        self.assertTrue(any(name.startswith("gpu_") for name in facts["programs"]))
        self.assertRegex(facts["wheel"], r"^torch==\d")
        self.assertRegex(facts["needs"]["glibc"], r"^2\.\d+$")
        self.assertFalse([name for name in facts["needs"]["libraries"] if re.search("fftw|hdf5|yaml|fmt|spdlog", name)])

    def test_no_library_comes_from_the_build_tree(self):
        output = self.inside("bin/sns", "--version")
        self.assertRegex(output, r"^sns \d+\.\d+")
        where = "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
        packages = Path(run([sys.executable, "-c", where]).stdout.strip()).parent
        libraries = ":".join(map(str, [packages / "torch/lib", *packages.glob("nvidia/*/lib")]))
        for program in sorted((self.root / "libexec").iterdir()):
            loaded = run(["env", "-i", f"LD_LIBRARY_PATH={libraries}", "/usr/bin/ldd", program]).stdout
            found = dict(re.findall(r"^\s*(\S+) => (\S+)", loaded, re.MULTILINE))
            self.assertIn("libstdc++.so.6", found)
            for name, place in found.items():
                self.assertFalse(place.startswith(str(BUILD)), f"{program.name}: {name} is {place}")
                self.assertNotRegex(name, "fftw|hdf5|yaml|fmt|spdlog|curl|ssl")
            if program.name == "sns":
                self.assertTrue(found["libtorch_cpu.so"].startswith(str(packages)))

    def test_simulates(self):
        target = self.root.parent / "flow.h5"
        self.inside("bin/sns", "simulate", self.root / "yaml/kolmogorov/quickstart.yaml", "--steps", "4", "--every", "2",
                    "-o", target)
        self.assertGreater(target.stat().st_size, 64 * 64 * 4)

    def test_all_checks_that_a_cpu_can_make(self):
        """Data set, training, rollout with the shipped weights, benches: through LibTorch and the launcher."""
        out = self.root.parent / "results"
        table = self.inside("scripts/gpu_check", "--dry-run", "--out", out)
        report = json.loads((out / "gpu_check.json").read_text())
        status = {row["check"]: row["status"] for row in report["checks"]}
        self.assertEqual(status, {
            **dict.fromkeys(("device", "solver bench float32", "solver bench float64", "solver bench qg2layer", "network bench",
                             "data set", "statistics", "training", "rollout", "streamed training", "rollout precisions"),
                            "passed"),
            **dict.fromkeys(("gpu_cufft", "gpu_device_frames", "gpu_networks", "gpu_cufft_plain", "parity",
                             "network bench channels last", "sanitizer memcheck"), "skipped")})
        self.assertIn((out / "gpu_check.md").read_text().strip(), table)
        self.assertEqual(table.strip().splitlines()[-1], report["verdict"])
        self.assertEqual(report["verdict"], "nothing failed, 7 of 18 skipped")

    def test_says_where_libtorch_should_be(self):
        done = run(["env", "-i", "PATH=/usr/bin:/bin", f"SNS_TORCH={self.root}", self.root / "bin/sns", "--version"])
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"sns: there is no LibTorch in {self.root}; install the wheel", done.stderr)

    def test_replaces_nothing_but_bundles(self):
        other = self.root.parent / "other"
        other.mkdir()
        (other / "precious").touch()
        done = run([SOURCE / "scripts/bundle", other, "--build-dir", BUILD])
        self.assertEqual(done.returncode, 1)
        self.assertIn("holds other things than a bundle", done.stderr)
        self.assertTrue((other / "precious").exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
