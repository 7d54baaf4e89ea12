"""Weights that go to PyTorch and back: `sns export`, python/sns_networks.py, scripts/convert_checkpoint.py.

Runs in a Python with a working torch (.venv-well). Arguments: sns, write_network_outputs.
"""

import collections
import contextlib
import hashlib
import importlib.util
import io
import itertools
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "python"))

try:
    import h5py
    import torch
    import yaml
    from safetensors.torch import load_file, save_file
    from sns_networks import Network, load
except (ImportError, OSError) as missing:
    print(f"PyTorch: skipped ({missing}); scripts/setup_wheel_checks makes it importable")
    sys.exit(77)  # CTest reports it as skipped

PROGRAM, WRITE_OUTPUTS = (pathlib.Path(name).resolve() for name in sys.argv[1:3])
QUICKSTART = SOURCE / "yaml" / "kolmogorov" / "quickstart.yaml"


def config(kind, network, fields=1, levels=12):
    network = {"hidden": 4, "multipliers": [2, 2], "blocks": 1, **network}
    return {"kind": kind, "network": network, "diffusion": {"levels": levels}, "field_channels": fields, "image": 16}


# name: configuration of the network, what convert_checkpoint.py must be told besides --field-std
NETWORKS = {
    "gaussian": (config("gaussian", {}), ["--image", "16"]),
    "gaussian that sees the force": (config("gaussian", {"forcing_wavenumber": 3}),
                                     ["--image", "16", "--forcing-wavenumber", "3"]),
    "gaussian of two fields, three levels": (
        config("gaussian", {"multipliers": [1, 3, 2], "blocks": 2}, fields=2), ["--image", "16"]),
    "thermalizer": (config("thermalizer", {}), []),
    "thermalizer with a narrow head": (config("thermalizer", {"head_features": 160}), []),  # 2.5 channels at 8 x 8 points
    "acdm": (config("acdm", {"embedding": 8, "predicts": "both"}), ["--image", "16", "--levels", "12"]),
    "acdm of two fields": (config("acdm", {"embedding": 8, "predicts": "present"}, fields=2),
                           ["--image", "16", "--levels", "12"]),
    "sns": (config("sns", {"embedding": 12}), []),
    "sns that sees the force": (config("sns", {"embedding": 12, "forcing_wavenumber": 4}), ["--forcing-wavenumber", "4"]),
    "sns with narrow heads": (config("sns", {"embedding": 12, "head_features": 100}), []),
    "sns of two fields with attention": (
        config("sns", {"embedding": 6, "attention": {"middle": True, "levels": [1], "softmax": "keys"}}, fields=2),
        ["--softmax", "keys"]),
    "lagged sns": (config("sns", {"embedding": 5, "lag": {"window": 9, "embedding": 8}}, fields=2),
                   ["--lag-window", "9"]),
}

# The reference implementation's networks at their full size (the paper's 64 x 64 points, one field) and their
# parameters; everything but what differs from kind to kind is left to the defaults.
FULL_SIZE = {"sns": 73_727_522, "gaussian": 45_820_801, "thermalizer": 53_286_817, "acdm": 51_534_722}


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


CONVERT = module(SOURCE / "scripts" / "convert_checkpoint.py")


def betas(schedule, levels):
    """The reference implementation's table, float32."""
    s = torch.arange(levels + 1, dtype=torch.float32)
    if schedule == "linear":
        return torch.linspace(1e-4 * 500 / levels, 2e-2 * 500 / levels, levels)
    f = torch.cos((s / levels + 0.008) / 1.008 * torch.pi * 0.5) ** 2
    return torch.clip(1 - f[1:] / f[:-1], 0, 0.999)


