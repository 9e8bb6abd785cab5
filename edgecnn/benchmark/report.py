"""The results of a benchmark: a table for people, plain data for JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgecnn.benchmark.measure import STAGES, Result, statistics

SCHEMA = 1  # version of schema.json; grows with each change that a reader must know of
COLUMNS = ("backend", "threads", "min", "median", "p95", "max", "fps", "pre", "post", "load", "first", "MiB", "outputs")


def row(result: Result) -> dict[str, Any]:
    """One result as plain data; times in ms."""
    job = result.job
    base: dict[str, Any] = {"backend": job.backend, "threads": job.threads}
    if result.error:
        return {**base, "error": result.error}
    return {
        **base,
        "ran_on": result.backend,
        "load_ms": result.load_ms,
        "first_frame_ms": result.first_ms,
        "peak_rss_mib": result.peak_mib,
        "output_difference": result.difference if result.difference < float("inf") else None,
        "agrees": result.agrees,
        "stages": {stage: statistics(result.times[stage]) for stage in STAGES if result.times[stage]},
        "frame": statistics(result.total),
        "rounds_ms": [round(ms, 5) for ms in result.rounds],
    }


def table(title: str, results: Sequence[Result]) -> str:
    """A text table. min to fps are of the inference alone; pre and post are medians."""
    lines = [COLUMNS] + [_cells(result) for result in results if not result.error]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    text = [title]
    for line in lines:
        cells = [cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths))]
        text.append("  " + "  ".join(cells).rstrip())
    for result in results:
        if result.error:
            text.append(f"  {result.job.backend}, {result.job.threads} threads: cannot run: {result.error}")
    return "\n".join(text)


def _cells(result: Result) -> tuple[str, ...]:
    inference = statistics(result.times["inference"])
    pre, post = (statistics(result.times[stage]).get("median") for stage in ("preprocess", "postprocess"))
    agreement = f"{result.difference:.0e}" if result.agrees else f"DIFFER {result.difference:.0e}"
    return (
        result.backend or result.job.backend,
        str(result.job.threads),
        *(f"{inference[key]:.2f}" for key in ("min", "median", "p95", "max")),
        f"{inference['fps']:.1f}",
        *("-" if value is None else f"{value:.2f}" for value in (pre, post)),
        f"{result.load_ms:.0f}",
        f"{result.first_ms:.1f}",
        f"{result.peak_mib:.0f}",
        agreement,
    )


def machine_line(machine: Mapping[str, Any]) -> str:
    """One line about the machine."""
    parts = [machine["board"], machine["cpu"], f"{machine['cores']} cores"]
    if machine["max_mhz"]:
        parts.append(f"up to {machine['max_mhz']:.0f} MHz")
    if machine["governor"]:
        parts.append(f"governor {machine['governor']}")
    if machine["temperature_c"] is not None:
        parts.append(f"{machine['temperature_c']:.0f} C")
    if machine["throttling"]:
        parts.append(f"throttling: {machine['throttling']}")
    return ", ".join(part for part in (*parts, machine["system"]) if part)


FLAT = (
    "model", "backend", "threads", "min_ms", "median_ms", "p95_ms", "max_ms", "fps", "preprocess_ms", "postprocess_ms",
    "load_ms", "first_frame_ms", "peak_rss_mib", "agrees", "error",
)  # fmt: skip


def flat_rows(models: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """A row for each model, backend and number of threads, with the columns `FLAT`; None where nothing is known.

    *models*: those of the JSON. The times from min to fps are of the inference, the other stages' are medians.
    """
    for model in models:
        for result in model["results"]:
            stages = result.get("stages", {})
            inference = stages.get("inference", {})
            row = dict.fromkeys(FLAT)
            row.update(model=model["model"], backend=result["backend"], threads=result["threads"])
            row.update({f"{key}_ms": inference.get(key) for key in ("min", "median", "p95", "max")})
            row.update({f"{key}_ms": stages.get(key, {}).get("median") for key in ("preprocess", "postprocess")})
            row["fps"] = inference.get("fps")
            row.update({key: result.get(key) for key in FLAT[-5:]})
            yield row


def to_csv(models: Sequence[Mapping[str, Any]]) -> str:
    """`flat_rows` as CSV with a line of names."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FLAT, lineterminator="\n")
    writer.writeheader()
    for row in flat_rows(models):
        writer.writerow({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()})
    return text.getvalue()


def to_markdown(run: Mapping[str, Any]) -> str:
    """The run as a Markdown table, with the machine above it."""
    columns = FLAT[:8]
    lines = [
        f"edgecnn {run['edgecnn']}, {run['date']}: {machine_line(run['machine'])}",
        "",
        "| " + " | ".join(columns) + " |",
        "|" + "|".join("---" if i < 2 else "---:" for i in range(len(columns))) + "|",
    ]
    for row in flat_rows(run["models"]):
        cells = [
            f"{row[c]:.2f}" if isinstance(row[c], float) else "" if row[c] is None else str(row[c]) for c in columns
        ]
        lines.append("| " + " | ".join(cells) + " |" + (f" {row['error']}" if row["error"] else ""))
    return "\n".join(lines) + "\n"
