#!/usr/bin/env python3
"""Turns a PyTorch checkpoint into a folder of weights that `sns` loads.

    scripts/convert_checkpoint.py checkpoint_last.p -o weights/paper --field-std 4.44
    scripts/convert_checkpoint.py checkpoint.pt --ema checkpoint_ema.pt -o weights/mine --field-std 7.6382e-6,3.0120e-7
    scripts/convert_checkpoint.py sns.safetensors -o weights/back        what `sns export` wrote: nothing else is needed

Reads state dicts as they are, dictionaries that hold one ({epoch, state_dict, ...}, {model_state_dict, ...}), also beside a
moving average ({state_dict, ema, ...}), whole modules (with --trust-pickle), their prefixes (module., _orig_mod., model.)
and safetensors files. Kind of model, widths, blocks, attention, diffusion
levels and image size follow from the names and shapes, levels and schedule also from the table `betas` that the reference
implementation keeps beside its networks; what does not must be given: --field-std always (the numbers by which physical
fields are divided, one per field or one for all), and --image, --levels, --lag-window where the checkpoint does not tell;
an SNS that was trained beside clean past frames (clean conditioning) is told by --trained-past clean.
What is given and contradicts the checkpoint is refused. The result is checked by loading it into the same network in plain PyTorch (python/sns_networks.py).

Use it as:  models: {mine: {kind: ..., weights: weights/mine}}  in an experiment, or  sns predict --weights weights/mine
"""
import argparse
import hashlib
import json
import math
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))

STATE_KEYS = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
AVERAGE_KEYS = ("ema", "ema_state_dict", "state_dict_ema", "ema_model", "model_ema", "ema_net", "ema_network", "ema_weights",
                "shadow", "averaged_model")
ANCHOR = "image_proj.weight"  # every network of the family has it
BUFFERS = ("betas", "alphas", "alphas_cumprod", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod")
# The reference computes its tables in float32, which moves the largest cosine betas by 3e-5 and the smallest by 6e-8.
BETA_TOLERANCE = {"rel_tol": 3e-4, "abs_tol": 1e-6}
DEFAULTS = {"prediction": "eps", "softmax": "queries", "frame_interval": 0.0, "trained_past": "noised"}


class CheckpointError(Exception):
    pass


def read(path, trust):
    """(flat dictionary of tensors, one of their moving average or None, configuration or None)"""
    import torch

    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt") as tensors:
                config = (tensors.metadata() or {}).get("sns_config")
                return {n: tensors.get_tensor(n) for n in tensors.keys()}, None, config and json.loads(config)
        except SafetensorError as error:
            raise CheckpointError(f"{path}: not a readable safetensors file ({error})") from None
    try:
        content = torch.load(path, map_location="cpu", weights_only=not trust)
    except Exception as error:  # pickle, zip and torch raise many kinds
        hint = "" if trust else "; if it holds more than tensors and you trust its origin, add --trust-pickle"
        raise CheckpointError(f"{path}: cannot be read ({str(error).splitlines()[0]}){hint}") from None
    return state_of(path, content), average_of(path, content), None


def average_of(path, content):
    """State dict of the moving average that a checkpoint holds beside its network's; None without one."""
    if not isinstance(content, dict) or any(str(key).endswith(ANCHOR) for key in content):
        return None
    found = [key for key in content if str(key).lower() in AVERAGE_KEYS and content[key] is not None]
    if not found:
        return None
    if len(found) > 1:
        raise CheckpointError(f"{path}: holds {len(found)} moving averages ({', '.join(found)}); save the one that is meant "
                              "by itself and give it as --ema")
    try:
        average = content[found[0]]
        if isinstance(average, dict) and isinstance(average.get("shadow"), dict):
            average = average["shadow"]
        return state_of(path, average)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: its moving average, '{found[0]}', is no state dict ({error}); without that entry the "
                              "checkpoint can be converted") from None


def state_of(path, content):
    if hasattr(content, "state_dict") and callable(content.state_dict):
        content = content.state_dict()
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not a state dict")
    if any(str(key).endswith(ANCHOR) for key in content):
        return {str(key): value for key, value in content.items()}
    for key in STATE_KEYS:
        if isinstance(content.get(key), dict) or hasattr(content.get(key), "state_dict"):
            return state_of(path, content[key])
    raise CheckpointError(f"{path}: no tensor is called ...{ANCHOR}; it holds {', '.join(map(str, list(content)[:8]))}")


