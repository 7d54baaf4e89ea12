"""The suite's networks in plain PyTorch: load what `sns export` writes, without any of the suite's C++.

    net, config = load("sns.safetensors")
    noise, past, present = net(torch.cat([long, x_past, x_present], 1) / field_std)     # kind sns

Inputs and outputs are in network units (physical units / config["field_std"]), [B, channels, image, image], fields of
one frame side by side, frames in the order (long, past, present); the whitened channels and the channel of the force,
where a network has them (network.whitened, network.forcing_wavenumber), are added here. Of a network in bfloat16 that
sees frames whitened the input is float32 all the same: a frame that is rounded to eight bits has noise at all scales.
What a call returns depends on config["kind"]:

    gaussian     net(x)          residual: the next frame is x + net(x)
    sns          net(x3, lag)    (noise of past and present, logits of the past level, logits of the present level);
                                 `lag` only for networks with a lag embedding. With diffusion.prediction: scaled_eps the
                                 first is the noise times the standard deviation sigma_s of its level, with v it is
                                 v = sqrt(1 - sigma_s^2) noise - sigma_s clean
    thermalizer  net(x)          (noise, logits of the level)
    acdm         net(x2, s)      noise of (past, present), or of the present alone (network.predicts); s [B]: level

Parameter names are those of the reference implementation of arXiv 2603.17750, so that state dicts go both ways.
"""
import json
import math

import torch
from torch import nn
from torch.nn.functional import gelu, softmax


def periodic(channels_in, channels_out, stride=1):
    return nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, padding_mode="circular")


