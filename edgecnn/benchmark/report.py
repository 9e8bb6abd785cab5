"""The results of a benchmark as a table for people and as plain data for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgecnn.benchmark.measure import STAGES, Result, statistics

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
