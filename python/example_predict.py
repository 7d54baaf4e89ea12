"""One step of an exported surrogate from a frame of a data set, in PyTorch alone.

    sns export --weights weights/kolmogorov-quickstart/gaussian -o gaussian.safetensors
    python3 python/example_predict.py gaussian.safetensors runs/kolmogorov-quickstart/dataset
"""
import pathlib
import sys

import h5py
import torch
from sns_networks import load

weights, dataset = sys.argv[1:]
net, config = load(weights)
std = torch.tensor(config["field_std"]).reshape(-1, 1, 1)  # network units: physical units / field_std
with h5py.File(min(pathlib.Path(dataset).glob("data/test/*.h5"))) as file:
    fields = file["t0_fields"]
    frames = [[fields[name][0, t] for name in fields.attrs["field_names"]] for t in (0, 1)]  # first sample
now, after = (torch.stack([torch.from_numpy(field) for field in frame]) / std for frame in frames)
with torch.no_grad():
    predicted = now + net(now[None])[0]
error, change = ((frame - after).square().mean().sqrt() for frame in (predicted, now))
print(f"error of the predicted frame {error:.4g}, change within a step {change:.4g} (units of field_std)")
