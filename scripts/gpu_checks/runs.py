"""Checks of whole runs, from data sets to rollouts: each returns what was seen and fills session.numbers, or raises Failed."""

import json
import pathlib
import re

from gpu_checks.session import KOLMOGOROV, Failed


def data_keys(session):
    return session.sizes(
        [], ["datagen.trajectories=8", "datagen.frames=40", "datagen.spinup_steps=100", "datagen.trajectories_per_file=4"])


def make_data(session, folder, device):
    """Mean, std and std of differences of the vorticity in a new data set, as `sns info` prints them."""
    session.sns("datagen", KOLMOGOROV, *data_keys(session), f"run.output={session.work / folder}", f"run.device={device}",
                "run.threads=auto")
    session.sns("verify", session.work / folder / "dataset")
    numbers = re.search(r"mean (\S+), std (\S+), std of differences (\S+) ",
                        session.sns("info", session.work / folder / "dataset"))
    return dict(zip(("mean", "std", "delta"), map(float, numbers.groups())))


def check_data_set(session):
    session.numbers.update(make_data(session, "data", session.device))
    return f"verified; vorticity std {session.numbers['std']:.4g}"


def check_statistics(session):
    """Two data sets of the same trajectories: the flows part within the spin-up, their statistics may not."""
    tolerance = 0.05  # five of the standard errors that 64 trajectories of 32 time units leave
    sets = session.numbers
    sets["device"] = make_data(session, "data", session.device)
    sets["cpu"] = make_data(session, "data-cpu", "cpu")
    ratios = sets["ratios"] = {name: sets["device"][name] / sets["cpu"][name] for name in ("std", "delta")}
    text = f"{session.device} / CPU: " + ", ".join(f"{name} {ratio:.4f}" for name, ratio in ratios.items())
    if any(abs(ratio - 1) > tolerance for ratio in ratios.values()):
        raise Failed(text)
    return text


def train(session, folder, steps, *keys):
    """Losses of a training of the surrogate, and its rate in images per second."""
    output = session.sns("train", KOLMOGOROV, *data_keys(session), *session.keys(folder), "models.gaussian.weights=null",
                         f"models.gaussian.training.steps={steps}", "models.gaussian.training.schedule.name=constant",
                         *(f"models.gaussian.training.{key}" for key in keys), "--model", "gaussian", "--resume", "never")
    lines = (session.work / folder / "models/gaussian/metrics.jsonl").read_text().splitlines()
    losses = [entry["loss"] for entry in map(json.loads, lines) if "loss" in entry]
    rate = re.search(r"(\d+) images/s", output)
    return losses, float(rate.group(1)) if rate else 0.0


def end_of(losses):
    last = losses[-max(1, len(losses) // 5):]
    return sum(last) / len(last)


def check_training(session):
    steps = session.sizes(300, 10)
    if not (session.work / "data/dataset").exists():
        make_data(session, "data", session.device)
    ends = {}
    for precision in session.sizes(("float32", "tf32", "bfloat16"), ("float32", "bfloat16")):  # CPUs have no TF32
        losses, rate = train(session, "data", steps, f"precision={precision}")
        ends[precision] = end_of(losses)
        session.numbers[precision] = {"first_loss": losses[0], "last_loss": ends[precision], "images_per_second": rate}
        if ends[precision] >= losses[0]:
            raise Failed(f"{precision}: the loss does not fall ({losses[0]:.4g} to {ends[precision]:.4g})")
    text = ", ".join(f"{precision} {end:.4g}" for precision, end in ends.items())
    if max(ends.values()) > 1.1 * min(ends.values()):
        raise Failed(f"losses at the end differ: {text}")
    return f"losses at the end: {text}"


def check_streamed_training(session):
    keys = ["data=stream", "stream.members=4", "stream.frames=16", "stream.validation_members=0"]
    one, two = (train(session, folder, session.sizes(40, 6), *keys)[0] for folder in ("stream-1", "stream-2"))
    session.numbers.update(first_losses=[one[0], two[0]], last_losses=[end_of(one), end_of(two)], identical=one == two)
    # Same weights and frames, but convolutions are chosen by their speed, which differs from run to run, and some transform
    # first (Winograd): as far apart as networks on two devices may be (kDeviceForward of tests/support/gpu_tolerances.hpp).
    if abs(one[0] / two[0] - 1) > 1e-4:
        raise Failed(f"first losses differ: {one[0]!r} and {two[0]!r}")
    if abs(end_of(one) / end_of(two) - 1) > 0.05:
        raise Failed(f"last losses differ: {end_of(one):.6g} and {end_of(two):.6g}")
    if one == two:
        return "two curves: identical"
    return f"two curves: {'equal at first, then' if one[0] == two[0] else 'from the first loss on'} apart by rounding"


def roll_out(session, folder, steps, *keys):
    return session.sns("reproduce", KOLMOGOROV, *session.keys(folder), f"rollout.steps={steps}", "rollout.members=2",
                       "rollout.floor_members=2", *keys, "--until", "evaluate")


def check_rollout(session):
    steps = session.sizes(700, 20)
    roll_out(session, "rollout", steps)
    metrics = json.loads((session.work / "rollout/evaluation/metrics.json").read_text())
    stable = session.numbers
    stable.update((method["name"], float(method["results"]["stable_fraction/all"]["value"])) for method in metrics["methods"])
    if stable["sns_floor2"] != 1:
        raise Failed(f"refined by SNS, {stable['sns_floor2']:.0%} of the members stay stable")
    if session.on_gpu and stable["gaussian"] != 0:
        raise Failed("the surrogate alone, which leaves the attractor on the CPU, stays on it here")
    return f"{steps} steps: stable fraction {stable['gaussian']:g} alone, {stable['sns_floor2']:g} refined"


def check_rollout_precisions(session):
    """Refined rollouts with networks in other precisions, one member at a time, and in the ways that GPUs have."""
    both = ("sns", "sns_floor2")  # in one process: the second method meets the graphs of the first
    ways = [("float32", "rollout.precision=float32", both[1:]), ("bfloat16", "rollout.precision=bfloat16", both[1:]),
            ("deterministic", "rollout.deterministic=true", both[1:])]
    if session.on_gpu:
        ways += [("tf32", "rollout.precision=tf32", both[1:]),
                 ("graphs", "rollout.graphs=true", both), ("channels last", "rollout.channels_last=true", both[1:])]
    for name, key, methods in ways:
        if name == "bfloat16" and not session.on_gpu and "avx512_bf16" not in cpu_flags():
            continue
        output = session.sns("rollout", KOLMOGOROV, *session.keys("precisions-" + key),
                             f"rollout.steps={session.sizes(100, 10)}", "rollout.members=2", "rollout.floor_members=1", key,
                             *(f"--method={method}" for method in methods))
        for method in methods:
            rate, failed = re.search(rf"(?m)^{method}: (\S+) steps/s, (\d+) of", output).groups()
            if failed != "0":
                raise Failed(f"{name}: {failed} of 2 members failed in {method}")
            session.numbers[name if len(methods) == 1 else f"{name} {method}"] = float(rate)
    return "steps/s: " + ", ".join(f"{name} {rate:g}" for name, rate in session.numbers.items())


def cpu_flags():
    try:
        return pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