def strip(path, state):
    """Tensors of the network under their own names; what lies outside it (schedules, optimiser) is left."""
    import torch

    prefixes = sorted({key[: -len(ANCHOR)] for key in state if key.endswith(ANCHOR)}, key=len)
    if len(prefixes) > 1:
        raise CheckpointError(f"{path}: holds {len(prefixes)} networks ({', '.join(p or '(top)' for p in prefixes)})")
    inside = {k[len(prefixes[0]):]: v for k, v in state.items() if k.startswith(prefixes[0]) and torch.is_tensor(v)}
    return {k: v.detach().to(torch.float32).contiguous() for k, v in inside.items()
            if v.is_floating_point() and k not in BUFFERS}


def schedules(levels):
    """beta_s of every schedule, s = 0..levels-1, as emulator/diffusion/schedule.cpp has them."""
    f = [math.cos((s / levels + 0.008) / 1.008 * math.pi / 2) ** 2 for s in range(levels + 1)]
    first, last = 1e-4 * 500 / levels, 2e-2 * 500 / levels
    return {"cosine": [min(1 - after / now, 0.999) for now, after in zip(f, f[1:])],
            "linear": [first + (last - first) * s / max(1, levels - 1) for s in range(levels)]}


def diffusion_of(path, state):
    """(levels, schedule) of the table of betas in a checkpoint; (None, None) without one."""
    tables = [v for k, v in state.items() if k == "betas" or k.endswith(".betas")]
    if not tables:
        return None, None
    if any(table.dim() != 1 or table.shape != tables[0].shape for table in tables):
        raise CheckpointError(f"{path}: betas of shape {', '.join(str(list(t.shape)) for t in tables)}, wanted is one vector")
    betas = tables[0].double().tolist()
    for name, wanted in schedules(len(betas)).items():
        if all(math.isclose(a, b, **BETA_TOLERANCE) for a, b in zip(betas, wanted)):
            return len(betas), name
    raise CheckpointError(f"{path}: its {len(betas)} betas, {betas[0]:.3g} to {betas[-1]:.3g}, are those of no known schedule "
                          "(cosine, linear): sampling with another one would be wrong")


def agreed(name, *sources):
    """The value that all sources (what says it, value or None) agree on; None if none says anything."""
    said = [(who, value) for who, value in sources if value is not None]
    for who, value in said[1:]:
        if value != said[0][1]:
            raise CheckpointError(f"{name}: {value} by {who}, {said[0][1]} by {said[0][0]}")
    return said[0][1] if said else None


def choice(arguments, name):
    value = getattr(arguments, name)
    return DEFAULTS[name] if value is None else value


def agree_with_export(config, arguments):
    """Refuses options that contradict the configuration in an exported file."""
    network, diffusion = config.get("network") or {}, config.get("diffusion") or {}
    stored = {"field_std": config.get("field_std"), "image": config.get("image"), "levels": diffusion.get("levels"),
              "schedule": diffusion.get("schedule"), "prediction": diffusion.get("prediction"),
              "softmax": (network.get("attention") or {}).get("softmax"),
              "lag_window": (network.get("lag") or {}).get("window"), "forcing_wavenumber": network.get("forcing_wavenumber"),
              "frame_interval": config.get("frame_interval"),
              "trained_past": config.get("trained_past", "noised")}
    for name, value in stored.items():
        agreed(name, ("the file", value), (f"--{name.replace('_', '-')}", getattr(arguments, name)))


