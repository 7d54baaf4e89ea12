"""What the checks of scripts/gpu_check share: how they end, and how they run programs."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]  # of a checkout or a bundle
KOLMOGOROV, JET = ROOT / "yaml/kolmogorov/quickstart.yaml", ROOT / "yaml/qg2layer/jet_reduced.yaml"


class Failed(Exception):
    """A check that did not show what it must. output: of the command that failed, if one did."""

    def __init__(self, why, output=""):
        super().__init__(why)
        self.output = output


class TookTooLong(Failed):
    """A check that had not ended at its deadline."""


class Skipped(Exception):
    """A check that this machine cannot make."""


class Ended(BaseException):
    """A signal told this program to end; no check may take that for a failure of its own."""


def end_group(process):
    """Kills a process that leads a group, and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class Session:
    """Programs, device, sizes and the folder that the checks share, and what the running check has found so far."""

    def __init__(self, arguments, work, log):
        self.programs, self.device = arguments.programs, arguments.device
        self.on_gpu = arguments.device != "cpu"
        self.work, self.log = work, log
        self.ended = 0  # number of the signal that told the program to end
        self.begin(0.0)

    def begin(self, deadline):
        """Forgets the last check. deadline: of the next, by the monotonic clock."""
        self.deadline, self.numbers, self.aim_met = deadline, {}, None

    def judge(self, share, aim):
        """Text that says whether a share reaches its aim; the row says so, too."""
        self.aim_met = share >= aim
        return f"aim {'met' if self.aim_met else 'missed'}: {aim:.0%}"

    def sizes(self, gpu, cpu):
        return gpu if self.on_gpu else cpu

    def need_device(self):
        if not self.on_gpu:
            raise Skipped("needs a device")

    def visible_devices(self):
        """The environment in which a test program, which takes the first CUDA device that it sees, takes the chosen one."""
        if not self.on_gpu:
            return {"CUDA_VISIBLE_DEVICES": ""}
        _, _, number = self.device.partition(":")
        listed = os.environ.get("CUDA_VISIBLE_DEVICES")
        if not number or listed is None:
            return {"CUDA_VISIBLE_DEVICES": number} if number else {}
        devices = [device.strip() for device in listed.split(",") if device.strip()]
        if int(number) >= len(devices):
            raise Failed(f"{self.device} is not among the devices of CUDA_VISIBLE_DEVICES={listed}")
        return {"CUDA_VISIBLE_DEVICES": devices[int(number)]}

    def test_program(self, name, *arguments, allowed=(0,), variables=None, under=()):
        """Output of a test program on the chosen device. under: a command that runs it."""
        return self.run(*under, self.programs / name, *arguments, allowed=allowed,
                        variables={**self.visible_devices(), **(variables or {})})

    def run(self, *command, allowed=(0,), variables=None):
        """Output of a command, with further environment variables. Failed where it ends otherwise than allowed, or not in
        time."""
        command = [str(part) for part in command]
        self.log.write(f"$ {' '.join(command)}\n")
        self.log.flush()
        environment = {**os.environ, "OMP_WAIT_POLICY": "passive", **(variables or {})}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.work,
                                   env=environment, start_new_session=True)
        try:
            output, _ = process.communicate(timeout=max(0.1, self.deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            end_group(process)
            output, _ = process.communicate()
            self.log.write(output)
            raise TookTooLong(f"took too long: {' '.join(command[:3])}", output) from None
        except Ended:
            end_group(process)
            process.wait()  # or it writes on into the folder that is removed
            raise
        self.log.write(output)
        if process.returncode not in allowed:
            lines = [line for line in output.strip().splitlines() if line.strip()]
            raise Failed(f"exit code {process.returncode}: {lines[-1] if lines else 'no output'}", output)
        return output

    def sns(self, verb, *arguments):
        return self.run(self.programs / "sns", verb, *arguments)

    def keys(self, folder):
        """Overrides that every run of an experiment has."""
        return [f"run.output={self.work / folder}", f"run.device={self.device}"]
