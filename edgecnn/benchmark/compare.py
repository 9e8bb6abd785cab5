"""``edgecnn-bench compare A.json B.json``: what became faster or slower, and what is noise.

A combination of model, backend and number of threads ran in bursts, of which a run keeps the fastest inference each.
The ratio of the medians of these, B to A, has a 95 % interval by bootstrap (Efron, 1979; processes are drawn, then
bursts of each; seeded, so that a comparison always says the same). It is called a difference where that interval lies
to one side of 1, and both this ratio and that of the fastest frames, which a busy neighbour disturbs least, are further
from 1 there than the floor: two runs of the same differ by a few per cent.
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

FLOOR = 0.03
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
        print(f"{v.name:<{width}}  {v.a_ms:9.3f} ms -> {v.b_ms:9.3f} ms  {interval}  {v.verdict}")
    for remark in remarks:
        print(remark)
    if not verdicts:
        raise InputError(f"{options.before} and {options.after} have no model, backend and threads in common")
    return 3 if any(v.verdict == "slower" for v in verdicts) else 0


def read_run(path: Path) -> dict[str, Any]:
    """A run that ``edgecnn-bench --json`` has written."""
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        if run.get("kind") == "forecast":
            raise InputError(f"{path}: a forecast; only measurements compare")
        schema, wrote = run.get("schema"), run.get("edgecnn")
        if schema != SCHEMA and wrote is not None:
            raise InputError(
                f"{path}: written by edgecnn {wrote} in version {schema} of the format, edgecnn {__version__} reads "
                f"version {SCHEMA}; measure again, or compare with the edgecnn that wrote it"
            )
        for model in run["models"]:
            for result in model["results"]:
                name = (model["model"], result["backend"], result["threads"])
                rounds = [float(ms) for start in result["rounds_ms"] for ms in start] if "error" not in result else []
                if not all(0 < ms < float("inf") for ms in rounds):
                    raise ValueError(f"{name}: times that are none")
        str(run["machine"]["cpu"]), str(run["edgecnn"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path}: not a run that this version of 'edgecnn-bench --json' has written ({error!r}); measure again"
        ) from None
    return dict(run)


def compare(a: dict[str, Any], b: dict[str, Any], floor: float = FLOOR) -> tuple[list[Verdict], list[str]]:
    """Verdicts on what both runs have, and remarks on what makes them hard to compare."""
    before, after = _rounds(a), _rounds(b)
    verdicts = [_judge(name, before[name], after[name], floor) for name in before if name in after]
    remarks = [f"only in the first run: {name}" for name in before if name not in after]
    remarks += [f"only in the second run: {name}" for name in after if name not in before]
    if a["machine"]["cpu"] != b["machine"]["cpu"]:
        remarks.append(f"another machine: {a['machine']['cpu']} and {b['machine']['cpu']}")
    rates = _yardstick(a), _yardstick(b)
    if all(rates) and abs(rates[1] / rates[0] - 1) > floor:
        remarks.append(
            f"the machine itself did {100 * (rates[1] / rates[0] - 1):+.0f} % multiply-adds a second in the second run "
            f"({rates[0]:.1f} and {rates[1]:.1f} GFLOP/s between the rounds): not all of a change is the model's"
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
        f"{Path(model['model']).name}, {result['backend']}, {result['threads']} threads": [
            np.array(start) for start in result["rounds_ms"] if start
        ]
        for model in run["models"]
        for result in model["results"]
        if any(result.get("rounds_ms", ()))
    }


def _yardstick(run: dict[str, Any]) -> float:
    """The median of what the machine itself did between the rounds; 0 where that is not known."""
    rates = [sample["gflops"] for sample in run.get("samples", ()) if sample.get("gflops")]
    return float(np.median(rates)) if rates else 0.0


def _judge(name: str, a: list[np.ndarray], b: list[np.ndarray], floor: float) -> Verdict:
    rng = np.random.default_rng(0)
    medians = [np.array([np.median(_draw(starts, rng)) for _ in range(RESAMPLES)]) for starts in (a, b)]
    low, high = (float(v) for v in np.percentile(medians[1] / medians[0], (2.5, 97.5)))
    before, after = np.concatenate(a), np.concatenate(b)
    a_ms, b_ms = float(np.median(before)), float(np.median(after))
    ratio, of_fastest = b_ms / a_ms, float(np.min(after) / np.min(before))
    verdict = "no difference"
    if min(ratio, of_fastest) > 1 + floor and low > 1:
        verdict = "slower"
    elif max(ratio, of_fastest) < 1 / (1 + floor) and high < 1:
        verdict = "faster"
    return Verdict(name, a_ms, b_ms, ratio, low, high, verdict)


def _draw(starts: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """As many processes, and of each as many bursts, drawn at random."""
    drawn = rng.integers(0, len(starts), len(starts))
    return np.concatenate([starts[i][rng.integers(0, len(starts[i]), len(starts[i]))] for i in drawn])
