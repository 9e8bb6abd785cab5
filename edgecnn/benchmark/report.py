"""The results of a benchmark: a table for people, plain data for JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgecnn.benchmark.measure import Result, statistics
from edgecnn.benchmark.runner import STAGES

SCHEMA = 2  # version of schema.json; grows with each change that a reader must know of
LEGEND = (
    "min to fps: the network alone, ms; spread: what the middle half of the frames spans, of the median;\n"
    "cap, pre, post: medians of the other stages, ms; load, first frame: ms; outputs: difference from the first row's"
)


def row(result: Result) -> dict[str, Any]:
    """One result as plain data; times in ms."""
    job = result.job
    base: dict[str, Any] = {"backend": job.backend, "threads": job.threads}
    if result.error:
        return {**base, "error": result.error}
    plain = {
        **base,
        "ran_on": result.backend,
        "load_ms": result.load_ms,
        "first_frame_ms": result.first_ms,
        "peak_rss_mib": result.peak_mib,
        "output_difference": result.difference if result.difference < float("inf") else None,
        "agrees": result.agrees,
        "stages": {stage: statistics(result.times[stage]) for stage in STAGES if result.times[stage]},
        "frame": statistics(result.total),
        "rounds_ms": [[round(ms, 5) for ms in start] for start in result.rounds],
    }
    return {**plain, "sustained": result.sustained} if result.sustained else plain


def table(title: str, results: Sequence[Result]) -> str:
    """A text table; columns that no row has anything for are left out. `LEGEND` says what they are."""
    rows = [_cells(result) for result in results if not result.error]
    columns = [name for name in (rows[0] if rows else ()) if any(cells[name] != "-" for cells in rows)]
    lines = [columns] + [[cells[name] for name in columns] for cells in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    text = [title]
    for line in lines if rows else ():
        cells = [cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths))]
        text.append("  " + "  ".join(cells).rstrip())
    for result in results:
        if result.error:
            text.append(f"  {_who(result)}: cannot run: {result.error}")
    return "\n".join(text)


def _cells(result: Result) -> dict[str, str]:
    """Column to text."""
    inference = statistics(result.times["inference"])
    medians = {stage: statistics(result.times[stage]).get("median") for stage in STAGES}
    agreement = f"{result.difference:.0e}" if result.agrees else f"DIFFER {result.difference:.0e}"
    others = {"cap": "capture", "pre": "preprocess", "post": "postprocess"}
    return {
        "backend": result.backend or result.job.backend,
        "threads": str(result.job.threads),
        **{key: f"{inference[key]:.2f}" for key in ("min", "median", "p95", "max")},
        "spread": f"{inference['spread']:.0f}%",
        "fps": f"{inference['fps']:.1f}",
        **{title: "-" if medians[stage] is None else f"{medians[stage]:.2f}" for title, stage in others.items()},
        "load": f"{result.load_ms:.0f}",
        "first": f"{result.first_ms:.1f}",
        "MiB": f"{result.peak_mib:.0f}",
        "outputs": agreement,
    }


def _who(result: Result) -> str:
    threads = result.job.threads
    return f"{result.backend or result.job.backend}, {threads} {'thread' if threads == 1 else 'threads'}"


def endurance(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Of rows of ``sustained``: frames a second at first and at the end (medians of a tenth of the rows, of three at
    least where there are six), their change in percent, and the temperature likewise where it is known."""
    some = max(len(rows) // 10, min(len(rows) // 2, 3), 1)
    found = {}
    for key, short in (("fps", "fps"), ("temperature_c", "c")):
        for when, part in (("first", rows[:some]), ("last", rows[-some:])):
            values = [row[key] for row in part if row[key] is not None]
            if values:
                found[f"{when}_{short}"] = float(np.median(values))
    found["change"] = 100 * (found["last_fps"] / found["first_fps"] - 1)
    return found


def sustained_text(result: Result) -> str:
    """How long work went: a line of words, and one of blocks for frames a second and for the temperature."""
    found = endurance(result.sustained)
    seconds = result.sustained[-1]["at"] + 1
    text = [
        f"  {_who(result)}, {seconds:.0f} s without a pause: {found['first_fps']:.1f} fps at first, "
        f"{found['last_fps']:.1f} at the end ({found['change']:+.0f} %)"
    ]
    for key, title, form in (("fps", "fps", ".1f"), ("temperature_c", "C", ".0f"), ("mhz", "MHz", ".0f")):
        values = [max(row[key], default=None) if key == "mhz" else row[key] for row in result.sustained]
        known = [value for value in values if value is not None]
        if known:
            text.append(f"    {title:<4} {sparkline(known)}  {min(known):{form}} to {max(known):{form}}")
    return "\n".join(text)


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """Blocks whose height is the value, from the least to the largest; means where there are more than *width*."""
    means = [float(np.mean(part)) for part in np.array_split(np.asarray(values, float), min(width, len(values)))]
    low, high = min(means), max(means)
    scale = 7 / (high - low) if high > low else 0.0
    return "".join("\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"[round((value - low) * scale)] for value in means)


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
        parts.append(f"throttling so far: {machine['throttling']}")
    return ", ".join(part for part in (*parts, machine["system"]) if part)


FLAT = (
    "model", "backend", "threads", "min_ms", "median_ms", "p95_ms", "max_ms", "spread_percent", "fps",
    "capture_ms", "preprocess_ms", "postprocess_ms", "load_ms", "first_frame_ms", "peak_rss_mib", "agrees", "error",
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
            row.update({f"{key}_ms": stages.get(key, {}).get("median") for key in STAGES if key != "inference"})
            row.update(fps=inference.get("fps"), spread_percent=inference.get("spread"))
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
    columns = FLAT[:9]
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
