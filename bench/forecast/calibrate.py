"""Fits the parameters of the forecast on ncnn's published times, and leaves each board out once to see the error.

python bench/forecast/calibrate.py

Reads published.csv and counts/ (record.py). Writes edgecnn/forecast/calibration.json, and left_out.csv: what was
forecast for each published time with its board left out. It takes a minute and always finds the same.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgecnn.forecast import calibration
from edgecnn.forecast.boards import BOARDS
from edgecnn.forecast.counts import Counts, read_counts
from edgecnn.forecast.timing import Parameters, milliseconds

HERE = Path(__file__).resolve().parent
START = {"latency": 1.0, "bandwidth": 1.0, "sync_kinstructions": 30.0, "sharpness": 2.5}
Values = dict[str, float]


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


def errors(rows: Sequence[Row], counts: dict[Path, Counts], values: Values) -> np.ndarray:
    """Relative errors of the forecasts, as logarithms."""
    parameters = Parameters(**values)
    times = [milliseconds(counts[counts_file(r)], BOARDS[r.board], r.threads, parameters) for r in rows]
    return np.log(np.array(times) / [row.ms for row in rows])


def fit(rows: Sequence[Row], counts: dict[Path, Counts], start: Values) -> Values:
    """The parameters with the least mean error. A step that helps is kept and grows, others shrink and turn."""
    best, steps = dict(start), {name: 0.2 for name in start}
    least = float(np.abs(errors(rows, counts, best)).mean())
    while max(map(abs, steps.values())) > 0.005:
        for name in start:
            trial = {**best, name: best[name] * float(np.exp(steps[name]))}
            error = float(np.abs(errors(rows, counts, trial)).mean())
            if error < least:
                best, least, steps[name] = trial, error, steps[name] * 1.5
            else:
                steps[name] *= -0.6
    return best


def paces(rows: Sequence[Row], found: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """What each board takes for a forecast millisecond, and the errors left for networks that were left out of it."""
    own: dict[str, float] = {}
    left = np.zeros(len(rows))
    for board in dict.fromkeys(row.board for row in rows):
        here = [k for k, row in enumerate(rows) if row.board == board]
        own[board] = round(float(np.exp(-np.median(found[here]))), 3)
        for k in here:
            others = [j for j in here if rows[j].net != rows[k].net]
            left[k] = found[k] - np.median(found[others])
    return own, left


def summary(sizes: np.ndarray) -> dict[str, float]:
    """Errors in percent, in three numbers."""
    median, p90 = np.quantile(sizes, [0.5, 0.9])
    return {"median": round(float(median), 1), "p90": round(float(p90), 1), "forecasts": len(sizes)}


def main() -> None:
    rows = published()
    counts = {path: read_counts(path) for path in map(counts_file, rows)}
    values = fit(rows, counts, START)
    left_out: dict[Row, float] = {}
    for board in dict.fromkeys(row.board for row in rows):
        own = [row for row in rows if row.board == board]
        others = fit([row for row in rows if row.board != board], counts, values)
        left_out.update(zip(own, np.expm1(errors(own, counts, others)).tolist()))
    own_pace, left_out_nets = paces(rows, errors(rows, counts, values))
    sizes = np.abs(list(left_out.values())) * 100
    boards = {}
    for board in dict.fromkeys(row.board for row in rows):
        own_sizes = np.array([abs(error) * 100 for row, error in left_out.items() if row.board == board])
        boards[board] = summary(own_sizes)
    result = {
        "made_by": "bench/forecast/calibrate.py",
        "parameters": {name: float(f"{value:.4g}") for name, value in values.items()},
        "left_out": {**summary(sizes), "boards": boards},
        "own_pace": own_pace,
        "left_out_nets": summary(np.abs(np.expm1(left_out_nets)) * 100),
    }
    calibration.FILE.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    lines = ["network,board,threads,published_ms,forecast_ms,error_percent"]
    for row, error in sorted(left_out.items()):
        lines.append(f"{row.net},{row.board},{row.threads},{row.ms},{row.ms * (1 + error):.1f},{100 * error:.0f}")
    (HERE / "left_out.csv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