class Exchange(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sns-exchange-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def run_program(self, *command, code=0):
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=600)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def convert(self, content, *arguments, code=0, name="checkpoint.pt"):
        """What scripts/convert_checkpoint.py says; in this process, since each new one loads PyTorch for seconds."""
        if content is not None:
            torch.save(content, self.folder / name)
        said = io.StringIO()
        command = ["convert_checkpoint.py", self.folder / name, "-o", self.folder / "weights", "--overwrite", *arguments]
        with mock.patch.object(sys, "argv", [str(part) for part in command]), \
             contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            done = CONVERT.main()
        self.assertEqual(done, code, said.getvalue())
        return said.getvalue()

    def convert_by_command(self, content, *arguments, code=0):
        """As a user does it."""
        torch.save(content, self.folder / "checkpoint.pt")
        return self.run_program(sys.executable, SOURCE / "scripts" / "convert_checkpoint.py", self.folder / "checkpoint.pt",
                                "-o", self.folder / "weights", *arguments, code=code)

    def save(self, net, config, name="weights"):
        """A folder of weights as `sns train` leaves it, without its card."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        for file in ("model", "ema"):
            save_file(net.state_dict(), folder / f"{file}.safetensors")
        (folder / "config.yaml").write_text(yaml.safe_dump(config))

    def export(self, name):
        """What sns_networks.py loads of the export of weights/."""
        self.run_program(PROGRAM, "export", "--weights", self.folder / "weights", "--use", "raw", "-o", self.folder / name,
                         "--overwrite")
        return load(self.folder / name)

    def assert_same_outputs(self, net):
        """As the program's network with the raw weights of weights/."""
        self.run_program(WRITE_OUTPUTS, self.folder / "weights", self.folder / "out.safetensors")
        out = load_file(self.folder / "out.safetensors")
        with torch.no_grad():
            theirs = net(out["x"], out.get("condition"))
        theirs = theirs if isinstance(theirs, tuple) else (theirs,)
        for key, value in zip(("output", "logits_1", "logits_2"), theirs):
            distance = (out[key] - value).abs().max() / value.abs().max()
            self.assertLess(distance.item(), 1e-5, key)

    def test_outputs_of_every_network_agree(self):
        for name, (wanted, extra) in NETWORKS.items():
            with self.subTest(name):
                torch.manual_seed(3)
                net = Network(wanted).eval()
                self.convert(net.state_dict(), "--field-std", "2.5", *extra)
                exported, read_back = self.export("exported.safetensors")
                self.assertEqual(read_back["kind"], wanted["kind"])
                self.assertEqual(read_back["field_std"], 2.5)
                for (key, value), other in zip(sorted(net.state_dict().items()), sorted(exported.state_dict().items())):
                    self.assertEqual(key, other[0])
                    self.assertTrue(torch.equal(value, other[1]), key)

                self.assert_same_outputs(exported)

    def test_full_size_networks(self):
        for kind, parameters in FULL_SIZE.items():
            with self.subTest(kind), torch.device("meta"):
                net = Network({"kind": kind, "network": {}, "field_channels": 1, "image": 64})
                self.assertEqual(sum(p.numel() for p in net.parameters()), parameters)

    def test_defaults_are_exported_as_numbers(self):
        """What a weights folder leaves to the defaults means the same in PyTorch as here."""
        attention = {"middle": True, "levels": [0]}
        for kind, network, diffusion in (
            ("sns", {"embedding": None, "attention": attention}, {"levels": 12}),
            ("acdm", {"embedding": None}, None), ("acdm", {"predicts": "present"}, {"schedule": "linear"}),
            ("gaussian", {"attention": {"middle": True}}, None), ("sns", {"lag": {"window": 9}}, {"levels": 12}),
            ("gaussian", {"forcing_wavenumber": 3}, None), ("sns", {"forcing_wavenumber": 4}, {"levels": 12}),
        ):
            with self.subTest(kind, network=network):
                network = {"hidden": 2, "multipliers": [1, 2], **network}
                given = {"kind": kind, "network": network, "field_std": 2, "field_channels": 1, "image": 16}
                if diffusion:
                    given["diffusion"] = diffusion
                torch.manual_seed(5)
                net = Network(given).eval()  # from the defaults of sns_networks.py
                self.save(net, given)
                exported, config = self.export("defaults.safetensors")
                for part in ("hidden", "multipliers", "blocks"):
                    self.assertIsNotNone(config["network"][part])
                if kind in ("sns", "acdm"):
                    self.assertEqual(config["network"]["embedding"], 512 if kind == "acdm" else 12)
                    self.assertEqual(config["diffusion"]["schedule"], "linear" if kind == "acdm" else "cosine")
                if kind == "acdm":
                    self.assertEqual(config["diffusion"]["levels"], 200)
                if network.get("attention"):
                    self.assertEqual(config["network"]["attention"]["softmax"], "keys")
                self.assert_same_outputs(net)
                self.assert_same_outputs(exported)

    def test_a_converted_checkpoint_in_an_experiment(self):
        """Checkpoints of the reference implementation, which say nothing of time, instead of training."""
        shape = {"hidden": 4, "multipliers": [2, 2, 2], "blocks": 1}
        overrides = []
        for kind, more in (("gaussian", ["--image", "16"]), ("sns", [])):
            torch.manual_seed(6)
            net = Network({"kind": kind, "network": shape, "diffusion": {"levels": 20}, "field_channels": 1, "image": 16})
            self.convert({"state_dict": net.state_dict()}, "--field-std", "1.7", *more)
            weights = (self.folder / "weights").rename(self.folder / kind)
            overrides.append(f"models.{kind}.weights={weights}")
        self.assertEqual(yaml.safe_load((self.folder / "sns/config.yaml").read_text())["network"]["embedding"], 20)
        rollout = [PROGRAM, "rollout", QUICKSTART, "--scale", "smoke", f"run.output={self.folder / 'run'}", "rollout.steps=5",
                   "models.sns.diffusion.prediction=eps", "models.sns.network.embedding=null", *overrides]
        self.run_program(*rollout)
        with h5py.File(self.folder / "run/rollouts/sns.h5") as file:
            self.assertEqual(file.attrs["weights_refiner_sha256"],
                             hashlib.sha256((self.folder / "sns/ema.safetensors").read_bytes()).hexdigest())
        self.assertRegex(self.run_program(*rollout, "models.sns.network.embedding=21", code=2),
                         r"another network than this file describes \(embedding: \S+; here embedding: 21\)")

        stored = yaml.safe_load((self.folder / "sns/config.yaml").read_text())
        stored["network"]["whitened"] = True
        stored["whitening"] = [0.5] * 13
        self.save(Network(stored), stored, "sns")
        self.assertIn("another network than this file describes (whitened: true; here )", self.run_program(*rollout, code=2))
        self.run_program(*rollout, "models.sns.network.whitened=true")

    def test_the_example_of_the_documentation(self):
        """python/example_predict.py: the shipped surrogate on a frame of its flow, as `sns predict` does it."""
        weights = SOURCE / "weights" / "kolmogorov-quickstart" / "gaussian"
        self.run_program(PROGRAM, "datagen", QUICKSTART, "datagen.trajectories=3", "datagen.frames=2", "-o", self.folder / "set")
        self.run_program(PROGRAM, "export", "--weights", weights, "-o", self.folder / "gaussian.safetensors")
        text = self.run_program(sys.executable, SOURCE / "python" / "example_predict.py",
                                self.folder / "gaussian.safetensors", self.folder / "set")
        error, change = map(float, re.findall(r"[\d.]+(?:e-?\d+)?(?=,| \()", text))
        self.assertLess(error, 0.6 * change, text)  # 0.34 of it over the whole data set (weights/README.md)
        data = next((self.folder / "set/data/test").glob("*.h5"))
        with h5py.File(data) as file, h5py.File(self.folder / "in.h5", "w") as states:
            now, after = torch.from_numpy(file["vorticity"][0])
            states["states"] = now[None]
        self.run_program(PROGRAM, "predict", "--weights", weights, "--input", f"{self.folder / 'in.h5'}:/states", "-o",
                         self.folder / "out.h5")
        with h5py.File(self.folder / "out.h5") as file:
            ours = torch.from_numpy(file["next"][0])
        std = load(self.folder / "gaussian.safetensors")[1]["field_std"]
        self.assertAlmostEqual((((ours - after) / std).square().mean().sqrt().item()) / error, 1, places=3)

    def test_the_way_back_from_an_export(self):
        torch.manual_seed(4)
        wanted, _ = NETWORKS["lagged sns"]
        self.convert(Network(wanted).state_dict(), "--field-std", "1.5,0.5", "--lag-window", "9")
        first = {name: (self.folder / "weights" / name).read_bytes() for name in ("model.safetensors", "config.yaml")}
        self.run_program(PROGRAM, "export", "--weights", self.folder / "weights", "-o", self.folder / "one.safetensors")
        for options, words in ((["--levels", "7"], "levels: 7 by --levels, 12 by the file"), (["--field-std", "9"], "field_std"),
                               (["--schedule", "linear"], "schedule"), (["--lag-window", "8"], "9 by the file")):
            self.assertIn(words, self.convert(None, *options, name="one.safetensors", code=1))
        self.convert(None, name="one.safetensors")
        again = self.folder / "weights"
        stored = yaml.safe_load((again / "config.yaml").read_text())
        self.assertEqual(stored, yaml.safe_load(first["config.yaml"].decode()))
        self.assertEqual(load_file(again / "model.safetensors").keys(), load_file(again / "ema.safetensors").keys())
        before = self.folder / "before.safetensors"
        before.write_bytes(first["model.safetensors"])
        for key, value in load_file(before).items():
            self.assertTrue(torch.equal(value, load_file(again / "model.safetensors")[key]), key)

    def test_networks_that_see_their_frames_whitened(self):
        """What modes are divided by is in the configuration alone."""
        for kind, network in (("sns", {"forcing_wavenumber": 4, "embedding": 12}), ("thermalizer", {}), ("acdm", {"embedding": 8})):
            with self.subTest(kind):
                torch.manual_seed(7)
                wanted = config(kind, {"whitened": True, **network}, fields=2) | {"field_std": 2.0}
                wanted["whitening"] = [round(1 / (1 + i), 4) for i in range(2 * 13)]  # shells 0 to 12 of 16 x 16 points
                net = Network(wanted).eval()
                self.save(net, wanted)
                exported, read_back = self.export("whitened.safetensors")
                self.assertEqual(read_back["whitening"], wanted["whitening"])
                self.assert_same_outputs(exported)
                self.convert(None, name="whitened.safetensors")
                stored = yaml.safe_load((self.folder / "weights/config.yaml").read_text())
                self.assertEqual(stored["whitening"], wanted["whitening"])
                self.assert_same_outputs(exported)
                # Of an ACDM and of one field alone, shapes do not tell it from twice as many fields and from the force.
                said = self.convert(net.state_dict(), "--field-std", "2", "--image", "16", *(["--levels", "12"] if kind == "acdm" else []),
                                    code=0 if kind == "acdm" else 1)
                self.assertIn("sees them whitened looks the same" if kind == "acdm" else "sees its frames whitened", said)
        one = Network(config("thermalizer", {"whitened": True}) | {"whitening": wanted["whitening"][:13]})
        self.assertIn("or its one field whitened, too", self.convert(one.state_dict(), "--field-std", "2", code=1))
        with self.assertRaisesRegex(ValueError, "whitening has 12 numbers; .* has 13 for each field"):
            Network(config("thermalizer", {"whitened": True}) | {"whitening": wanted["whitening"][:12]})

    def test_a_network_that_sees_the_force(self):
        """How many periods the force has is in the configuration alone."""
        wanted, extra = NETWORKS["sns that sees the force"]
        state = Network(wanted).state_dict()
        self.assertIn("give --forcing-wavenumber", self.convert(state, "--field-std", "2.5", code=1))
        self.convert(state, "--field-std", "2.5", *extra)
        self.assertEqual(self.export("force.safetensors")[1]["network"]["forcing_wavenumber"], 4)
        self.assertIn("forcing_wavenumber: 3 by --forcing-wavenumber, 4 by the file",
                      self.convert(None, "--forcing-wavenumber", "3", name="force.safetensors", code=1))
        self.convert(None, name="force.safetensors")
        self.assertIn("forcing_wavenumber: 4", (self.folder / "weights" / "config.yaml").read_text())
        blind, _ = NETWORKS["sns"]
        self.assertIn("does not see the force",
                      self.convert(Network(blind).state_dict(), "--field-std", "2.5", *extra, code=1))

    def test_a_network_of_clean_conditioning(self):
        """Its weights know it, here and on the way back, so that no path noises its past frames."""
        wanted, extra = NETWORKS["sns"]
        state = Network(wanted).state_dict()
        self.convert(state, "--field-std", "2.5", *extra, "--trained-past", "clean")
        self.assertEqual(self.export("clean.safetensors")[1]["trained_past"], "clean")
        self.assertIn("trained_past: noised by --trained-past, clean by the file",
                      self.convert(None, "--trained-past", "noised", name="clean.safetensors", code=1))
        self.convert(None, name="clean.safetensors")
        self.assertIn("trained_past: clean", (self.folder / "weights" / "config.yaml").read_text())
        with h5py.File(self.folder / "in.h5", "w") as file:
            file["states"] = torch.randn(1, 16, 16).numpy()
        generate = [PROGRAM, "predict", "--weights", self.folder / "weights", "--input", f"{self.folder / 'in.h5'}:/states",
                    "-o", self.folder / "out.h5", "--generate"]
        self.assertIn("trained beside clean past frames", self.run_program(*generate, code=2))
        self.assertNotIn("warning", self.run_program(*generate, "--path", "clean_past"))
        self.convert(state, "--field-std", "2.5", *extra, "--trained-past", "mixed")
        self.assertEqual(self.export("mixed.safetensors")[1]["trained_past"], "mixed")
        self.convert(None, name="mixed.safetensors")
        self.assertIn("trained_past: mixed", (self.folder / "weights" / "config.yaml").read_text())
        self.assertNotIn("warning", self.run_program(*generate, "--overwrite", "--path", "clean_past"))
        self.assertNotIn("warning", self.run_program(*generate, "--overwrite"))
        gaussian, more = NETWORKS["gaussian"]
        self.assertIn("says nothing to a network of kind gaussian",
                      self.convert(Network(gaussian).state_dict(), "--field-std", "2.5", *more, "--trained-past", "clean", code=1))

    def test_shapes_of_checkpoints(self):
        wanted, extra = NETWORKS["sns"]
        state = Network(wanted).state_dict()
        wrapped = collections.OrderedDict(("module." + key, value) for key, value in state.items())
        for content in (
            {"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}},
            {"model_state_dict": wrapped},
            collections.OrderedDict([*((f"model.{k}", v) for k, v in state.items()), ("betas", betas("cosine", 12))]),
            {"state_dict": {k: v.double() for k, v in state.items()}},
        ):
            text = self.convert(content, "--field-std", "4.44", *extra)
            self.assertIn("sns: ", text)
            stored = load_file(self.folder / "weights" / "model.safetensors")
            self.assertEqual(stored.keys(), state.keys())
            self.assertTrue(all(torch.equal(stored[key], state[key]) for key in state))

    def test_a_moving_average_in_the_checkpoint(self):
        wanted, extra = NETWORKS["sns"]
        state, average = (Network(wanted).state_dict() for _ in range(2))
        prefixed = {"module." + key: value for key, value in average.items()} | {"n_averaged": torch.tensor(3)}
        stored = lambda name: load_file(self.folder / "weights" / f"{name}.safetensors")
        same = lambda a, b: a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
        for ema in ({"ema": average}, {"ema_state_dict": prefixed}, {"model_ema": {"decay": 0.9, "shadow": average}},
                    {"EMA": {"state_dict": average, "decay": 0.9}}):
            with self.subTest(list(ema)):
                self.convert({"epoch": 3, "state_dict": state} | ema, "--field-std", "4.44", *extra)
                self.assertTrue(same(stored("model"), state))
                self.assertTrue(same(stored("ema"), average))
                self.assertIn("moving average: `checkpoint.pt`", (self.folder / "weights/model_card.md").read_text())
        self.convert({"state_dict": state, "ema": None}, "--field-std", "4.44", *extra)
        self.assertTrue(same(stored("ema"), state))
        self.assertIn("No moving average was given", (self.folder / "weights/model_card.md").read_text())
        torch.save({"state_dict": average}, self.folder / "average.pt")
        text = self.convert({"state_dict": state, "ema": state}, "--field-std", "4.44", *extra, "--ema",
                            self.folder / "average.pt")
        self.assertIn("is left for that of", text)
        self.assertTrue(same(stored("ema"), average))
        for wrong, words in (({"ema": [torch.ones(2)]}, "'ema', is no state dict"), ({"ema": state, "model_ema": state}, "--ema"),
                             ({"ema": Network(NETWORKS["gaussian"][0]).state_dict()}, "not a network of this family")):
            self.assertIn(words, self.convert({"state_dict": state} | wrong, "--field-std", "4.44", *extra, code=1))

    def test_what_does_not_fit_is_refused(self):
        wanted, extra = NETWORKS["gaussian"]
        state, std = Network(wanted).state_dict(), ("--field-std", "4.44")
        for options, words in ((("--field-std", "1,2", *extra), "2 values for 1 fields"), ((*std, "--image", "15"), "--image 15"),
                               ((*std, *extra, "--levels", "7"), "--levels says nothing"),
                               ((*std, *extra, "--schedule", "linear"), "--schedule says nothing"),
                               ((*std, *extra, "--lag-window", "100"), "knows no lag"),
                               ((*std, *extra, "--frame-interval", "-3"), "--frame-interval is a time")):
            with self.subTest(words):
                self.assertIn(words, self.convert(state, *options, code=1))
        self.convert(state, *std, *extra)
        name = next(iter(state))
        state[name] = state[name] * torch.nan
        self.assertIn(f"{name} holds values that are not finite", self.convert(state, *std, *extra, code=1))

    def test_a_whole_module_needs_trust(self):
        wanted, extra = NETWORKS["sns"]
        net = Network(wanted)
        for content in (net, {"epoch": 2, "model": net}):
            text = self.convert_by_command(content, "--field-std", "4.44", *extra, code=1)
            self.assertIn("if it holds more than tensors and you trust its origin, add --trust-pickle", text)
            self.assertFalse((self.folder / "weights").exists())
        for content in (net, {"epoch": 2, "model": net}):
            self.convert_by_command(content, "--field-std", "4.44", *extra, "--trust-pickle", "--overwrite")
            stored = load_file(self.folder / "weights" / "model.safetensors")
            self.assertTrue(all(torch.equal(stored[key], value) for key, value in net.state_dict().items()))

    def test_a_conversion_that_is_cut_off_leaves_no_mixture(self):
        """Whichever file it ends at: the old weights, or a folder that is none (without config.yaml)."""
        folder = self.folder / "weights"
        names = ("config.yaml", "model.safetensors", "ema.safetensors", "model_card.md")
        old, new = ({"kind": "gaussian", "image": size} for size in (16, 32))
        tensors = {size: {"image_proj.weight": torch.full((2,), float(size))} for size in (16, 32)}
        states, ends = set(), False
        for allowed in itertools.count():
            CONVERT.write(folder, old, tensors[16], None, [])
            before = {name: (folder / name).read_bytes() for name in names}
            left = itertools.count(allowed, -1)

            def cut_off(real):
                def change(*arguments, **options):
                    if next(left) <= 0:
                        raise KeyboardInterrupt
                    return real(*arguments, **options)
                return change

            with mock.patch.object(pathlib.Path, "replace", cut_off(pathlib.Path.replace)), \
                 mock.patch.object(pathlib.Path, "unlink", cut_off(pathlib.Path.unlink)):
                try:
                    CONVERT.write(folder, new, tensors[32], None, [])
                    ends = True
                except KeyboardInterrupt:
                    pass
            if not (folder / "config.yaml").exists():
                states.add("none")
            elif "image: 16" in (folder / "config.yaml").read_text():
                self.assertEqual({name: (folder / name).read_bytes() for name in names}, before)
                states.add("old")
            else:
                self.assertEqual([load_file(folder / f"{name}.safetensors")["image_proj.weight"][0] for name in ("model", "ema")],
                                 [32, 32])
                states.add("new")
            if ends:
                break
        self.assertEqual(states, {"old", "none", "new"})

    def test_the_table_of_betas_decides(self):
        """The wrappers of the reference implementation keep their schedule beside the network."""
        wanted, _ = NETWORKS["acdm"]
        state = {f"model.{key}": value for key, value in Network(wanted).state_dict().items()}
        options = ["--field-std", "4.44", "--image", "16"]
        for schedule, levels in (("linear", 200), ("linear", 1000), ("cosine", 1000)):
            with self.subTest(schedule, levels=levels):
                self.convert(state | {"betas": betas(schedule, levels)}, *options)
                stored = yaml.safe_load((self.folder / "weights" / "config.yaml").read_text())["diffusion"]
                self.assertEqual((stored["levels"], stored["schedule"]), (levels, schedule))
        thousand = state | {"betas": betas("linear", 1000)}
        text = self.convert(thousand, *options, "--levels", "200", code=1)
        self.assertIn("200 by --levels, 1000 by the table of betas", text)
        self.assertIn("--schedule", self.convert(thousand, *options, "--schedule", "cosine", code=1))
        self.assertIn("no known schedule", self.convert(state | {"betas": torch.linspace(1e-4, 2e-2, 1000)}, *options, code=1))
        clipped = betas("linear", 1000).clamp(min=1e-4)  # another implementation's: only the first ones differ
        self.assertIn("no known schedule", self.convert(state | {"betas": clipped}, *options, code=1))
        self.assertIn("no known schedule", self.convert(state | {"betas": betas("linear", 200) * torch.nan}, *options, code=1))
        torch.save(state | {"betas": betas("cosine", 200)}, self.folder / "average.pt")
        text = self.convert(state | {"betas": betas("linear", 200)}, *options, "--ema", self.folder / "average.pt", code=1)
        self.assertIn("schedule: cosine by the moving average's betas, linear by the checkpoint's betas", text)
        bare = Network(wanted).state_dict()
        self.convert(bare | {"betas": betas("linear", 50)}, *options)  # beside the network, not in it
        sns = Network(NETWORKS["sns"][0]).state_dict()
        text = self.convert(sns | {"betas": betas("cosine", 1000)}, "--field-std", "4.44", code=1)
        self.assertIn("1000 by the table of betas, 12 by the network's heads", text)
        self.assertIn("--levels", self.convert(sns, "--field-std", "4.44", "--levels", "13", code=1))
        self.assertIn("--image", self.convert(sns, "--field-std", "4.44", "--image", "32", code=1))

    def test_a_network_with_parts_missing(self):
        for name, part in (("gaussian", "down.0.res.conv1.weight"), ("acdm", "final.weight"), ("sns", "first_mlp2.weight"),
                           ("thermalizer", "regressor_block.linear2.weight")):
            with self.subTest(name):
                wanted, extra = NETWORKS[name]
                state = Network(wanted).state_dict()
                del state[part]
                text = self.convert(state, "--field-std", "4.44", *extra, code=1)
                self.assertIn(part, text)
                self.assertNotIn("Traceback", text)

    def test_refusals(self):
        wanted, extra = NETWORKS["gaussian"]
        state = Network(wanted).state_dict()
        self.assertIn("--field-std", self.convert(state, *extra, code=1))
        self.assertIn("--image", self.convert(state, "--field-std", "1", code=1))
        self.assertIn("image_proj.weight", self.convert({"a": torch.ones(2)}, "--field-std", "1", code=1))
        self.assertIn("not a state dict", self.convert([1, 2], "--field-std", "1", code=1))
        fewer = {key: value for key, value in state.items() if key != "final.bias"}
        self.assertIn("missing final.bias", self.convert(fewer, "--field-std", "1", *extra, code=1))
        (self.folder / "checkpoint.pt").write_bytes(b"no pickle")
        self.assertIn("cannot be read", self.convert(None, "--field-std", "1", code=1))
        self.assertIn("no such file", self.convert(None, "--field-std", "1", code=1, name="absent.pt"))
        self.assertFalse((self.folder / "weights").exists())
        save_file(state, self.folder / "bare.safetensors")
        self.assertIn("--field-std", self.convert(None, *extra, name="bare.safetensors", code=1))
        self.assertIn("gaussian", self.convert(None, "--field-std", "1", *extra, name="bare.safetensors"))
        text = self.run_program(PROGRAM, "export", "--weights", self.folder / "weights", "-o", self.folder / "bare.safetensors",
                                code=2)
        self.assertIn("--overwrite", text)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
