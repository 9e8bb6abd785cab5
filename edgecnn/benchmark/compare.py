"""``edgecnn-bench compare A.json B.json``: what became faster or slower, and what is noise.

A combination of model, backend and number of threads ran in bursts, of which a run keeps the fastest inference each.
What else a machine does only ever adds time, and to some bursts more than to others, so runs are judged by their good
bursts: the time that a tenth of them stay below. Its ratio, B to A, has a 95 % interval by bootstrap (Efron, 1979;
processes are drawn, then bursts of each; seeded, so that a comparison always says the same). It is called a difference
where that interval lies to one side of 1, and both this ratio and that of the fastest frames of all are further from 1
there than the floor: two runs of the same differ by a few per cent. Where the machine itself was slower in one
run, by the multiply-adds that are timed between the rounds, no more is called a difference than goes beyond that.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn import __version__
from edgecnn.benchmark.report import SCHEMA
from edgecnn.cli import fraction, guarded
from edgecnn.errors import InputError

FLOOR = 0.05
GOOD_PERCENT = 10  # of the bursts
NOISY_PERCENT = 10
RESAMPLES = 2000


@dataclass(frozen=True)
class Verdict:
    """One combination: milliseconds in both runs, their ratio B / A with its 95 % interval, and what it means."""

    name: str
    a_ms: float
    b_ms: float
    ratio: float
    low: float
    high: float
    verdict: str  # "faster", "slower", "no difference"

    @property
    def hidden(self) -> float:
        """The largest change, in percent, that the noise of these runs can hide."""
        return 100 * (max(self.high, 1 / self.low) - 1)


def main(arguments: Sequence[str]) -> int:
    """Runs the command; exit status 3 where anything became slower."""
    parser = argparse.ArgumentParser(prog="edgecnn-bench compare", description="What became faster or slower.")
    parser.add_argument("before", type=Path, metavar="A.json")
    parser.add_argument("after", type=Path, metavar="B.json")
    parser.add_argument(
        "--floor", type=fraction, default=FLOOR, help="differences of less are noise whatever the spread (%(default)s)"
    )
    options = parser.parse_args(arguments)
    return guarded("edgecnn-bench compare", lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    verdicts, remarks = compare(read_run(options.before), read_run(options.after), options.floor)
    width = max((len(v.name) for v in verdicts), default=0)
    for v in verdicts:
        interval = f"{v.ratio:.3f} ({v.low:.3f} to {v.high:.3f})"
        noisy = v.verdict == "no difference" and v.hidden > NOISY_PERCENT
        noise = f" to be seen: noise hides up to {v.hidden:.0f} %" if noisy else ""
        print(f"{v.name:<{width}}  {v.a_ms:9.3f} ms -> {v.b_ms:9.3f} ms  {interval}  {v.verdict}{noise}")
    for remark in remarks:
        print(remark)
    if not verdicts:
        raise InputError(f"{options.before} and {options.after} have no model, backend and threads in common")
    return 3 if any(v.verdict == "slower" for v in verdicts) else 0


def read_run(path: Path) -> dict[str, Any]:
    """A run that ``edgecnn-bench --json`` has written."""
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        head = {key: run.get(key) for key in ("kind", "schema", "edgecnn")}
    except (ValueError, AttributeError, RecursionError) as error:
        raise _no_run(path, error) from None
    if head["kind"] == "forecast":
        raise InputError(f"{path}: a forecast; only measurements compare")
    if head["schema"] != SCHEMA and head["edgecnn"] is not None:
        raise InputError(
            f"{path}: written by edgecnn {head['edgecnn']} in version {head['schema']} of the format, edgecnn "
            f"{__version__} reads version {SCHEMA}; measure again, or compare with the edgecnn that wrote it"
        )
    try:
        for model in run["models"]:
            for result in model["results"]:
                name = (model["model"], result["backend"], result["threads"])
                rounds = [float(ms) for start in result["rounds_ms"] for ms in start] if "error" not in result else []
                if not all(0 < ms < float("inf") for ms in rounds):
                    raise ValueError(f"{name}: times that are none")
        str(run["machine"]["cpu"]), str(run["edgecnn"])
        _best(run), list(run.get("throttled", ()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_run(path, error) from None
    return dict(run)


def _no_run(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path}: not a run that this version of 'edgecnn-bench --json' has written ({error!r}); measure again"
    )


def compare(a: dict[str, Any], b: dict[str, Any], floor: float = FLOOR) -> tuple[list[Verdict], list[str]]:
    """Verdicts on what both runs have, and remarks on what makes them hard to compare."""
    before, after = _rounds(a), _rounds(b)
    machine = _best(a) / _best(b)
    verdicts = [_judge(name, before[name], after[name], floor, machine) for name in before if name in after]
    remarks = [f"only in the first run: {name}" for name in before if name not in after]
    remarks += [f"only in the second run: {name}" for name in after if name not in before]
    if a["machine"]["cpu"] != b["machine"]["cpu"]:
        remarks.append(f"another machine: {a['machine']['cpu']} and {b['machine']['cpu']}")
    if abs(machine - 1) > floor:
        hidden = 100 * (max(machine, 1 / machine) - 1)
        remarks.append(
            f"the machine itself did {_best(a):.1f} GFLOP/s at best between the rounds of the first run, "
            f"{_best(b):.1f} in the second: what is less than {hidden:.0f} % is not told from that"
        )
    for when, run in (("first", a), ("second", b)):
        if run.get("throttled"):
            remarks.append(
                f"the {when} run was throttled ({', '.join(run['throttled'])}): not the machine's best times"
            )
    return verdicts, remarks


def _rounds(run: dict[str, Any]) -> dict[str, list[np.ndarray]]:
    """The fastest inference of each burst, by combination and process."""
    return {
        _name(model["model"], result["backend"], result["threads"]): [
            np.array(start) for start in result["rounds_ms"] if start
        ]
        for model in run["models"]
        for result in model["results"]
        if any(result.get("rounds_ms", ()))
    }


def _name(model: str, backend: str, threads: int) -> str:
    return f"{Path(model).name}, {backend}, {threads} {'thread' if threads == 1 else 'threads'}"


def _best(run: dict[str, Any]) -> float:
    """The most multiply-adds that the machine did between the rounds, in GFLOP/s; 1 where that is not known."""
    return max((sample["gflops"] for sample in run.get("samples", ()) if sample.get("gflops")), default=1.0)


def _judge(name: str, a: list[np.ndarray], b: list[np.ndarray], floor: float, machine: float) -> Verdict:
    """*machine*: how many times as much the machine itself did in the first run."""
    rng = np.random.default_rng(0)
    drawn = [np.array([_good(_draw(starts, rng)) for _ in range(RESAMPLES)]) for starts in (a, b)]
    low, high = (float(v) for v in np.percentile(drawn[1] / drawn[0], (2.5, 97.5)))
    before, after = np.concatenate(a), np.concatenate(b)
    a_ms, b_ms = _good(before), _good(after)
    ratio, of_fastest = b_ms / a_ms, float(np.min(after) / np.min(before))
    verdict = "no difference"
    if min(ratio, of_fastest) > (1 + floor) * max(machine, 1) and low > 1:
        verdict = "slower"
    elif max(ratio, of_fastest) < min(machine, 1) / (1 + floor) and high < 1:
        verdict = "faster"
    return Verdict(name, a_ms, b_ms, ratio, low, high, verdict)


def _good(bursts: np.ndarray) -> float:
    return float(np.percentile(bursts, GOOD_PERCENT))


def _draw(starts: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """As many processes, and of each as many bursts, drawn at random."""
    drawn = rng.integers(0, len(starts), len(starts))
    return np.concatenate([starts[i][rng.integers(0, len(starts[i]), len(starts[i]))] for i in drawn])