def frames_alone(kind, channels_out):
    """Input channels of networks of a kind that see nothing but frames, and estimate `channels_out` channels."""
    frames_in, frames_out = {"gaussian": (1, [1]), "thermalizer": (1, [1]), "acdm": (2, [1, 2]), "sns": (3, [2])}[kind]
    return [channels_out // frames * frames_in for frames in frames_out]


def sees_force(kind, channels_in, channels_out):
    """Whether one of the input channels shows the flow's force, and not a field: `channels_out` is a multiple of the fields."""
    of_frames = frames_alone(kind, channels_out)
    return channels_in not in of_frames and channels_in - 1 in of_frames


def sees_frames_whitened(kind, channels_in, channels_out):
    """Whether it sees each frame twice, with or without the force. One field, twice, looks like a field and the force."""
    twice = [2 * f for f in frames_alone(kind, channels_out)]
    return kind != "gaussian" and not sees_force(kind, channels_in, channels_out) and \
        channels_in not in frames_alone(kind, channels_out) and (channels_in in twice or channels_in - 1 in twice)


def infer(state, arguments, table=(None, None)):
    """The configuration that a network with these tensors has; table: diffusion_of() its checkpoint."""
    from sns_networks import NoiseHead

    def shape(name):
        if name not in state:
            raise CheckpointError(f"not a network of this family: missing {name}")
        return tuple(state[name].shape)

    def given(name, why):
        value = getattr(arguments, name)
        if value is None:
            raise CheckpointError(f"give --{name.replace('_', '-')}: {why}")
        return value

    heads = [h for h in ("regressor_block", "regressor_block_1", "regressor_block_2") if f"{h}.conv1.weight" in state]
    kind = {0: "acdm" if "third_mlp1.weight" in state else "gaussian", 1: "thermalizer", 2: "sns"}[len(heads)]
    hidden, channels_in = shape("image_proj.weight")[:2]
    multipliers, blocks, attended, width = [], 0, [], hidden
    numbers = sorted({int(m[1]) for m in (re.match(r"down\.(\d+)\.", name) for name in state) if m})
    fresh = True
    for n in numbers:
        if f"down.{n}.conv.weight" in state:
            fresh = True
            continue
        out = shape(f"down.{n}.res.conv1.weight")[0]
        if fresh:
            multipliers.append(out // width)
        blocks += len(multipliers) == 1
        if f"down.{n}.attn.projection.weight" in state and len(multipliers) - 1 not in attended:
            attended.append(len(multipliers) - 1)
        width, fresh = out, False
    network = {"hidden": hidden, "multipliers": multipliers, "blocks": blocks}
    shrink = 2 ** (len(multipliers) - 1)
    image, classes = None, None
    if heads:
        classes = shape(f"{heads[0]}.linear2.weight")[0]
        features, kept = shape(f"{heads[0]}.linear1.weight")[1], shape(f"{heads[0]}.conv2.weight")[0]
        points = features // kept
        image = math.isqrt(points) * shrink
        if kept != NoiseHead.channels(4096, points):
            network["head_features"] = features
    image = agreed("image", ("the network", image), ("--image", arguments.image))
    if image is None:
        given("image", "the points along one side of a frame do not follow from this network's shapes")
    if image < shrink or image % shrink:
        raise CheckpointError(f"--image {image}: this network halves its grid to a {shrink}th, which takes a multiple of {shrink} points")
    frames = {"gaussian": 1, "thermalizer": 1, "acdm": 2, "sns": 3}[kind]
    if sees_frames_whitened(kind, channels_in, shape("final.weight")[0]):
        raise CheckpointError("this network sees its frames whitened (network.whitened), by numbers that no tensor tells: convert a "
                              "file that `sns export` wrote")
    channels_in -= sees_force(kind, channels_in, shape("final.weight")[0])
    if channels_in % frames:
        raise CheckpointError(f"{kind} takes {frames} frames; {channels_in} input channels are not a multiple of it")
    if shape("image_proj.weight")[1] > channels_in:
        network["forcing_wavenumber"] = given("forcing_wavenumber",
                                              "this network sees the flow's force, whose number of periods no tensor tells" +
                                              (", or its one field whitened, too: then convert what `sns export` wrote"
                                               if kind == "thermalizer" and channels_in == 1 else ""))
    elif arguments.forcing_wavenumber is not None:
        raise CheckpointError("--forcing-wavenumber says nothing to a network that does not see the force")
    if kind == "sns":
        network["embedding"] = shape("first_mlp2.weight")[0]
        if "third_mlp1.weight" in state:
            network["lag"] = {"window": given("lag_window", "frames that the lag was drawn from (the paper: 100)"),
                              "embedding": shape("third_mlp1.weight")[0]}
    if kind == "acdm":
        network["embedding"] = shape("third_mlp1.weight")[0]
        network["predicts"] = "both" if shape("final.weight")[0] == channels_in else "present"
        if network["predicts"] == "present" and channels_in % 4 == 0 and not isinstance(arguments.field_std, list):
            print(f"convert_checkpoint: taken for the network of {channels_in // 2} fields that estimates the present frame's noise alone; one of "
                  f"{channels_in // 4} that estimates both and sees them whitened looks the same: convert its export", file=sys.stderr)
    network["attention"] = {"middle": "middle.attn.projection.weight" in state, "levels": attended}
    if network["attention"]["middle"] or attended:
        network["attention"]["softmax"] = choice(arguments, "softmax")
    unused = [] if "softmax" in network["attention"] else ["softmax"]
    unused += [] if "lag" in network else ["lag_window"]
    unused += ["levels", "schedule", "prediction"] if kind == "gaussian" else []
    for name in unused:
        if getattr(arguments, name) is not None:
            raise CheckpointError(f"--{name.replace('_', '-')} says nothing to this network, which is of kind {kind}" +
                                  {"softmax": " and has no attention", "lag_window": " and knows no lag"}.get(name, ""))
    config = {"kind": kind, "network": network}
    if kind != "gaussian":
        levels = agreed("levels", ("the network's heads", classes), ("the table of betas", table[0]),
                        ("--levels", arguments.levels))
        if levels is None:
            given("levels", "diffusion levels do not follow from this network's shapes (the paper: 200)")
        schedule = agreed("schedule", ("the table of betas", table[1]), ("--schedule", arguments.schedule))
        schedule = schedule or ("linear" if kind == "acdm" else "cosine")
        config["diffusion"] = {"levels": levels, "schedule": schedule, "prediction": choice(arguments, "prediction")}
    config |= {"field_std": given("field_std", "physical fields are divided by it (the paper: 4.44 for Kolmogorov flow)"),
               "field_channels": channels_in // frames, "image": image, "frame_interval": choice(arguments, "frame_interval"),
               "data_hash": ""}
    stds = config["field_std"] if isinstance(config["field_std"], list) else [config["field_std"]]
    if len(stds) not in (1, config["field_channels"]):
        raise CheckpointError(f"--field-std has {len(stds)} values for {config['field_channels']} fields; give one for "
                              "all or one for each")
    if config["frame_interval"] < 0:
        raise CheckpointError("--frame-interval is a time: 0 (unknown) or more")
    if choice(arguments, "trained_past") != DEFAULTS["trained_past"]:
        if kind != "sns":
            raise CheckpointError(f"--trained-past says nothing to a network of kind {kind}")
        config["trained_past"] = arguments.trained_past
    return config


def check(config, state):
    from sns_networks import Network

    strange = [name for name, values in state.items() if not values.isfinite().all()]
    if strange:
        raise CheckpointError(f"{strange[0]} holds values that are not finite" + (f", and {len(strange) - 1} more" if strange[1:] else ""))
    try:
        network = Network(config)
        network.load_state_dict(state, strict=False)
    except (RuntimeError, ValueError) as error:
        raise CheckpointError("not a network of this family: " + " ".join(str(error).split())) from None
    missing, unexpected = network.load_state_dict(state, strict=False)
    wrong = [f"missing {name}" for name in missing] + [f"unexpected {name}" for name in unexpected]
    if wrong:
        raise CheckpointError("not a network of this family: " + ", ".join(wrong[:4]) + (" ..." if wrong[4:] else ""))
    return sum(p.numel() for p in network.parameters())


def to_yaml(value):
    """One value in YAML's flow style, which JSON is but for the wish for short lines."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {to_yaml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_yaml, value)) + "]"
    return json.dumps(value) if not isinstance(value, str) or not value.isidentifier() else value


def write(folder, config, raw, ema, sources):
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"# Converted weights: {config['kind']}", ""]
    lines += [f"- {what}: `{path.name}`, SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}" for what, path in sources]
    if ema is None:
        lines.append("- No moving average was given: `ema.safetensors` repeats `model.safetensors`.")
    temporary = {name: folder / f".{name}.tmp" for name in ("model.safetensors", "ema.safetensors", "model_card.md", "config.yaml")}
    save_file(raw, temporary["model.safetensors"])
    save_file(ema if ema is not None else raw, temporary["ema.safetensors"])
    temporary["model_card.md"].write_text("\n".join(lines) + "\n")
    temporary["config.yaml"].write_text("".join(f"{key}: {to_yaml(value)}\n" for key, value in config.items()))
    # Nothing loads a folder without config.yaml: whenever this ends, the folder is the old one, none, or the new one.
    for outdated in ("config.yaml", "SHA256SUMS"):
        (folder / outdated).unlink(missing_ok=True)
    for name, file in temporary.items():
        file.replace(folder / name)


def numbers(text):
    values = [float(v) for v in text.split(",")]
    if not all(v > 0 and math.isfinite(v) for v in values):
        raise argparse.ArgumentTypeError("must be positive numbers")
    return values if len(values) > 1 else values[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, help="folder to make")
    parser.add_argument("--ema", type=pathlib.Path, help="checkpoint of the moving average")
    parser.add_argument("--field-std", type=numbers, help="one number, or one per field: 7.6e-6,3.0e-7")
    parser.add_argument("--image", type=int, help="points along one side of a frame")
    parser.add_argument("--levels", type=int, help="diffusion levels")
    parser.add_argument("--lag-window", type=int, help="frames from which a lagged SNS draws its lag")
    parser.add_argument("--forcing-wavenumber", type=int, help="periods of the flow's force, for a network that sees it")
    parser.add_argument("--schedule", choices=("cosine", "linear"), help="default: linear for acdm, cosine otherwise")
    parser.add_argument("--prediction", choices=("eps", "scaled_eps", "v"),
                        help="how the network's output is read; default: eps")
    parser.add_argument("--softmax", choices=("queries", "keys"),
                        help="axis of the attention's softmax; default: queries, the reference implementation's")
    parser.add_argument("--trained-past", choices=("noised", "clean", "mixed"),
                        help="SNS: past frames that it was trained beside; default: noised, as the paper's")
    parser.add_argument("--frame-interval", type=float, help="time between frames; default: 0, unknown")
    parser.add_argument("--trust-pickle", action="store_true", help="run the code that a pickle may contain")
    parser.add_argument("--overwrite", action="store_true")
    arguments = parser.parse_args()
    try:
        if arguments.output.exists() and not arguments.overwrite:
            raise CheckpointError(f"{arguments.output}: exists; give --overwrite to replace it")
        state, averaged, config = read(arguments.checkpoint, arguments.trust_pickle)
        raw = strip(arguments.checkpoint, state)
        table = diffusion_of(arguments.checkpoint, state)
        if config:
            agree_with_export(config, arguments)
        else:
            config = infer(raw, arguments, table)
        parameters = check(config, raw)
        sources, ema, origin = [("checkpoint", arguments.checkpoint)], None, arguments.checkpoint
        if arguments.ema:
            if averaged is not None:
                print(f"{arguments.checkpoint}: the moving average in it is left for that of {arguments.ema}", file=sys.stderr)
            network, average, _ = read(arguments.ema, arguments.trust_pickle)
            averaged, origin = network if average is None else average, arguments.ema
        if averaged is not None:
            ema = strip(origin, averaged)
            for name, *values in zip(("levels", "schedule"), table, diffusion_of(origin, averaged)):
                agreed(name, *zip(("the checkpoint's betas", "the moving average's betas"), values))
            check(config, ema)
            sources.append(("moving average", origin))
        write(arguments.output, config, raw, ema, sources)
    except ImportError as error:
        print(f"convert_checkpoint: needs PyTorch and safetensors in this Python ({error})", file=sys.stderr)
        return 1
    except (CheckpointError, OSError) as error:
        print(f"convert_checkpoint: {error}", file=sys.stderr)
        return 1
    print(f"{config['kind']}: {parameters} parameters, {config['image']} x {config['image']} points, "
          f"{config['field_channels']} field(s); written to {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
