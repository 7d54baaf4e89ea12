"""Weights that go to PyTorch and back: `sns export`, python/sns_networks.py, scripts/convert_checkpoint.py.

Runs in a Python with a working torch (.venv-well). Arguments: sns, write_network_outputs.
"""

import collections
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "python"))

try:
    import torch
    from safetensors.torch import load_file, save_file
    from sns_networks import Network, load
except (ImportError, OSError) as missing:
    print(f"PyTorch: skipped ({missing})")
    sys.exit(0)

PROGRAM, WRITE_OUTPUTS = sys.argv[1:3]


def config(kind, network, fields=1, levels=12):
    network = {"hidden": 4, "multipliers": [2, 2], "blocks": 1, **network}
    return {"kind": kind, "network": network, "diffusion": {"levels": levels}, "field_channels": fields, "image": 16}


# name: configuration of the network, what convert_checkpoint.py must be told besides --field-std
NETWORKS = {
    "gaussian": (config("gaussian", {}), ["--image", "16"]),
    "gaussian of two fields, three levels": (
        config("gaussian", {"multipliers": [1, 3, 2], "blocks": 2}, fields=2), ["--image", "16"]),
    "thermalizer": (config("thermalizer", {}), []),
    "acdm": (config("acdm", {"embedding": 8, "predicts": "both"}), ["--image", "16", "--levels", "12"]),
    "acdm of two fields": (config("acdm", {"embedding": 8, "predicts": "present"}, fields=2),
                           ["--image", "16", "--levels", "12"]),
    "sns": (config("sns", {"embedding": 12}), []),
    "sns of two fields with attention": (
        config("sns", {"embedding": 6, "attention": {"middle": True, "levels": [1], "softmax": "keys"}}, fields=2),
        ["--softmax", "keys"]),
    "lagged sns": (config("sns", {"embedding": 5, "lag": {"window": 9, "embedding": 8}}, fields=2),
                   ["--lag-window", "9"]),
}


class Exchange(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sns-exchange-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def run_program(self, *command, code=0):
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def convert(self, content, *arguments, code=0, name="checkpoint.pt"):
        if content is not None:
            torch.save(content, self.folder / name)
        return self.run_program(sys.executable, SOURCE / "scripts" / "convert_checkpoint.py", self.folder / name, "-o",
                                self.folder / "weights", "--overwrite", *arguments, code=code)

    def test_outputs_of_every_network_agree(self):
        for name, (wanted, extra) in NETWORKS.items():
            with self.subTest(name):
                torch.manual_seed(3)
                net = Network(wanted).eval()
                self.convert(net.state_dict(), "--field-std", "2.5", *extra)
                file = self.folder / "exported.safetensors"
                self.run_program(PROGRAM, "export", "--weights", self.folder / "weights", "--use", "raw", "-o", file,
                                 "--overwrite")
                exported, read_back = load(file)
                self.assertEqual(read_back["kind"], wanted["kind"])
                self.assertEqual(read_back["field_std"], 2.5)
                for (key, value), other in zip(sorted(net.state_dict().items()), sorted(exported.state_dict().items())):
                    self.assertEqual(key, other[0])
                    self.assertTrue(torch.equal(value, other[1]), key)

                self.run_program(WRITE_OUTPUTS, self.folder / "weights", self.folder / "out.safetensors")
                out = load_file(self.folder / "out.safetensors")
                with torch.no_grad():
                    theirs = exported(out["x"], out.get("condition"))
                theirs = theirs if isinstance(theirs, tuple) else (theirs,)
                for key, value in zip(("output", "logits_1", "logits_2"), theirs):
                    distance = (out[key] - value).abs().max() / value.abs().max()
                    self.assertLess(distance.item(), 1e-5, key)

    def test_the_way_back_from_an_export(self):
        torch.manual_seed(4)
        wanted, _ = NETWORKS["lagged sns"]
        self.convert(Network(wanted).state_dict(), "--field-std", "1.5,0.5", "--lag-window", "9")
        first = {name: (self.folder / "weights" / name).read_bytes() for name in ("model.safetensors", "config.yaml")}
        self.run_program(PROGRAM, "export", "--weights", self.folder / "weights", "-o", self.folder / "one.safetensors")
        self.convert(None, name="one.safetensors")
        again = self.folder / "weights"
        self.assertEqual((again / "config.yaml").read_text(), first["config.yaml"].decode())
        self.assertEqual(load_file(again / "model.safetensors").keys(), load_file(again / "ema.safetensors").keys())
        before = self.folder / "before.safetensors"
        before.write_bytes(first["model.safetensors"])
        for key, value in load_file(before).items():
            self.assertTrue(torch.equal(value, load_file(again / "model.safetensors")[key]), key)

    def test_shapes_of_checkpoints(self):
        wanted, extra = NETWORKS["sns"]
        state = Network(wanted).state_dict()
        wrapped = collections.OrderedDict(("module." + key, value) for key, value in state.items())
        for content in (
            {"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}},
            {"model_state_dict": wrapped},
            collections.OrderedDict([*((f"model.{k}", v) for k, v in state.items()), ("betas", torch.ones(12))]),
            {"state_dict": {k: v.double() for k, v in state.items()}},
        ):
            text = self.convert(content, "--field-std", "4.44", *extra)
            self.assertIn("sns: ", text)
            stored = load_file(self.folder / "weights" / "model.safetensors")
            self.assertEqual(stored.keys(), state.keys())
            self.assertTrue(all(torch.equal(stored[key], state[key]) for key in state))

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
        self.assertIn("--field-std", self.convert(None, name="bare.safetensors", code=1))
        self.assertIn("gaussian", self.convert(None, "--field-std", "1", *extra, name="bare.safetensors"))
        text = self.run_program(PROGRAM, "export", "--weights", self.folder / "weights", "-o", self.folder / "bare.safetensors",
                                code=1)
        self.assertIn("--overwrite", text)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
