"""Fits the parameters of the forecast on ncnn's published times, and leaves each board out once to see the error.

python bench/forecast/calibrate.py [--table]

Reads published.csv and counts/ (record.py); writes edgecnn/forecast/calibration.json. With --table it prints each
forecast beside what was published. It takes a minute or two and always finds the same.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgecnn.forecast import calibration
from edgecnn.forecast.boards import BOARDS
from edgecnn.forecast.counts import Counts, read_counts
from edgecnn.forecast.timing import Parameters, milliseconds

HERE = Path(__file__).resolve().parent
START = Parameters(latency_ns=150, bandwidth=1, sync_us=30, sharpness=2.5)


class Row(NamedTuple):
    """A published time."""

    net: str
    board: str
    threads: int
    ms: float


def published() -> list[Row]:
    """The rows of published.csv for which there are a board and counts."""
    lines = [line for line in (HERE / "published.csv").read_text().splitlines() if not line.startswith("#")]
    rows = [Row(r["net"], r["board"], int(r["threads"]), float(r["ms"])) for r in csv.DictReader(lines)]
    return [row for row in rows if row.board in BOARDS and counts_file(row).exists()]


def counts_file(row: Row) -> Path:
    return HERE / "counts" / BOARDS[row.board].core / f"{row.net}.json"


def errors(rows: Sequence[Row], counts: dict[Path, Counts], parameters: Parameters) -> np.ndarray:
    """Relative errors of the forecasts, as logarithms."""
    times = [milliseconds(counts[counts_file(r)], BOARDS[r.board], r.threads, parameters) for r in rows]
    return np.log(np.array(times) / [row.ms for row in rows])


def fit(rows: Sequence[Row], counts: dict[Path, Counts], start: Parameters) -> Parameters:
    """The parameters with the least mean error. A step that helps is kept and grows, others shrink and turn."""
    names = list(asdict(start))
    best, steps = start, {name: 0.2 for name in names}
    least = float(np.abs(errors(rows, counts, best)).mean())
    while max(map(abs, steps.values())) > 0.005:
        for name in names:
            values = asdict(best)
            trial = Parameters(**{**values, name: values[name] * float(np.exp(steps[name]))})
            error = float(np.abs(errors(rows, counts, trial)).mean())
            if error < least:
                best, least, steps[name] = trial, error, steps[name] * 1.5
            else:
                steps[name] *= -0.6
    return best


def main() -> None:
    rows = published()
    counts = {path: read_counts(path) for path in map(counts_file, rows)}
    parameters = fit(rows, counts, START)
    left_out: dict[Row, float] = {}
    for board in dict.fromkeys(row.board for row in rows):
        own = [row for row in rows if row.board == board]
        others = fit([row for row in rows if row.board != board], counts, parameters)
        left_out.update(zip(own, np.expm1(errors(own, counts, others)).tolist()))
    sizes = np.abs(list(left_out.values())) * 100
    boards = {}
    for board in dict.fromkeys(row.board for row in rows):
        own_sizes = [abs(error) * 100 for row, error in left_out.items() if row.board == board]
        boards[board] = round(float(np.median(own_sizes)), 1)
    result = {
        "made_by": "bench/forecast/calibrate.py",
        "parameters": {name: float(f"{value:.4g}") for name, value in asdict(parameters).items()},
        "left_out": {
            "median": round(float(np.median(sizes)), 1),
            "p90": round(float(np.quantile(sizes, 0.9)), 1),
            "count": len(sizes),
            "boards": boards,
        },
    }
    calibration.FILE.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    if "--table" in sys.argv[1:]:
        print(table(left_out))


def table(left_out: dict[Row, float]) -> str:
    """A line a network and board: published and forecast milliseconds on each number of threads."""
    lines = ["| network | board | threads | published ms | forecast ms | error |", "|---|---|---|---|---|---|"]
    for row, error in sorted(left_out.items()):
        forecast = f"{row.ms * (1 + error):.1f} | {100 * error:+.0f} %"
        lines.append(f"| {row.net} | {row.board} | {row.threads} | {row.ms:.1f} | {forecast} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
