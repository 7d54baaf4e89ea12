"""Checks of the device, of the test programs and of speeds: each returns what was seen and fills session.numbers, or raises
Failed or Skipped."""

import json
import os
import re
import shutil

from gpu_checks.session import KOLMOGOROV, Failed, Skipped

SKIPPED_TEST = 77  # exit code of test programs that find no device
BENCH_SECONDS = 0.5  # of each figure: every bench measures the machine's rates, too
BANDWIDTH_AIM = 0.5  # of the copy bandwidth: within two times of the bound that the counted bytes give
MATMUL_AIM = 0.4  # of the bfloat16 matmul rate, in training


def check_device(session):
    facts = session.numbers
    if shutil.which("nvidia-smi"):  # first: the device's name is worth having when all else fails
        try:
            query = "--query-gpu=name,driver_version,memory.total"
            facts["nvidia-smi"] = "; ".join(session.run("nvidia-smi", query, "--format=csv,noheader").strip().splitlines())
        except Failed as why:
            facts["nvidia-smi does not answer"] = str(why)
    text = session.sns("info")
    facts.update(re.findall(r"(?m)^(cufft backend|LibTorch's CUDA|GPU|emulators) {2,}(.*)$", text))
    facts["sns"] = re.search(r"(?m)^sns +(.*)$", text).group(1)
    if not session.on_gpu:
        return "sns answers"
    for part, wanted in (("cufft backend", "loads"), ("LibTorch's CUDA", "usable")):
        if not facts.get(part, "").startswith(wanted):
            raise Failed(f"{part}: {facts.get(part, 'not there')}")
    return facts["cufft backend"]


def failing_cases(output):
    """Names of the test cases under which doctest reports errors; cases that only say something are listed there, too."""
    cases = re.split(r"(?m)^TEST CASE: +", output)[1:]
    return list(dict.fromkeys(case.splitlines()[0] for case in cases if "ERROR:" in case))


def check_gpu_test(name, **variables):
    def check(session):
        if not os.access(session.programs / name, os.X_OK):
            raise Failed(f"there is no {name} in {session.programs}")
        try:
            output = session.test_program(name, allowed=(0, SKIPPED_TEST), variables=variables)
        except Failed as why:
            cases = failing_cases(why.output)
            raise type(why)(f"{why}; failing: {', '.join(cases)}" if cases else str(why)) from None
        if "skipped: no usable GPU" in output:
            raise Failed("no usable GPU") if session.on_gpu else Skipped("needs a device (the program starts)")
        passed = re.search(r"test cases: +\d+ \| +(\d+) passed", output)
        return f"{passed.group(1)} test cases pass" if passed else "passes"
    return check


def read_errors(session, output):
    """The largest error of each precision that the test names, into the check's numbers."""
    for precision, error in re.findall(r"(float\d\d) member \d+: (\S+)", output):
        session.numbers[precision] = max(session.numbers.get(precision, 0.0), float(error))


def check_parity(session):
    session.need_device()
    try:
        read_errors(session, session.test_program("gpu_cufft", "--test-case=cuFFT and FFTW agree*"))
    except Failed as why:
        read_errors(session, why.output)
        raise
    worst = session.numbers
    if set(worst) != {"float32", "float64"}:
        raise Failed("the test names no errors")
    return ", ".join(f"{precision} within {error:.1e}" for precision, error in sorted(worst.items()))


def bench(session, *arguments):
    """Figures of `sns bench`, which become the check's numbers."""
    target = session.work / "bench.json"
    target.unlink(missing_ok=True)
    session.sns("bench", *arguments, f"run.device={session.device}", "--json", target, "--seconds",
                session.sizes(BENCH_SECONDS, 0.05))
    seen = json.loads(target.read_text())
    session.numbers.update({part: seen[part] for part in ("solver", "models", "machine")})
    return seen


def check_solver_bench(file, precision, gpu, cpu, keys=()):
    """gpu, cpu: (grid points of an axis, members) there. keys: overrides on a GPU."""
    def check(session):
        points, members = session.sizes(gpu, cpu)
        solver = bench(session, file, f"solver.grid.points={points}", f"solver.precision={precision}",
                       *session.sizes(keys, ()), "--only", "solver", "--precision", "float32", "--members", members)["solver"]
        text = f"{points}^2 x {members} {precision}: {solver['member_steps_per_second']:.4g} member-steps/s"
        share = solver["fraction_of_bandwidth"]  # none where the backend counts no bytes
        if share is None:
            return text
        return f"{text}, {share:.0%} of the copy bandwidth ({session.judge(share, BANDWIDTH_AIM)})"
    return check


def check_network_bench(*options):
    def check(session):
        if options:
            session.need_device()
        texts = []
        for row in bench(session, KOLMOGOROV, "--scale", session.sizes("paper", "smoke"), "--only", "models", "--model", "sns",
                         *options)["models"][0]["rows"]:
            share = row["fraction_of_matmul"]
            texts.append(f"{row['what']} {row['precision']} x{row['batch']}: {row['images_per_second']:.4g} images/s, "
                         f"{share:.0%} of the matmul rate")
            if session.on_gpu and (row["what"], row["precision"]) == ("training step", "bfloat16"):
                texts[-1] += f" ({session.judge(share, MATMUL_AIM)})"
        return "; ".join(texts)
    return check


def sanitizer():
    for place in (shutil.which("compute-sanitizer"), "/usr/local/cuda/bin/compute-sanitizer"):
        if place and os.access(place, os.X_OK):
            return place
    raise Skipped("compute-sanitizer is not installed")


def check_sanitizer(tool):
    def check(session):
        session.need_device()
        try:  # all processes: a bundle's programs are launchers that become the program
            session.test_program("gpu_cufft", "--test-case=every kernel in short runs", under=(
                sanitizer(), "--tool", tool, "--target-processes", "all", "--error-exitcode", 9))
        except Failed as why:
            unable = re.search(r"(?im)^=+ *(.*(?:device(?:s are| is)? not supported|unsupported device"
                               r"|no supported device).*)$", why.output)
            if unable:
                raise Skipped(unable.group(1).strip()) from None
            raise
        return "no errors in any kernel of both solvers"
    return check