def whitening_filter(deviations, channels, n):
    """[channels, n, n/2 + 1]: 1 / the standard deviation of each mode, `deviations` being those of each field's shells."""
    shell = torch.hypot(torch.fft.fftfreq(n, 1 / n)[:, None], torch.fft.rfftfreq(n, 1 / n)[None]).round().long()
    shells = int(n / 2 * 1.4143) + 2
    if not deviations or len(deviations) % shells or channels % (len(deviations) // shells):
        raise ValueError(f"whitening has {len(deviations or [])} numbers; a network that sees frames of {n} points whitened has {shells} "
                         "for each field")
    by_field = torch.tensor(deviations, dtype=torch.float64).view(-1, shells)
    return (1 / by_field[:, shell]).float().repeat(channels // len(by_field), 1, 1)


class Residual(nn.Module):
    """Residual block; `embeddings`: names and widths of the vectors that are added after each convolution."""

    def __init__(self, channels_in, channels_out, embeddings):
        super().__init__()
        self.conv1, self.conv2 = periodic(channels_in, channels_out), periodic(channels_out, channels_out)
        if channels_in != channels_out:
            self.shortcut = nn.Conv2d(channels_in, channels_out, 1)
        self.names = list(embeddings)
        for name, width in embeddings.items():
            setattr(self, f"{name}_dense1", nn.Linear(width, channels_out))
            setattr(self, f"{name}_dense2", nn.Linear(width, channels_out))

    def forward(self, x, e):
        h = x
        for k in "12":
            h = getattr(self, f"conv{k}")(gelu(h))
            for name in self.names:
                h = gelu(h + getattr(self, f"{name}_dense{k}")(e[name])[:, :, None, None])
        return h + (self.shortcut(x) if hasattr(self, "shortcut") else x)


class Attention(nn.Module):
    """One head over all points. The reference takes the softmax over queries; `keys` is the textbook form."""

    def __init__(self, channels, over):
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)  # the reference owns it and never uses it
        self.projection, self.output = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        self.axis = {"queries": 1, "keys": 2}[over]

    def forward(self, x):
        points = x.flatten(2).transpose(1, 2)
        q, k, v = self.projection(points).chunk(3, -1)
        weights = softmax(q @ k.transpose(1, 2) / math.sqrt(x.shape[1]), self.axis)
        return (self.output(weights @ v) + points).transpose(1, 2).reshape(x.shape)


class Stage(nn.Module):
    def __init__(self, channels_in, channels_out, embeddings, attention=None):
        super().__init__()
        self.res = Residual(channels_in, channels_out, embeddings)
        self.attn = Attention(channels_out, attention) if attention else None

    def forward(self, x, e):
        y = self.res(x, e)
        return self.attn(y) if self.attn else y


class Middle(nn.Module):
    def __init__(self, channels, embeddings, attention=None):
        super().__init__()
        self.res1 = Residual(channels, channels, embeddings)
        self.attn = Attention(channels, attention) if attention else None
        self.res2 = Residual(channels, channels, embeddings)

    def forward(self, x, e):
        y = self.res1(x, e)
        return self.res2(self.attn(y) if self.attn else y, e)


class Resample(nn.Module):
    def __init__(self, conv):
        super().__init__()
        self.conv = conv

    def forward(self, x, e):
        return self.conv(x)


class NoiseHead(nn.Module):
    """Logits of the noise level from the bottleneck of `points` x `points`."""

    def __init__(self, channels, points, levels, features):
        super().__init__()
        kept = self.channels(features, points**2)
        self.conv1, self.conv2 = periodic(channels, channels), nn.Conv2d(channels, kept, 1)
        self.linear1, self.linear2 = nn.Linear(kept * points**2, levels), nn.Linear(levels, levels)

    @staticmethod
    def channels(features, points):
        """Channels at each of `points` points, for about `features` numbers in all."""
        return max(1, math.floor(features / points + 0.5))

    def forward(self, x):
        h = self.conv2(gelu(self.conv1(gelu(x)))).flatten(1)
        return self.linear2(gelu(self.linear1(h)))


def sinusoidal(values, width):
    k = torch.arange(width // 2, device=values.device)
    angles = values[:, None].float() * torch.exp(-math.log(10000) * k / (width // 2 - 1))
    return torch.cat([angles.sin(), angles.cos()], 1)


class Network(nn.Module):
    """The network of a model's configuration: the keys of its config.yaml. Of those of `network` and `diffusion`, what
    is left out has the default that `sns` gives it."""

    def __init__(self, config):
        super().__init__()
        kind, fields = config["kind"], config["field_channels"]
        net = {"hidden": 64, "multipliers": [2, 2, 2], "blocks": 2, "head_features": 4096} | (config.get("network") or {})
        levels = (config.get("diffusion") or {}).get("levels", 200 if kind == "acdm" else 1000)
        frames_in, frames_out, heads = {"gaussian": (1, 1, []), "thermalizer": (1, 1, ["regressor_block"]),
                                        "acdm": (2, 2, []),
                                        "sns": (3, 2, ["regressor_block_1", "regressor_block_2"])}[kind]
        multipliers, blocks, c = net["multipliers"], net["blocks"], net["hidden"]
        if net.get("predicts") == "present":
            frames_out = 1
        attention = net.get("attention") or {}
        over = attention.get("softmax", "keys")

        def attends(level):
            return over if level in (attention.get("levels") or []) else None

        everywhere, decoder = {}, {}
        if kind == "acdm":
            everywhere = {"third": net.get("embedding") or 512}
        elif net.get("lag") is not None:
            everywhere = {"third": net["lag"].get("embedding", 512)}
        if kind == "sns":
            width = net.get("embedding") or levels
            decoder = {"first": width, "second": width}
            for name in decoder:
                setattr(self, f"{name}_mlp1", nn.Linear(levels, width))
                setattr(self, f"{name}_mlp2", nn.Linear(width, width))
        for name, width in everywhere.items():
            setattr(self, f"{name}_mlp1", nn.Linear(width, width))
            setattr(self, f"{name}_mlp2", nn.Linear(width, width))
            self.sinus_width = width
        decoder |= everywhere

        periods, n, curl = net.get("forcing_wavenumber"), config["image"], None
        if periods is not None:  # the curl of the force sin(k y) at unit root mean square
            y = 2 * math.pi / n * torch.arange(n, dtype=torch.float64)
            curl = (-math.sqrt(2) * torch.cos(periods * y)).float().expand(1, 1, n, n)
        self.register_buffer("forcing", curl, persistent=False)
        channels_in = frames_in * fields
        whitening = whitening_filter(config.get("whitening"), channels_in, n) if net.get("whitened") else None
        self.register_buffer("whitening", whitening, persistent=False)
        self.image_proj = periodic(channels_in * (1 if whitening is None else 2) + (periods is not None), c)
        self.down, self.up, skips = nn.ModuleList(), nn.ModuleList(), [c]
        for level, m in enumerate(multipliers):
            for b in range(blocks):
                self.down.append(Stage(c, c * m if b == 0 else c, everywhere, attends(level)))
                c = c * m if b == 0 else c
                skips.append(c)
            if level + 1 < len(multipliers):
                self.down.append(Resample(periodic(c, c, 2)))
                skips.append(c)
        self.middle = Middle(c, everywhere, over if attention.get("middle") else None)
        points = config["image"] >> (len(multipliers) - 1)
        self.heads = heads
        for name in heads:
            setattr(self, name, NoiseHead(c, points, levels, net["head_features"]))
        for level in reversed(range(len(multipliers))):
            for width in [c] * blocks + [c // multipliers[level]]:
                self.up.append(Stage(c + skips.pop(), width, decoder, attends(level)))
                c = width
            if level > 0:
                self.up.append(Resample(nn.ConvTranspose2d(c, c, 4, 2, 1)))
        self.final = periodic(c, frames_out * fields)

    def embed(self, name, x):
        return gelu(getattr(self, f"{name}_mlp2")(gelu(getattr(self, f"{name}_mlp1")(x))))

    def forward(self, x, condition=None):
        e = {} if condition is None else {"third": self.embed("third", sinusoidal(condition, self.sinus_width).to(self.image_proj.weight.dtype))}
        seen = [x]
        if self.whitening is not None:
            seen.append(torch.asinh(torch.fft.irfft2(torch.fft.rfft2(x.float()) * self.whitening.float(), x.shape[-2:])).to(x.dtype))
        if self.forcing is not None:
            seen.append(self.forcing.to(x.dtype).expand(len(x), -1, -1, -1))
        h = self.image_proj(torch.cat(seen, 1).to(self.image_proj.weight.dtype))
        skips = [h]
        for block in self.down:
            h = block(h, e)
            skips.append(h)
        h = self.middle(h, e)
        logits = [getattr(self, name)(h) for name in self.heads]
        if len(logits) == 2:
            e |= {name: self.embed(name, softmax(z, 1)) for name, z in zip(("first", "second"), logits)}
        for block in self.up:
            h = block(torch.cat([h, skips.pop()], 1) if isinstance(block, Stage) else h, e)
        y = self.final(gelu(h))
        return (y, *logits) if logits else y


def load(file):
    """(network in eval mode, configuration) of a file that `sns export` wrote."""
    from safetensors import safe_open

    with safe_open(file, "pt") as tensors:
        config = json.loads(tensors.metadata()["sns_config"])
        weights = {name: tensors.get_tensor(name) for name in tensors.keys()}
    network = Network(config)
    network.load_state_dict(weights)
    return network.eval(), config
