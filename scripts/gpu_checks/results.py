"""Runs one check after the other and keeps what they showed, as JSON and as a table."""

import datetime
import json
import platform
import signal
import subprocess
import time

from gpu_checks.catalogue import CHECKS
from gpu_checks.session import Ended, Failed, Skipped, TookTooLong


def not_reached(name, why="the time budget was spent"):
    return {"check": name, "status": "not reached", "seen": why, "numbers": {}, "seconds": 0.0}


def run_check(session, name, end):
    """One row of the results. end: when the whole must be done, by the monotonic clock."""
    function, limit, _ = CHECKS[name]
    start = time.monotonic()
    if start >= end:
        return not_reached(name)
    session.begin(min(start + limit, end))
    session.log.write(f"\n=== {name}\n")
    status = "passed"
    try:
        seen = function(session)
    except Skipped as why:
        status, seen = "skipped", str(why)
    except TookTooLong as why:  # the check's fault only where it had all of its time
        own = session.deadline < end
        status, seen = ("failed", str(why)) if own else ("not reached", f"the time budget ended it: {why}")
    except Failed as why:
        status, seen = "failed", str(why)
    except Ended:
        status, seen = "not reached", f"ended by {signal.Signals(session.ended).name}"
    except Exception as error:  # a check that cannot read a result must not end the others
        status, seen = "failed", f"{type(error).__name__}: {error}"
    session.log.write(f"--- {status}: {seen}\n")
    row = {"check": name, "status": status, "seen": seen, "numbers": session.numbers,
           "seconds": round(time.monotonic() - start, 2)}
    return row if session.aim_met is None else {**row, "aim_met": session.aim_met}


def flat(numbers, prefix=""):
    """"a.b 1.5, c x" of {"a": {"b": 1.5}, "c": "x"}."""
    parts = []
    for name, value in numbers.items():
        if isinstance(value, dict):
            parts.append(flat(value, f"{prefix}{name}."))
        else:
            parts.append(f"{prefix}{name} {value:.5g}" if isinstance(value, float) else f"{prefix}{name} {value}")
    return ", ".join(parts)


def told(row):
    """What was seen, and the numbers of a check that did not come to its end."""
    kept = row["status"] in ("failed", "not reached") and flat(row["numbers"])
    return f"{row['seen']} (so far: {kept})" if kept else row["seen"]


def version_of(program):
    try:
        return subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20).stdout.strip()
    except subprocess.TimeoutExpired:
        return "sns does not answer"


def verdict(rows):
    count = {status: sum(row["status"] == status for row in rows) for status in ("failed", "skipped", "not reached")}
    missed = sum(row.get("aim_met") is False for row in rows)
    parts = [f"{count['failed']} of {len(rows)} failed" if count["failed"] else "nothing failed"]
    parts += [f"{missed} missed the aim"] if missed else []
    parts += [f"{count[status]} of {len(rows)} {status}" for status in ("skipped", "not reached") if count[status]]
    return ", ".join(parts)


def as_table(report):
    lines = [f"# gpu_check on {report['device']}: {report['verdict']}",
             f"{report['date']}, {report['sns']}, {report['seconds']:.0f} s of {report['budget']:.0f}", "",
             "| check | result | seen | s |", "|---|---|---|---|"]
    lines += [f"| {row['check']} | {row['status']} | {told(row).replace('|', '/')} | {row['seconds']:.1f} |"
              for row in report["checks"]]
    return "\n".join(lines) + "\n"


class Results:
    """Files that hold at any time what has been seen; checks to come are in them as not reached."""

    def __init__(self, arguments, names, start):
        self.arguments, self.names, self.start = arguments, names, start
        self.rows, self.version = [], "sns was not asked"

    def report(self):
        rows = self.rows + [not_reached(name, "was not begun") for name in self.names[len(self.rows):]]
        facts = next((row["numbers"] for row in rows if row["check"] == "device"), {})
        return {
            "device": facts.get("nvidia-smi") or self.arguments.device, "verdict": verdict(rows),
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "sns": self.version, "python": platform.python_version(), "system": platform.platform(), "machine": facts,
            "budget": self.arguments.budget, "seconds": round(time.monotonic() - self.start, 1), "checks": rows,
        }

    def write(self):
        report = self.report()
        for name, text in (("gpu_check.json", json.dumps(report, indent=1) + "\n"), ("gpu_check.md", as_table(report))):
            part = self.arguments.out / (name + ".part")
            part.write_text(text)
            part.replace(self.arguments.out / name)  # whole at any time
        return report
